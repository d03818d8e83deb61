"""The spool: bounded, whole lines, removed when all has arrived and its writer has ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from tidegate.shipping.sinks import NoEvent
from tidegate.shipping.spool import MAX_EVENT_BYTES, SpoolSource, SpoolWriter, require_folder, segments
from tidegate.shipping.status import STATUS, problems

FILL = """
import resource, signal, sys
from pathlib import Path
from tidegate.shipping.spool import SpoolWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
writer = SpoolWriter(Path(sys.argv[1]))
kept = sum(writer.put("task", str(n), 1.0, {"n": n}) for n in range(100))
print(kept, writer.dropped, writer.why)
"""


def ids(spool: Path) -> list[str]:
    return [item.id for _position, item in SpoolSource(spool).after(None, 1000) if item]


def test_what_is_put_is_read_in_its_order_by_several_writers(tmp_path: Path) -> None:
    one, other = SpoolWriter(tmp_path), SpoolWriter(tmp_path)
    assert all(
        [one.put("task", "a", 1.0, {}), one.put("task", "b", 2.0, {"x": "ü"}), other.put("custom", "c", 3.0, {})]
    )
    assert ids(tmp_path) == ["a", "b", "c"]
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in segments(tmp_path))


def test_reading_goes_on_after_a_position(tmp_path: Path) -> None:
    writer, source = SpoolWriter(tmp_path), SpoolSource(tmp_path)
    for name in "abcde":
        writer.put("task", name, 1.0, {})
    first = source.after(None, 2)
    assert [item.id for _p, item in source.after(first[-1][0], 10) if item] == ["c", "d", "e"]


def test_an_older_file_that_grows_after_a_newer_one_is_read_on(tmp_path: Path) -> None:
    """A playbook's results, with an event of one's own between them: that is another process'."""
    results, own, source = SpoolWriter(tmp_path), SpoolWriter(tmp_path), SpoolSource(tmp_path)
    results.put("task", "a", 1.0, {})
    own.put("custom", "b", 1.0, {})
    own.close()
    first = source.after(None, 10)
    results.put("task", "c", 1.0, {})
    results.close()
    source.arrived(first[-1][0])
    rest = source.after(first[-1][0], 10)
    assert [item.id for _p, item in first + rest if item] == ["a", "b", "c"]
    source.arrived(rest[-1][0])
    assert segments(tmp_path) == []


def test_a_file_goes_when_all_has_arrived_and_its_writer_has_ended(tmp_path: Path) -> None:
    writer, source = SpoolWriter(tmp_path), SpoolSource(tmp_path)
    writer.put("task", "a", 1.0, {})
    last = source.after(None, 10)[-1][0]
    source.arrived(last)
    assert segments(tmp_path), "its writer lives"
    writer.put("task", "b", 1.0, {})
    writer.close()
    source.arrived(last)
    assert ids(tmp_path) == ["a", "b"], "something is left in it"
    source.arrived(source.after(None, 10)[-1][0])
    assert segments(tmp_path) == []


def test_what_a_kill_tore_and_what_is_no_event_is_passed(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path)
    writer.put("task", "a", 1.0, {})
    path = segments(tmp_path)[0]
    with path.open("ab") as file:
        file.write(b'nonsense\n{"kind": "event"}\n{"kind": "task", "id": "tor')
    found = SpoolSource(tmp_path).after(None, 10)
    SpoolSource(tmp_path).arrived(found[-1][0])
    assert segments(tmp_path), "its writer lives"
    writer.close()
    SpoolSource(tmp_path).arrived(found[-1][0])
    assert segments(tmp_path) == []
    assert [item.id for _p, item in found] == ["a", *[f"events/{path.name}"] * 2], "and what is torn is not read"
    assert [isinstance(item, NoEvent) for _p, item in found] == [False, True, True]


def test_it_is_bounded_and_counts_what_it_drops(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path, limit_mb=0.001)
    kept = sum(writer.put("task", str(number), 1.0, {"text": "x" * 100}) for number in range(20))
    assert 0 < kept < 20
    assert writer.dropped == 20 - kept
    assert "the spool is full" in writer.why
    assert SpoolWriter(tmp_path, limit_mb=0.001).put("task", "z", 1.0, {"text": "x" * 1000}) is False


def test_what_has_arrived_makes_room_for_the_same_writer(tmp_path: Path) -> None:
    writer, source = SpoolWriter(tmp_path, limit_mb=0.001), SpoolSource(tmp_path)
    for number in range(20):
        writer.put("task", str(number), 1.0, {"text": "x" * 100})
    source.arrived(source.after(None, 100)[-1][0])
    assert segments(tmp_path) == []
    assert writer.put("task", "next", 1.0, {})
    assert ids(tmp_path) == ["next"]


def test_a_disk_that_is_full_drops_and_leaves_whole_lines(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FILL, str(tmp_path)], capture_output=True, text=True, check=True)
    kept, dropped, *why = done.stdout.split()
    assert int(kept) + int(dropped) == 100
    assert int(dropped) > 0
    assert "large" in " ".join(why)
    assert len(ids(tmp_path)) == int(kept)
    assert segments(tmp_path)[0].read_bytes().endswith(b"\n")


def test_a_folder_that_cannot_be_made_drops(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    writer = SpoolWriter(tmp_path / "file" / "spool")
    assert writer.put("task", "a", 1.0, {}) is False
    assert writer.dropped == 1


def _no_file(path: Path, kind: str) -> None:
    match kind:
        case "folder":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")


@pytest.mark.parametrize("kind", ["folder", "fifo", "device"])
def test_what_is_no_file_is_told_and_holds_up_no_other(tmp_path: Path, kind: str) -> None:
    writer = SpoolWriter(tmp_path)
    writer.put("task", "a", 1.0, {})
    writer.close()
    _no_file(tmp_path / "events" / "1-1.jsonl", kind)
    source = SpoolSource(tmp_path)
    (read,) = source.after(None, 10)
    assert source.problem == f"{tmp_path}/events/1-1.jsonl can't be read: it is no regular file. Remove it"
    source.arrived({**dict(read[0]), "1-1.jsonl": 0})  # type: ignore[call-overload]  # positions are objects to others
    assert [path.name for path in segments(tmp_path)] == ["1-1.jsonl"]
    assert SpoolWriter(tmp_path).put("task", "b", 1.0, {})


@pytest.mark.parametrize("length", [MAX_EVENT_BYTES + 1, 3 * MAX_EVENT_BYTES])
def test_a_line_that_nobody_wrote_hides_nothing_behind_it(tmp_path: Path, length: int) -> None:
    writer = SpoolWriter(tmp_path)
    writer.put("task", "a", 1.0, {})
    path = segments(tmp_path)[0]
    with path.open("ab") as file:
        file.write(b"\x00" * length + b"\n")
    writer.put("task", "b", 1.0, {})
    writer.close()
    found = SpoolSource(tmp_path).after(None, 10)
    assert [item.id for _p, item in found] == ["a", f"events/{path.name}", "b"]
    SpoolSource(tmp_path).arrived(found[-1][0])
    assert segments(tmp_path) == []


def test_an_empty_variable_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert require_folder(tmp_path / "spool").is_dir()
    monkeypatch.setenv("TIDEGATE_SPOOL", "")
    with pytest.raises(BadInput, match="it is empty"):
        require_folder(tmp_path)


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "events").write_text("no folder")
    source = SpoolSource(tmp_path)
    assert source.after(None, 10) == []
    assert source.problem == f"{tmp_path}/events can't be read: Not a directory"


def test_what_is_in_trouble_or_was_not_taken_is_told_of_ones_own_sinks(tmp_path: Path) -> None:
    sinks = [
        {"sink": "splunk", "why": "busy", "set_aside": 0},
        {"sink": "graphite", "why": "", "set_aside": 2},
        {"sink": "graphite-web", "why": "down", "set_aside": 0},
    ]
    (tmp_path / STATUS).write_text(json.dumps({"pid": 7, "sinks": sinks}))
    assert problems(tmp_path, ["splunk"], 8) == []
    assert problems(tmp_path, ["splunk", "graphite"], 7) == [
        "splunk: busy. The events are kept",
        "graphite: 2 events were not taken",
    ]
    assert problems(tmp_path / "none", ["splunk"], 7) == []
