from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.saved import digest_of, save


def test_a_file_is_there_whole_in_a_folder_that_is_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "r.xml"
    assert digest_of(path) == ""
    save(path, [b"a", b"b"])
    assert path.read_bytes() == b"ab"
    assert digest_of(path) == hashlib.sha256(b"ab").hexdigest()


def test_what_breaks_off_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "r.xml"
    path.write_bytes(b"old")

    def broken() -> Iterator[bytes]:
        yield b"new"
        raise OSError("gone")

    with pytest.raises(BadInput, match="can't save the results: gone"):
        save(path, broken())
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("r.xml", b"old")]


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BadInput) as error:
        save(tmp_path / "file" / "r.xml", [b"a"])
    assert error.value.where == str(tmp_path / "file" / "r.xml")
