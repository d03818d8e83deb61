"""The node's cmd.exe: what `cmd /?` and Microsoft's pages on cmd, move, del, exit and echo say of `cmd.exe /c`.

Whatever it doesn't do it refuses loudly, with exit code 70000, so that no test passes by its ignorance.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

from lab.winrm.windows import DRIVE_VARIABLE, LINE_VARIABLE, Drive, arguments, keep_line_ends, leave

REFUSED = 70000
_INVOCATION = re.compile(r'\s*(?:"[^"]*"|\S+)((?:\s+/(?:d|s|e:on|v:off))*)\s+/c\s?(.*)', re.IGNORECASE | re.DOTALL)
_WORD = re.compile(r'\s*("[^"]*"|[^\s"=,;]+)(.*)', re.DOTALL)
_SPECIAL = set("&|<>^")


def command_of(line: str, is_program: object = None) -> str:
    """What is to be done, of cmd.exe's own command line: `cmd /?`, on quotes after /c.

    Without /s, two quotes around the name of an executable file stay; else the first and the last quote go.
    """
    found = _INVOCATION.fullmatch(line)
    if not found:
        raise NotImplementedError(f"it is started by {line}")
    options, rest = found[1].lower().split(), found[2]
    if not rest.startswith('"'):
        return rest
    kept = "/s" not in options and rest.count('"') == 2 and callable(is_program) and is_program(rest.split('"')[1])
    if kept:
        return rest
    before, _, after = rest[1:].rpartition('"')
    return before + after


def expand(command: str, variables: dict[str, str]) -> str:
    """%NAME% on a command line; an unknown one stays as it is."""
    known = {key.upper(): value for key, value in variables.items()}
    return re.sub("%([^%:]+)%", lambda found: known.get(found[1].upper(), found[0]), command)


def words(rest: str) -> list[str]:
    """A batch file's %1, %2, … with the quotes of `%~1` taken off."""
    found = re.findall(r'(?:"[^"]*"?|[^\s"=,;])+', rest)
    return [word.replace('"', "") for word in found]


def refuse_special(command: str) -> None:
    """Raises NotImplementedError for what this cmd.exe would have to interpret.

    Parentheses are characters, but for one that a command begins with.
    """
    if command.lstrip().startswith(("(", ")", "@")):
        raise NotImplementedError(f"{command!r} begins with {command.lstrip()[0]}")
    for number, part in enumerate(command.split('"')):
        if number % 2 == 0 and (odd := _SPECIAL & set(part)):
            raise NotImplementedError(f"{command!r} has {sorted(odd)} outside of quotes")


def run(line: str, drive: Drive) -> int:
    """Do what the command line says, and return the exit code."""
    command = expand(command_of(line, drive.program), dict(os.environ))
    refuse_special(command)
    found = _WORD.fullmatch(command)
    if not found:
        return 0
    name, rest = found[1].strip('"'), found[2]
    if name.lower() == "echo":
        sys.stdout.write(rest.removeprefix(" ") + "\r\n")
        return 0
    if name.lower() == "exit":
        leave(int(rest))
    if name.lower() in _BUILTINS:
        return _BUILTINS[name.lower()](drive, words(rest))
    program = drive.program(name) or drive.program(f"{name}.bat")
    if program is None:
        sys.stderr.write(f"'{name}' is not recognized as an internal or external command,\r\n")
        sys.stderr.write("operable program or batch file.\r\n")
        return 1
    inner = f"{found[1]}{rest}"
    given = words(rest) if program.suffix.lower() in (".bat", ".cmd") else arguments(inner)[1:]
    return subprocess.run([program, *given], env={**os.environ, LINE_VARIABLE: inner}, check=False).returncode


def _move(drive: Drive, given: list[str]) -> int:
    """move /y SOURCE TARGET, for files."""
    if len(given) != 3 or given[0].lower() != "/y":
        raise NotImplementedError(f"move {given}")
    source, target = (drive.path(each) for each in given[1:])
    if not source.is_file():
        sys.stderr.write("The system cannot find the file specified.\r\n")
        return 1
    if target.is_dir() or not target.parent.is_dir():
        sys.stderr.write(
            "Access is denied.\r\n" if target.is_dir() else "The system cannot find the path specified.\r\n"
        )
        return 1
    source.replace(target)
    sys.stdout.write("        1 file(s) moved.\r\n")
    return 0


def _del(drive: Drive, given: list[str]) -> int:
    """del /q FILE."""
    if len(given) != 2 or given[0].lower() != "/q":
        raise NotImplementedError(f"del {given}")
    file = drive.path(given[1])
    if file.is_file():
        file.unlink()
    else:
        # It says so, and its exit code is 0 all the same.
        sys.stderr.write(f"Could Not Find {given[1]}\r\n")
    return 0


_BUILTINS = {"move": _move, "del": _del}


def main() -> NoReturn:
    keep_line_ends()
    try:
        code = run(os.environ[LINE_VARIABLE], Drive(Path(os.environ[DRIVE_VARIABLE])))
    except NotImplementedError as error:
        sys.stderr.write(f"the lab's cmd.exe does not do this: {error}\n")
        leave(REFUSED)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
