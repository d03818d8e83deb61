"""The yardstick's own Ansible, with the collections that the package `ansible` brings: an environment below build/."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measured import Failed
from benchmarks.simulated import PROJECT

# ansible-core 2.19 as ours, community.general 11.4.
PINNED = "12.3.0"
FOLDER = PROJECT / "build" / "bench" / f"stock-ansible-{PINNED}"
_INSTALL_S = 900.0


@dataclass(frozen=True, slots=True)
class StockAnsible:
    """An environment with the package `ansible`."""

    folder: Path

    @property
    def playbook(self) -> Path:
        """Its ansible-playbook."""
        return self.folder / "bin" / "ansible-playbook"

    @property
    def python(self) -> Path:
        """Its Python."""
        return self.folder / "bin" / "python"

    def versions(self) -> dict[str, str]:
        """What was measured: the package, ansible-core and community.general."""
        script = (
            "import ansible_collections, json, pathlib; from importlib.metadata import version; "
            "where = pathlib.Path(ansible_collections.__path__[0], 'community', 'general', 'MANIFEST.json'); "
            "print(json.dumps({'ansible': version('ansible'), 'ansible_core': version('ansible-core'), "
            "'community_general': json.loads(where.read_text())['collection_info']['version']}))"
        )
        done = subprocess.run([self.python, "-c", script], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failed(f"{self.folder} is no environment with ansible (remove it): {done.stderr[-1000:]}")
        found: dict[str, str] = json.loads(done.stdout)
        return found


def stock_ansible(folder: Path = FOLDER) -> StockAnsible:
    """The environment; made the first time, which needs the package index. Raises Failed."""
    complete = folder / "complete"
    if not complete.exists():
        # What a broken installation left, too.
        shutil.rmtree(folder, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(folder)])
        pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
        _run([*pip, "--quiet", f"ansible=={PINNED}"])
        complete.touch()
    return StockAnsible(folder)


def _run(argv: list[str]) -> None:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, errors="replace", timeout=_INSTALL_S, check=False)
    except subprocess.TimeoutExpired:
        raise Failed(f"{' '.join(argv)} took longer than {_INSTALL_S:.0f} seconds") from None
    if done.returncode != 0:
        raise Failed(f"{' '.join(argv)} failed: {done.stderr.strip()[-1500:]}")
