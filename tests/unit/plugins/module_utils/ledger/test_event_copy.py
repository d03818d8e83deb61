from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DeadlineExceeded
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger import event_copy
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.event_copy import catch_up, last_seq
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import MAX_EVENT_BYTES


def line(seq: int, text: str = "") -> str:
    return json.dumps({"seq": seq, "text": text}, ensure_ascii=False)


class Source:
    """A ledger of these seqs that remembers what it was asked."""

    def __init__(self, *seqs: int, text: str = "") -> None:
        self.lines = {seq: line(seq, text) for seq in seqs}
        self.asked: list[int] = []

    def after(self, since: int) -> Iterator[str]:
        self.asked.append(since)
        return (text for seq, text in self.lines.items() if seq > since)

    @property
    def whole(self) -> str:
        return "".join(f"{text}\n" for text in self.lines.values())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def test_a_new_file_gets_everything_and_is_only_its_owners(path: Path) -> None:
    source = Source(3, 7)
    assert catch_up(path, source.after) == 2
    assert path.read_text() == source.whole
    assert path.stat().st_mode & 0o777 == 0o600


def test_only_what_came_since_is_asked_for(path: Path) -> None:
    catch_up(path, Source(3, 7).after)
    source = Source(3, 7, 12)
    assert catch_up(path, source.after) == 1
    assert source.asked == [7]
    assert path.read_text() == source.whole


def test_nothing_new_changes_nothing(path: Path) -> None:
    source = Source(3)
    catch_up(path, source.after)
    assert catch_up(path, source.after) == 0
    assert path.read_text() == source.whole


@pytest.mark.parametrize("kept", range(1, len(line(7, "Größe")) + 1))
def test_a_line_torn_anywhere_is_written_again_whole(path: Path, kept: int) -> None:
    source = Source(3, 7, text="Größe")
    whole = source.whole.encode()
    first = whole.index(b"\n") + 1
    path.write_bytes(whole[: first + kept])
    catch_up(path, source.after)
    assert path.read_bytes() == whole


def test_a_first_line_that_was_torn_is_written_again(path: Path) -> None:
    path.write_bytes(b'{"seq": 3, "te')
    source = Source(3)
    catch_up(path, source.after)
    assert path.read_text() == source.whole


@pytest.mark.parametrize(
    "rubbish", [b"\0" * 300_000, b"not JSON\n", b'{"no": "seq"}\n', b'{"seq": "7"}\n', b"[1]\n", b"\n", b"x" * 300_000]
)
def test_what_is_no_event_at_the_end_has_all_written_anew(path: Path, rubbish: bytes) -> None:
    """A power cut can leave blocks of zeros where a file had grown."""
    source = Source(3, 7)
    path.write_bytes(source.whole.encode() + rubbish)
    catch_up(path, source.after)
    assert path.read_text() == source.whole


def test_the_longest_event_is_found_at_the_end(path: Path) -> None:
    text = "x" * (MAX_EVENT_BYTES - len(line(7)))
    source = Source(3, 7, text=text)
    catch_up(path, source.after)
    assert last_seq(path) == 7
    path.write_bytes(source.whole.encode()[:-2])
    catch_up(path, source.after)
    assert path.read_text() == source.whole


def test_a_separator_that_json_leaves_as_it_is_ends_no_line(path: Path) -> None:
    source = Source(3, 7, text="a\u2028b\x85c")
    catch_up(path, source.after)
    assert path.read_bytes().count(b"\n") == 2
    assert last_seq(path) == 7


def bytes_read() -> int:
    """What this process has read so far, by the kernel's count."""
    return int(Path("/proc/self/io").read_text().split()[1])


def test_the_cost_is_of_what_is_missing_not_of_what_is_there(path: Path) -> None:
    """Five thousand events of 200 nodes: adding one reads the file's tail and no more."""
    catch_up(path, Source(*range(1, 5_001), text="x" * 500).after)
    before = bytes_read()
    assert catch_up(path, lambda seq: [line(seq + 1)]) == 1
    assert path.stat().st_size > 2_500_000
    assert bytes_read() - before < 300_000


def test_no_file_has_no_last_event(path: Path) -> None:
    assert last_seq(path) == 0


def test_a_link_in_its_place_is_not_followed(path: Path, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("mine")
    path.symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic"):
        catch_up(path, Source(3).after)
    assert (tmp_path / "other").read_text() == "mine"


def test_a_lock_that_nobody_lets_go_is_given_up(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_copy, "LOCK_LIMIT_S", 0.05)
    with path.open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(DeadlineExceeded, match=r"kept the file locked.*fuser"):
            catch_up(path, Source(3).after)
