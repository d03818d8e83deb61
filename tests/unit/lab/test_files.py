from __future__ import annotations

from pathlib import Path

from lab.files import free_all_but_the_end, tail, write_file


def test_writing_makes_parents_replaces_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    write_file(path, "one")
    write_file(path, "zwei: ü", 0o755)
    assert path.read_text(encoding="utf-8") == "zwei: ü"
    assert path.stat().st_mode & 0o777 == 0o755
    assert [entry.name for entry in path.parent.iterdir()] == ["b"]


def test_tail_shows_the_last_lines_of_however_long_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"line {number}\n" for number in range(5000)))
    assert tail(log, 2) == "line 4998 | line 4999"
    assert tail(tmp_path / "none") == ""


def test_the_old_part_of_a_log_is_freed_and_who_follows_it_notices_nothing(tmp_path: Path) -> None:
    log, end = tmp_path / "log", b"the last line\n"
    with log.open("wb") as writing:
        writing.write(b"old\n" * 1024 * 1024 + end)
        writing.flush()
        before = log.stat()
        free_all_but_the_end(log, 1024 * 1024)
        writing.write(end)
    after = log.stat()
    assert (after.st_ino, after.st_size) == (before.st_ino, before.st_size + len(end))
    assert after.st_blocks * 512 <= 1024 * 1024 + 64 * 1024 < before.st_blocks * 512
    assert log.read_bytes().endswith(b"old\n" + end + end)
    free_all_but_the_end(log, after.st_size)
    free_all_but_the_end(tmp_path / "none", 0)
    assert log.stat().st_blocks == after.st_blocks
