# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command lines of Windows: arguments quoted so that a program, or cmd.exe and a batch file, read what was meant.

Windows starts a program with one string, and the program itself makes arguments of it. Nearly all do so by the C
runtime's rules (Microsoft, "main function and command-line arguments", section "Parsing C command-line arguments", and
CommandLineToArgvW). cmd.exe has other rules, and nothing quotes `%` or `"` for it safely: what goes through it is
restricted to characters that mean nothing to it, nor to the batch file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.system32 import SYSTEM32

# CreateProcessW: 32,767 characters (UTF-16 units) with the terminating null.
LINE_LIMIT = 32_766
# Microsoft, "Command prompt line string limitation".
CMD_LINE_LIMIT = 8_191
# /d: no AutoRun commands of the registry; /v:off: `!` is a character; /s: it removes the first and the last quote only.
_CMD = rf"{SYSTEM32}\cmd.exe"
_CMD_OPTIONS = "/d /e:on /v:off /s /c"

# XML 1.0, section 2.2, which carries it over WinRM; and a line's end would be the command's end for cmd.exe.
_NOT_CARRIED = re.compile("[\x00-\x08\x0a-\x1f\ud800-\udfff\ufffe\uffff]")
_BARE = re.compile(r"[A-Za-z0-9_./\\:+@~-]+")
# What a batch file splits arguments at, or drops, is quoted; `%~1` in it takes the quotes away again.
_QUOTED = re.compile(r"[A-Za-z0-9_./\\:+@~=, -]*")
_FULL_PATH = re.compile(r"[A-Za-z]:\\[A-Za-z0-9_.\\+@~=,() -]+")


@dataclass(frozen=True, slots=True)
class CommandLine:
    """A program, quoted if it must be, and all that follows it."""

    program: str
    arguments: str

    def __str__(self) -> str:
        return f"{self.program} {self.arguments}" if self.arguments else self.program


def command_line(argv: Sequence[str]) -> CommandLine:
    """The line that starts a program directly, or cmd.exe where the program is a batch file.

    Raises BadInput for what no quoting carries unchanged: control characters, lines that are too long, a program with a
    double quote in its name; and of a batch file what `through_cmd` refuses.
    """
    return through_cmd(argv) if is_batch(_program(argv)) else direct(argv)


def direct(argv: Sequence[str]) -> CommandLine:
    """The line of an executable that Windows starts without cmd.exe."""
    program = _program(argv)
    if is_batch(program):
        raise BadInput(
            f"{program} is a batch file, which Windows starts with cmd.exe",
            where="command line",
            remedy="Start it through cmd.exe, which restricts its arguments",
        )
    _require_carried(program)
    if '"' in program:
        raise BadInput(
            f"the program's name has a double quote: {program}",
            where="command line",
            remedy="Give the path of the program alone; arguments are words of their own",
        )
    if program.endswith("\\"):
        # And before the quote that closes a name, a backslash is read as the name's by some and as an escape by others.
        raise BadInput(f"{program} names a folder", where="command line", remedy="Give the path of the program in it")
    quoted = f'"{program}"' if re.search(r"[ \t]", program) else program
    line = CommandLine(quoted, " ".join(quote(argument) for argument in argv[1:]))
    return _within(line, LINE_LIMIT, "Windows")


def through_cmd(argv: Sequence[str]) -> CommandLine:
    """The line of cmd.exe that starts a program or a batch file with harmless arguments.

    Raises BadInput for arguments with anything but letters and digits of ASCII, spaces and `_ . / \\ : + @ ~ = , -`,
    and for a program that is not named by its full path.
    """
    program = _program(argv)
    if not _FULL_PATH.fullmatch(program) or program != program.rstrip(" ."):
        raise BadInput(
            f"cmd.exe can't be trusted with this program's name: {program}",
            where="command line",
            remedy=r"Give its full path, such as C:\Tools\check.bat: letters, digits, spaces and parentheses",
        )
    words = " ".join([f'"{program}"', *(_harmless(argument) for argument in argv[1:])])
    return _within(CommandLine(_CMD, f'{_CMD_OPTIONS} "{words}"'), CMD_LINE_LIMIT, "cmd.exe")


def builtin(name: str, *arguments: str) -> CommandLine:
    """The line of cmd.exe for a command of its own, such as `move`. Arguments are restricted as in `through_cmd`;
    those that are full paths may have parentheses, too.
    """
    words = " ".join([name, *(_path_or_harmless(argument) for argument in arguments)])
    return _within(CommandLine(_CMD, f'{_CMD_OPTIONS} "{words}"'), CMD_LINE_LIMIT, "cmd.exe")


def is_batch(program: str) -> bool:
    """Whether Windows runs it with cmd.exe. Spaces and dots at a file name's end are nothing to Windows."""
    return program.rstrip(" .").lower().endswith((".bat", ".cmd"))


def quote(argument: str) -> str:
    """One argument as the C runtime reads it back. Raises BadInput for control characters (a tab is none)."""
    _require_carried(argument)
    if argument and not re.search(r'[ \t"]', argument):
        return argument
    # Backslashes mean themselves, but before a double quote each counts twice; the closing one is such a quote.
    escaped = re.sub(r'(\\*)"', r'\1\1\\"', argument)
    return '"' + re.sub(r"(\\+)\Z", r"\1\1", escaped) + '"'


def split(line: str, *, before_2008: bool = False) -> list[str]:
    """The arguments that a program of the C runtime makes of its command line, its own name first.

    The documented rules leave one choice: two double quotes inside a quoted part are one that is meant, and the quoted
    part goes on (the C runtime since 2008), or ends there (`before_2008`; CommandLineToArgvW does so to this day).
    """
    name, rest = _split_name(line)
    found = [name]
    while rest := rest.lstrip(" \t"):
        argument, rest = _split_argument(rest, before_2008)
        found.append(argument)
    return found


def _split_name(line: str) -> tuple[str, str]:
    """The program's name: double quotes only hold spaces together, and backslashes mean themselves."""
    quoted, name = False, ""
    for at, character in enumerate(line):
        if character == '"':
            quoted = not quoted
        elif character in " \t" and not quoted:
            return name, line[at:]
        else:
            name += character
    return name, ""


def _split_argument(rest: str, before_2008: bool) -> tuple[str, str]:
    quoted, argument, at = False, "", 0
    while at < len(rest) and (quoted or rest[at] not in " \t"):
        slashes = len(rest) - at - len(rest[at:].lstrip("\\"))
        at += slashes
        if rest[at : at + 1] != '"':
            argument += "\\" * slashes
            if not slashes:
                argument += rest[at]
                at += 1
            continue
        argument += "\\" * (slashes // 2)
        if slashes % 2:
            argument += '"'
        elif quoted and rest[at + 1 : at + 2] == '"':
            argument += '"'
            at += 1
            quoted = not before_2008
        else:
            quoted = not quoted
        at += 1
    return argument, rest[at:]


def _program(argv: Sequence[str]) -> str:
    if not argv or not argv[0].strip(" ."):
        raise BadInput("there is no program to start", where="command line", remedy="Name a program")
    return argv[0]


def _harmless(argument: str) -> str:
    if not _QUOTED.fullmatch(argument):
        odd = next(character for character in argument if not _QUOTED.fullmatch(character))
        raise BadInput(
            f"the argument {argument!r} has {odd!r}, which cmd.exe or a batch file may take for more than a character",
            where="command line",
            remedy="Leave it out, or start an executable instead of a batch file",
        )
    if _BARE.fullmatch(argument):
        return argument
    if argument.endswith("\\"):
        raise BadInput(
            f"the argument {argument!r} must be quoted and ends in a backslash, which would escape the closing quote",
            where="command line",
            remedy="Leave the last backslash out",
        )
    return f'"{argument}"'


def _path_or_harmless(argument: str) -> str:
    return f'"{argument}"' if _FULL_PATH.fullmatch(argument) else _harmless(argument)


def _require_carried(text: str) -> None:
    if found := _NOT_CARRIED.search(text):
        raise BadInput(
            f"an argument has the character U+{ord(found[0]):04X}, which a command line can't carry",
            where="command line",
            remedy="Write it to a file on the node, and give the file's name",
        )


def _within(line: CommandLine, limit: int, whose: str) -> CommandLine:
    units = len(str(line).encode("utf-16-le")) // 2
    if units > limit:
        raise BadInput(
            f"the command line has {units} characters, and {whose} takes {limit}",
            where="command line",
            remedy="Write the arguments to a file on the node, and give the file's name",
        )
    return line
