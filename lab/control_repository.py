"""The environment's folder as a checkout of a control repository: its commit is what `config_version` tells."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.programs import program


class ControlRepository:
    """A git repository in an environment's folder."""

    def __init__(self, environment: Path) -> None:
        self.environment = environment

    @contextmanager
    def checked_out(self) -> Iterator[str]:
        """The folder is a checkout for a while, and Puppet tells its commit; the first one."""
        settings = self.environment / "environment.conf"
        before = settings.read_text() if settings.exists() else ""
        git = self.environment / ".git"
        shutil.rmtree(git, ignore_errors=True)
        self._git("init", "--quiet")
        command = "/usr/bin/git --git-dir $environmentpath/$environment/.git rev-parse HEAD"
        settings.write_text(f"{before}config_version = {command}\n")
        try:
            yield self.commit()
        finally:
            settings.write_text(before)
            shutil.rmtree(git, ignore_errors=True)

    def commit(self) -> str:
        """Merge the folder as it is: the new commit."""
        self._git("add", "--all")
        who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "commit.gpgsign=false")
        self._git(*who, "commit", "--quiet", "--allow-empty", "--message", "a merge")
        return self._git("rev-parse", "HEAD")

    def _git(self, *words: str) -> str:
        done = subprocess.run(
            [program("git"), "-C", str(self.environment), *words], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()
