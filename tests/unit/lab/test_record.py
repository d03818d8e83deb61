from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Refused
from lab import record
from lab.layout import Layout


def test_a_state_folder_remembers_its_network(tmp_path: Path) -> None:
    state = tmp_path / "lab"
    assert record.remembered_net(state) is None
    record.claim(Layout("127.250", state))
    record.claim(Layout("127.250", state))
    assert record.remembered_net(state) == "127.250"


def test_another_network_is_refused_and_nothing_touched(tmp_path: Path) -> None:
    state = tmp_path / "lab"
    record.claim(Layout("127.250", state))
    with pytest.raises(Refused, match=r"has the network 127\.250, not 127\.251.*--net 127\.250.*--purge"):
        record.claim(Layout("127.251", state))
    assert record.remembered_net(state) == "127.250"


def test_a_folder_with_other_things_in_it_is_no_lab(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(BadInput, match="is no folder of a lab"):
        record.claim(Layout("127.250", tmp_path))
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "null"])
def test_a_record_that_cannot_be_read_says_so(tmp_path: Path, content: str) -> None:
    (tmp_path / "lab.json").write_text(content)
    with pytest.raises(BadInput, match=r"record can't be read.*lab\.json"):
        record.remembered_net(tmp_path)


def test_a_short_folder_that_is_a_link_is_not_used(tmp_path: Path) -> None:
    layout = Layout("127.250", tmp_path / ("d" * 60))
    layout.runtime.symlink_to(tmp_path)
    try:
        with pytest.raises(BadInput, match="belongs to somebody else"):
            record.claim(layout)
    finally:
        layout.runtime.unlink()


def test_the_runtime_folder_is_closed_to_others(tmp_path: Path) -> None:
    layout = Layout("127.250", tmp_path / "lab")
    record.claim(layout)
    assert layout.runtime.stat().st_mode & 0o077 == 0
