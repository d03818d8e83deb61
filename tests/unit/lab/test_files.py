from __future__ import annotations

from pathlib import Path

from lab.files import tail, write_file


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
