from __future__ import annotations

import subprocess
from functools import partial
from pathlib import Path

import pytest
import yaml

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, DomainError, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import LocalShell, PosixNode
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.hiera import with_pins, without_pins
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.node_fact import FACT, fact_file
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.pins import Edit, change
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.place import Place
from lab.programs import program
from tests.waiting import PATIENCE_S

VALUES = {"shop::version": "1e5", "shop::digest": "abc"}


def is_open(deployment: str) -> bool:
    return deployment != "dead"


def pinning(values: dict[str, str], deployment: str = "d1") -> Edit:
    return partial(with_pins, values=values, deployment=deployment, is_open=is_open)


def removing(*keys: str) -> Edit:
    return partial(without_pins, keys=keys, deployment="d1", is_open=is_open)


def edited(before: str | None, edit: Edit) -> str | None:
    data = None if before is None else before.encode()
    after = Place.FACT.written(edit(Place.FACT.read("n1: pins", data)))
    return None if after is None else after.decode()


def test_pins_are_one_fact_whose_text_facter_reads_as_text(tmp_path: Path) -> None:
    text = edited(None, pinning(VALUES))
    assert text == (
        "# written by tidegate; deployment d1\n"
        "# tidegate: shop::digest is pinned by deployment d1\n"
        "# tidegate: shop::version is pinned by deployment d1\n"
        'tidegate_pins:\n  shop::version: "1e5"\n  shop::digest: "abc"\n'
    )
    (tmp_path / "tidegate_pins.yaml").write_text(text)
    asked = [program("facter"), "--external-dir", str(tmp_path), "--yaml", FACT]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    assert yaml.safe_load(done.stdout) == {FACT: VALUES}


def test_what_was_pinned_is_read_back_with_its_owner_and_goes_again() -> None:
    text = edited(None, pinning(VALUES))
    assert text is not None
    file = Place.FACT.read("n1: pins", text.encode())
    assert (file.values, set(file.owners.values())) == (VALUES, {"d1"})
    less = edited(text, removing("shop::digest"))
    assert less is not None and yaml.safe_load(less) == {FACT: {"shop::version": "1e5"}}
    assert edited(less, removing("shop::version")) is None


def test_other_keys_and_comments_of_people_stay() -> None:
    theirs = "# Ann\n---\ntidegate_pins:\n  # until Friday\n  feed::version: '3'\n"
    text = edited(theirs, pinning(VALUES))
    assert text is not None and yaml.safe_load(text) == {FACT: {**VALUES, "feed::version": "3"}}
    assert "# Ann\n" in text and "# until Friday\n" in text
    back = edited(text, removing(*VALUES))
    assert back is not None and yaml.safe_load(back) == {FACT: {"feed::version": "3"}}


def test_a_file_in_another_shape_is_written_anew() -> None:
    text = edited("# Ann\ntidegate_pins: {feed::version: 1e5, feed::port: 80}\n", pinning(VALUES))
    assert text is not None and yaml.safe_load(text)[FACT] == {**VALUES, "feed::version": "1e5", "feed::port": 80}
    assert 'feed::version": "1e5"' in text, "Ruby reads a plain one as a number"


def test_a_pin_of_somebody_else_is_refused_and_one_of_a_dead_deployment_is_ours() -> None:
    with pytest.raises(Refused, match="shop::version is pinned to 3 by someone else"):
        edited("tidegate_pins: {shop::version: '3'}\n", pinning(VALUES))
    left = edited(None, pinning({"shop::version": "3"}, "dead"))
    text = edited(left, pinning(VALUES))
    assert text is not None and yaml.safe_load(text)[FACT] == VALUES


@pytest.mark.parametrize("text", ["tidegate_pins: []\n", "rack: 7\ntidegate_pins: {}\n", "rack: 7\n", "- a\n", "{"])
def test_a_file_that_is_not_just_the_fact_is_left_as_it_is(text: str) -> None:
    with pytest.raises(BadInput, match="n1: pins"):
        edited(text, pinning(VALUES))


@pytest.mark.parametrize("text", ["", "# nothing\n", "tidegate_pins:\n"])
def test_nothing_pinned(text: str) -> None:
    assert dict(Place.FACT.read("n1: pins", text.encode()).values) == {}


@pytest.mark.parametrize(
    ("folder", "path"),
    [
        ("/etc/facter/facts.d/", "/etc/facter/facts.d/tidegate_pins.yaml"),
        (r"C:\ProgramData\facts.d", r"C:\ProgramData\facts.d\tidegate_pins.yaml"),
    ],
)
def test_the_file_below_the_folder(folder: str, path: str) -> None:
    assert fact_file(folder) == path


def test_on_every_node_or_on_none(tmp_path: Path) -> None:
    nodes = {name: PosixNode(name, LocalShell()) for name in ("n1", "n2")}
    folders = {name: str(tmp_path / name) for name in nodes}
    edits = {name: {fact_file(folders[name]): pinning(VALUES)} for name in nodes}
    (tmp_path / "n2").write_text("a file where a folder should be")
    with pytest.raises(DomainError, match=r"nothing is changed on any server|could not be taken back on n2 "):
        change(nodes, folders, edits, Place.FACT)
    assert not (tmp_path / "n1" / "tidegate_pins.yaml").exists()
    (tmp_path / "n2").unlink()
    change(nodes, folders, edits, Place.FACT)
    unchanged = change(nodes, folders, edits, Place.FACT)
    assert not any(each.changed for each in unchanged)
    assert yaml.safe_load((tmp_path / "n2" / "tidegate_pins.yaml").read_text()) == {FACT: VALUES}


def nested(levels: int, width: int) -> str:
    """Lists of lists by aliases: `width ** levels` values."""
    lines = [f"  a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * width)}]\n" for at in range(1, levels)]
    return f"{FACT}:\n  a0: &a0 [x]\n{''.join(lines)}"


def merged(levels: int, width: int) -> str:
    lines = [f"  a{at}: &a{at}\n    <<: [{', '.join([f'*a{at - 1}'] * width)}]\n" for at in range(1, levels)]
    return f"{FACT}:\n  a0: &a0 {{x: y}}\n{''.join(lines)}"


@pytest.mark.parametrize("text", [nested(40, 9), merged(40, 9), f"{FACT}: &a\n  x: *a\n"])
def test_a_node_can_not_keep_us_busy_with_aliases(text: str) -> None:
    with pytest.raises(BadInput, match=r"an alias \(\*name\) stands there") as error:
        Place.FACT.read("n1: pins", text.encode())
    assert error.value.where == "n1: pins"


@pytest.mark.parametrize(
    "value",
    [
        "!!int ''",
        "!!bool x",
        "!!timestamp x",
        "2026-13-45",
        "9" * 5000,
        "[" * 450 + "]" * 450,
    ],
)
def test_a_value_that_is_none_is_told_and_no_traceback(value: str) -> None:
    with pytest.raises(BadInput, match="the Hiera file can't be read"):
        Place.FACT.read("n1: pins", f"{FACT}: {{a: {value}}}\n".encode())
