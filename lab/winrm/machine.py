"""What a Windows-like node is as a machine: its boot, and its registry, beside its drive."""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from lab.files import write_file
from lab.winrm.windows import DRIVE_VARIABLE, Drive


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine of a drive, kept in files beside it."""

    drive: Drive

    @property
    def booted(self) -> float:
        """When it was booted, as a Unix time."""
        return float(self._boot.read_text())

    def begin_boot(self) -> None:
        """Another boot: what Windows has in its registry until the next one is gone."""
        write_file(self._boot, f"{time.time()}\n")
        for key in _UNTIL_THE_NEXT_BOOT:
            shutil.rmtree(self.key(key), ignore_errors=True)
        self.asked.unlink(missing_ok=True)

    def begin(self) -> None:
        """The first boot, unless there was one."""
        if not self._boot.exists():
            self.begin_boot()

    def key(self, name: str) -> Path:
        """The folder that stands for a registry key; names are found whatever their case."""
        return self.drive.root.parent / "registry" / Path(*name.lower().split("\\"))

    @property
    def asked(self) -> Path:
        """What shutdown.exe was asked for and what is still to be done: a JSON file."""
        return self.drive.root.parent / "shutdown.json"

    def ask(self, grace_s: float) -> bool:
        """Ask for a reboot; False when one is asked for already."""
        text = json.dumps({"at": time.time() + grace_s})
        try:
            descriptor = os.open(self.asked, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return False
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        return True

    def is_due(self) -> bool:
        """Whether a reboot was asked for, and its time has come."""
        try:
            return float(json.loads(self.asked.read_text())["at"]) <= time.time()
        except (FileNotFoundError, ValueError):
            return False

    @property
    def _boot(self) -> Path:
        return self.drive.root.parent / "booted"


_CURRENT = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion"
# What Windows' servicing and Windows Update make, and take away when the node was rebooted.
_UNTIL_THE_NEXT_BOOT = (
    rf"{_CURRENT}\Component Based Servicing\RebootPending",
    rf"{_CURRENT}\WindowsUpdate\Auto Update\RebootRequired",
)


def machine() -> Machine:
    """That of the program which asks."""
    return Machine(Drive(Path(os.environ[DRIVE_VARIABLE])))
