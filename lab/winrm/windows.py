"""Drive C: of a Windows-like node: a folder here, in which executable files are the programs.

A program for the node is any executable file below it whose name ends in .exe, .bat or .cmd. It gets its arguments as
Windows programs do: the C runtime's reading of one command line, which is in LAB_COMMAND_LINE as it was.
"""

from __future__ import annotations

import io
import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ansible_collections.tidegate.delivery.plugins.module_utils.windows.command_line import split
from lab.layout import MARKER_VARIABLE, NET_VARIABLE, STATE_VARIABLE
from lab.programs import HOST_PATH, program

HOME = r"C:\Users\deploy"
SYSTEM = r"C:\Windows\System32"
PUPPET = r"C:\Program Files\Puppet Labs\Puppet\bin\puppet.bat"
DRIVE_VARIABLE = "LAB_DRIVE"
LINE_VARIABLE = "LAB_COMMAND_LINE"
EXIT_CODE_VARIABLE = "LAB_EXIT_CODE"
# Where the node's runit has its services, for sc.exe.
SERVICES_VARIABLE = "LAB_SERVICES"
# What makes a program the lab's, so that `down` finds it.
_LAB_VARIABLES = (MARKER_VARIABLE, NET_VARIABLE, STATE_VARIABLE, SERVICES_VARIABLE)
_EXTENSIONS = (".exe", ".bat", ".cmd")


@dataclass(frozen=True, slots=True)
class Drive:
    """Drive C: below `root`."""

    root: Path

    def path(self, windows: str, folder: str = HOME) -> Path:
        """Where a Windows path is here; names are found whatever their case. Raises ValueError for another drive."""
        text = windows.replace("/", "\\")
        if text[1:2] == ":":
            if text[0].upper() != "C" or text[2:3] != "\\":
                raise ValueError(f"{windows} is not on drive C:")
        else:
            text = text if text.startswith("\\") else f"{folder}\\{text}"
        names: list[str] = []
        for part in text.removeprefix(text[:2] if text[1:2] == ":" else "").split("\\"):
            # Windows drops dots and spaces at a name's end.
            if part == "..":
                names = names[:-1]
            elif part.rstrip(" ."):
                names.append(part.rstrip(" ."))
        return _found(self.root, names)

    def program(self, name: str, folder: str = HOME) -> Path | None:
        """The executable file for a program's name as CreateProcessW looks for it; None if there is none."""
        given = name.replace("/", "\\").rstrip(" .")
        given = given if "." in given.rpartition("\\")[2] else f"{given}.exe"
        if not given.lower().endswith(_EXTENSIONS):
            return None
        folders = [folder] if "\\" in given else [SYSTEM, folder, r"C:\Windows"]
        for each in folders:
            path = self.path(given, each)
            if path.is_file() and os.access(path, os.X_OK):
                return path
        return None


def _found(at: Path, names: list[str]) -> Path:
    for number, wanted in enumerate(names):
        if not (at / wanted).exists():
            same = [each.name for each in _children(at) if each.name.lower() == wanted.lower()]
            if not same:
                return at.joinpath(*names[number:])
            wanted = same[0]
        at = at / wanted
    return at


def _children(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def make_drive(root: Path) -> Drive:
    """A drive with what every Windows has of the programs that Tidegate uses."""
    drive = Drive(root)
    for folder in (SYSTEM, HOME, r"C:\Windows\Temp", r"C:\ProgramData"):
        drive.path(folder).mkdir(parents=True, exist_ok=True)
    for name in ("cmd", "netstat", "reg", "sc", "shutdown", "tar", "tasklist"):
        add_program(drive, rf"{SYSTEM}\{name}.exe", _own(f"lab.winrm.{name}"))
    add_program(drive, rf"{SYSTEM}\wbem\WMIC.exe", _own("lab.winrm.wmic"))
    return drive


def install_puppet(drive: Drive, agent: str) -> None:
    """Puppet's package: `agent`, a program of this machine, where it is on Windows."""
    add_program(drive, PUPPET, _own("lab.winrm.puppet", agent))


def _own(module: str, *words: str) -> str:
    return f'exec {shlex.join([sys.executable, "-P", "-m", module, *words])} "$@"'


def add_program(drive: Drive, path: str, script: str) -> Path:
    """Puts a shell script as a program on the drive."""
    file = drive.path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


def environment(drive: Drive, variables: Mapping[str, str], line: str, exit_code: Path) -> dict[str, str]:
    """What a program of the node has in its environment: Windows' own variables, and the lab's."""
    windows = {"OS": "Windows_NT", "SystemRoot": r"C:\Windows", "ComSpec": rf"{SYSTEM}\cmd.exe", "USERPROFILE": HOME}
    lab = {name: os.environ[name] for name in _LAB_VARIABLES if name in os.environ}
    ours = {**lab, DRIVE_VARIABLE: str(drive.root), LINE_VARIABLE: line, EXIT_CODE_VARIABLE: str(exit_code)}
    return {**windows, **variables, **ours, "PATH": HOST_PATH, "LC_ALL": "C.UTF-8"}


def arguments(line: str) -> list[str]:
    """A program's arguments, its name first."""
    return split(line)


def keep_line_ends() -> None:
    """Have standard output carry the CRLF that a program of ours writes, as it is."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(newline="")


def leave(code: int) -> NoReturn:
    """End this program with a Windows exit code of 32 bits, of which Linux would keep 8."""
    Path(os.environ[EXIT_CODE_VARIABLE]).write_text(str(code))
    raise SystemExit(1 if code else 0)


def real(name: str) -> str:
    """The Linux program that does the work of one of the node's."""
    return program(name)
