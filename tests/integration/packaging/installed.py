"""Environments of their own, into which the project is installed as its users do it, and what runs there."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.waiting import DEPLOYMENT_S

HERE = Path(sysconfig.get_path("purelib"))
# The caller's Ansible and Python settings would let a broken package look whole.
_HIDDEN = ("ANSIBLE_", "PYTHON", "TIDEGATE_", "VIRTUAL_ENV")


def run(argv: Iterable[str | Path], folder: Path, extra: Mapping[str, str] | None = None) -> str:
    """The standard output of a command that must succeed, run in `folder`, which is its home as well."""
    ended = attempt(argv, folder, extra)
    assert ended.returncode == 0, f"{ended.args}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


def attempt(
    argv: Iterable[str | Path], folder: Path, extra: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The same for a command that may fail."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_HIDDEN)}
    return subprocess.run(
        [str(word) for word in argv],
        cwd=folder,
        env={**kept, "HOME": str(folder), **(extra or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEPLOYMENT_S,
        check=False,
    )


@dataclass(frozen=True)
class Environment:
    """A virtual environment, and an empty folder from which everything is called."""

    venv: Path
    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)

    def ansible(self, program: str, *arguments: str | Path) -> str:
        """The output of `ansible-<program>`, which must succeed."""
        return run([self.venv / "bin" / "python", "-m", "ansible", program, *arguments], self.folder, self.settings)

    def attempt(self, program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        argv = [self.venv / "bin" / "python", "-m", "ansible", program, *arguments]
        return attempt(argv, self.folder, self.settings)

    def python(self, code: str) -> str:
        return run([self.venv / "bin" / "python", "-c", code], self.folder)

    def pip(self, *arguments: str | Path) -> str:
        """This environment's own pip would first have to be installed: ours serves it."""
        python = self.venv / "bin" / "python"
        return run([sys.executable, "-m", "pip", "--python", python, *arguments], self.folder)


def environment(home: Path, distributions: Iterable[str]) -> Environment:
    """A new environment that sees these distributions of the one that runs the tests, and what they depend on.

    Nothing is downloaded, and this project, which is installed for development here, stays out of sight.
    """
    venv, folder = home / "venv", home / "elsewhere"
    folder.mkdir(parents=True)
    run([sys.executable, "-m", "venv", "--without-pip", venv], folder)
    packages = next((venv / "lib").glob("python3*")) / "site-packages"
    for name in closure(distributions):
        for entry in {Path(file).parts[0] for file in importlib.metadata.files(name) or ()} - {"..", "__pycache__"}:
            (packages / entry).symlink_to(HERE / entry)
    return Environment(venv, folder)


def closure(names: Iterable[str]) -> set[str]:
    """These distributions and all that they require here, extras aside."""
    found: set[str] = set()
    todo = list(names)
    while todo:
        name = re.split(r"[^\w.-]", todo.pop(), maxsplit=1)[0].lower().replace("_", "-")
        if name in found or not _is_installed(name):
            continue
        found.add(name)
        todo += [line for line in importlib.metadata.requires(name) or () if "extra ==" not in line]
    return found


def _is_installed(name: str) -> bool:
    """What only other Pythons or platforms need is not."""
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
