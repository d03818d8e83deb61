from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.lasting_stream import LastingStream
from tests.waiting import PATIENCE_S

# Prints into a pipe whose reader is gone, or after the terminal was hung up; what it did goes to a file.
PRINTS = """
import sys, time
from ansible_collections.tidegate.delivery.plugins.module_utils.lasting_stream import outlive_readers
lost = []
outlive_readers(lambda: lost.append(1))
sys.stdin.read()
for number in range(3):
    print("line", number, flush=True)
    print("to stderr", file=sys.stderr)
open(sys.argv[1], "w").write(f"{len(lost)} {sys.stdout.encoding}")
"""
HANGS_UP = """
import fcntl, os, pty, signal, sys, termios
from ansible_collections.tidegate.delivery.plugins.module_utils.lasting_stream import leave_closed_terminal
ours, theirs = pty.openpty()
os.dup2(theirs, 1)
file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
os.dup2(file, 2)
leave_closed_terminal()
alive = os.isatty(1)
os.close(ours)
leave_closed_terminal()
os.write(1, b"nobody reads this")
os.write(2, f"{alive} {os.readlink('/proc/self/fd/1')}".encode())
"""


@pytest.mark.parametrize("dead", ["pipe", "terminal"])
def test_a_reader_that_is_gone_ends_nothing(tmp_path: Path, dead: str) -> None:
    reader, writer = os.pipe() if dead == "pipe" else pty.openpty()
    told = tmp_path / "told"
    process = subprocess.Popen(
        [sys.executable, "-c", PRINTS, str(told)], stdin=subprocess.PIPE, stdout=writer, stderr=writer
    )
    os.close(writer)
    os.close(reader)
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    # Each of both streams lost its reader.
    assert told.read_text() == "2 utf-8"


def test_a_closed_terminal_is_left_and_a_file_is_not(tmp_path: Path) -> None:
    told = tmp_path / "told"
    subprocess.run([sys.executable, "-c", HANGS_UP, str(told)], check=True, timeout=PATIENCE_S)
    assert told.read_text() == "True /dev/null"


def test_as_long_as_somebody_reads_it_is_the_stream_itself(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with path.open("w") as file:
        stream = LastingStream(file, lambda: pytest.fail("nobody is lost"))
        assert stream.write("hello") == 5
        stream.flush()
        assert stream.fileno() == file.fileno()
    assert path.read_text() == "hello"
