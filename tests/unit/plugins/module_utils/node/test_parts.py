from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Completed, LocalShell, PosixNode
from ansible_collections.tidegate.delivery.plugins.module_utils.node.parts import read_in_parts

NODE = PosixNode("box", LocalShell())


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 20, 25])
def test_a_file_comes_in_parts(tmp_path: Path, size: int) -> None:
    data = bytes(range(size))
    (tmp_path / "it's.xml").write_bytes(data)
    parts = list(read_in_parts(NODE, str(tmp_path / "it's.xml"), 1000, part=10) or ())
    assert b"".join(parts) == data
    assert [len(part) for part in parts[:-1]] == [10] * (len(parts) - 1)


def test_what_can_not_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "long").write_bytes(b"x" * 11)
    assert read_in_parts(NODE, str(tmp_path / "none"), 10) is None
    with pytest.raises(BadInput, match="long is larger than 10 bytes"):
        read_in_parts(NODE, str(tmp_path / "long"), 10)
    with pytest.raises(BadInput, match="is not a file"):
        read_in_parts(NODE, str(tmp_path), 10)
    with pytest.raises(BadInput, match="is not a file"):
        NODE.read(str(tmp_path))


def test_a_file_whose_size_can_not_be_told_is_not_taken_for_a_large_one(tmp_path: Path) -> None:
    """As of a file that the user may not read."""
    (tmp_path / "wc").write_text("#!/bin/sh\necho 'Permission denied' >&2; exit 1\n")
    (tmp_path / "wc").chmod(0o755)
    denied = PosixNode("box", LocalShell({"PATH": f"{tmp_path}:{os.environ['PATH']}"}))
    file = str(tmp_path / "wc")
    with pytest.raises(BadInput, match=r"can't read .*: Permission denied"):
        denied.read(file)
    with pytest.raises(BadInput, match=r"can't read .*: Permission denied"):
        read_in_parts(denied, file, 100)


def test_a_file_that_another_took_the_place_of_is_no_file(tmp_path: Path) -> None:
    path = tmp_path / "r.xml"
    path.write_bytes(b"x" * 25)

    class Shrinking(LocalShell):
        def __call__(self, command: str, stdin: bytes | None, timeout: float) -> Completed:
            done = super().__call__(command, stdin, timeout)
            path.write_bytes(b"y" * 12)
            return done

    parts = read_in_parts(PosixNode("box", Shrinking()), str(path), 100, part=10)
    with pytest.raises(BadInput, match="changes while it is read"):
        list(parts or ())
