"""Wine, as a second reader of Windows' command lines, in a prefix that costs neither seconds nor disk."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lab.programs import HOST_PATH
from tests.waiting import PATIENCE_S

SOURCE = Path(__file__).parent / "argv.c"
COMPILER = "x86_64-w64-mingw32-gcc-win32"
# Debian's packages wine64 and libwine. wine64 itself isn't on the PATH there.
WINE = Path("/usr/lib/wine/wine64")
DLLS = Path("/usr/lib/x86_64-linux-gnu/wine/x86_64-windows")


def prefix(folder: Path) -> dict[str, str]:
    """Makes a Wine prefix and returns the environment to use it.

    A prefix of wineboot's takes 8 s and 700 MB, nearly all of it copies of libraries. A program of the console needs
    only that system32 has them, and Wine leaves a prefix alone whose time stamp says `disable`.
    """
    windows = folder / "drive_c" / "windows"
    windows.mkdir(parents=True)
    (windows / "system32").symlink_to(DLLS)
    (folder / ".update-timestamp").write_text("disable\n")
    return {"PATH": HOST_PATH, "HOME": str(folder), "WINEPREFIX": str(folder), "WINEDEBUG": "-all", "LC_ALL": "C.UTF-8"}


@dataclass(frozen=True, slots=True)
class Readings:
    """What three readers made of one command line, and the exit code of the program that it started."""

    command_line_to_argv: list[str]
    msvcrt: list[str]
    ucrtbase: list[str]
    rc: int


class ArgvPrinter:
    """A Windows program under Wine that says what programs make of command lines; one for many lines."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which(COMPILER, path=HOST_PATH)
        assert compiler, "install gcc-mingw-w64-x86-64-win32: make setup"
        program = folder / "argv.exe"
        subprocess.run(
            [compiler, "-O1", "-Wall", "-Werror", "-municode", "-o", program, SOURCE, "-lshell32"], check=True
        )
        self._env = prefix(folder / "prefix")
        self._wine = subprocess.Popen(
            [WINE, program], env=self._env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )

    def read(self, line: str) -> Readings:
        """What is made of one command line. Raises EOFError when Wine has ended."""
        stdin, stdout = _pipe(self._wine.stdin), _pipe(self._wine.stdout)
        stdin.write(line.encode("utf-16-be").hex().encode() + b"\n")
        stdin.flush()
        answers = [stdout.readline() for _ in range(4)]
        if not answers[3].endswith(b"\n"):
            raise EOFError(f"Wine ended with {self._wine.poll()}")
        first, second, third = (_arguments(answer) for answer in answers[:3])
        return Readings(first, second, third, int(answers[3]))

    def close(self) -> None:
        _pipe(self._wine.stdin).close()
        self._wine.wait(timeout=PATIENCE_S)
        # wineserver serves this prefix only, and would stay for a few seconds.
        subprocess.run([WINE.with_name("wineserver64"), "-k", "-w"], env=self._env, check=False, timeout=PATIENCE_S)
        _pipe(self._wine.stdout).close()


def _arguments(answer: bytes) -> list[str]:
    return [bytes.fromhex(word[1:].decode()).decode("utf-16-be") for word in answer.split()]


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe
