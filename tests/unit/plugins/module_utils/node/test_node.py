from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, DeadlineExceeded, Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Completed, LocalShell, PosixNode
from tests.waiting import PATIENCE_S, until

HERE = PosixNode("here", LocalShell())


@pytest.mark.parametrize("text", ["plain", "a b", "it's", '"$HOME"', "`id`", "a\nb", "-n", "*", "é\\x"])
def test_arguments_reach_the_program_as_they_are(text: str) -> None:
    assert HERE.run(["printf", "%s", text]).stdout == text.encode()
    assert HERE.sh('printf %s "$1"', text).stdout == text.encode()


@pytest.mark.parametrize("code", [0, 1, 44, 124, 137, 254, 255])
def test_every_exit_code_comes_back_as_it_is(code: int) -> None:
    assert HERE.sh(f"exit {code}").rc == code


def test_output_is_byte_exact() -> None:
    done = HERE.sh(r"printf 'a\r\nb\000\377'; printf err >&2")
    assert (done.stdout, done.stderr) == (b"a\r\nb\x00\xff", b"err")


def test_standard_input_reaches_the_program() -> None:
    assert HERE.run(["cat"], stdin=b"\x00\r\n" * 1000).stdout == b"\x00\r\n" * 1000


def test_what_does_not_end_is_ended_with_its_children() -> None:
    # Nobody else's, should these tests run twice at once.
    child, began = f"sleep 7654.{os.getpid()}", time.monotonic()
    with pytest.raises(DeadlineExceeded, match="did not end within 1 s"):
        HERE.sh(f"{child} & wait", timeout=1)
    assert time.monotonic() - began < PATIENCE_S
    until(lambda: child not in _everything(), "its child has ended")


def _everything() -> str:
    return subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("answer", [b"", b"half", b"half\n", b"half\n1x"])
def test_an_answer_that_broke_off_is_no_answer(answer: bytes) -> None:
    node = PosixNode("n1", lambda _command, _stdin, _timeout: Completed(255, answer, b"Connection reset"))
    with pytest.raises(Unreachable, match="Connection reset"):
        node.run(["true"])


def test_files_are_written_whole_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "it's"
    HERE.write(str(path), b"\x00\r\n", mode=0o600)
    assert HERE.read(str(path)) == b"\x00\r\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["it's"]


def test_half_of_the_data_never_replaces_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    shell = LocalShell()
    cut = PosixNode("n1", lambda command, stdin, timeout: shell(command, (stdin or b"")[:3], timeout))
    with pytest.raises(BadInput, match="can't write"):
        cut.write(str(path), b"new and longer")
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_reading_tells_absent_too_large_and_not_a_file_apart(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * 101)
    assert HERE.read(str(tmp_path / "absent")) is None
    assert HERE.read(str(tmp_path / "large"), limit=101) == b"x" * 101
    with pytest.raises(BadInput, match="larger than 100 bytes"):
        HERE.read(str(tmp_path / "large"), limit=100)
    with pytest.raises(BadInput, match="is not a file"):
        HERE.read(str(tmp_path))


def test_existence() -> None:
    assert HERE.exists("/")
    assert not HERE.exists("/nowhere")
