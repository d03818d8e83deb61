from __future__ import annotations

import io
import tarfile

from ansible_collections.tidegate.delivery.plugins.module_utils.windows.tar_archive import archive_of, file_in, files_in


def test_an_archive_that_broke_off_is_no_file() -> None:
    whole = archive_of("./a", b"x" * 2000)
    assert file_in(whole, 2000) == b"x" * 2000
    for broken in (b"", whole[:100], whole[:700]):
        assert file_in(broken, 2000) is None


def test_what_is_no_file_in_an_archive_is_none_of_its_files() -> None:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        folder = tarfile.TarInfo("./a")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        link = tarfile.TarInfo("./b")
        link.type, link.linkname = tarfile.SYMTYPE, "./c"
        archive.addfile(link)
    assert file_in(whole.getvalue(), 10) is None
    assert files_in(whole.getvalue(), ["./a", "./b"], 10) == {}


def test_only_the_files_that_are_asked_for_are_taken_and_one_byte_more_than_the_limit() -> None:
    whole = archive_of("./a", b"x" * 10)
    assert files_in(whole, ["./a"], 4) == {"./a": b"x" * 5}
    assert files_in(whole, ["./b"], 4) == {}
    assert file_in(whole, 4) == b"x" * 5


def test_several_files_of_an_archive_that_broke_off_are_none() -> None:
    whole = archive_of("./a", b"x" * 2000)
    for broken in (b"", whole[:100], whole[:700]):
        assert files_in(broken, ["./a"], 2000) == {}
