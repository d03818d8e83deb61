from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.hiera import (
    HieraFile,
    checked_values,
    node_file,
    read_hiera,
    with_common,
    with_pins,
    without_pins,
)

PATH = "puppet: /r/nodes/n1.yaml"
PINS = {"tradeapi::version": "1.1.0", "tradeapi::digest": "12e45"}


def nobody(_deployment: str) -> bool:
    return False


def everybody(_deployment: str) -> bool:
    return True


def again(text: str) -> HieraFile:
    return read_hiera(PATH, text.encode())


def test_a_new_file_says_whose_it_is_and_quotes_texts() -> None:
    text = with_pins(HieraFile(PATH), PINS, "d1", nobody)
    assert text.splitlines() == [
        "# written by tidegate; deployment d1",
        "# tidegate: tradeapi::digest is pinned by deployment d1",
        "# tidegate: tradeapi::version is pinned by deployment d1",
        'tradeapi::version: "1.1.0"',
        'tradeapi::digest: "12e45"',
    ]
    assert again(text).values == PINS
    assert again(text).owners == {"tradeapi::version": "d1", "tradeapi::digest": "d1"}


def test_pinning_again_changes_nothing() -> None:
    text = with_pins(HieraFile(PATH), PINS, "d1", nobody)
    assert with_pins(again(text), PINS, "d1", everybody) == text


def test_other_keys_and_peoples_comments_stay() -> None:
    theirs = "# keep me\npricefeed::version: '2.0'  # asked for by Ann\nlist:\n  - a\n  - b\n"
    text = with_pins(again(theirs), PINS, "d1", nobody)
    assert theirs in text
    assert again(text).values == {**yaml.safe_load(theirs), **PINS}
    assert without_pins(again(text), PINS, "d1", nobody).endswith(theirs)


def test_two_deployments_pin_a_shared_node_side_by_side() -> None:
    text = with_pins(HieraFile(PATH), {"pricefeed::version": "2"}, "d1", everybody)
    text = with_pins(again(text), PINS, "d2", everybody)
    assert again(text).owners["pricefeed::version"] == "d1"
    left = without_pins(again(text), ["pricefeed::version", *PINS], "d2", everybody)
    assert again(left).values == {"pricefeed::version": "2"}
    assert again(left).owners == {"pricefeed::version": "d1"}


def test_a_pin_of_an_unfinished_deployment_is_theirs() -> None:
    text = with_pins(HieraFile(PATH), {"a::v": "1"}, "d1", nobody)
    with pytest.raises(Refused, match=r"a::v is pinned to 1 by deployment d1, which is not finished") as error:
        with_pins(again(text), {"a::v": "2"}, "d2", everybody)
    assert error.value.where == PATH
    assert "Finish deployment d1 first" in error.value.remedy


def test_a_pin_of_a_finished_deployment_is_taken_over() -> None:
    text = with_pins(HieraFile(PATH), {"a::v": "1"}, "d1", nobody)
    taken = again(with_pins(again(text), {"a::v": "2"}, "d2", nobody))
    assert (taken.values, taken.owners) == ({"a::v": "2"}, {"a::v": "d2"})


def test_a_persons_pin_is_theirs() -> None:
    with pytest.raises(Refused, match="a::v is pinned to 1 by someone else"):
        with_pins(again("a::v: '1'\n"), {"a::v": "2"}, "d1", nobody)
    same = with_pins(again("a::v: '1'\n"), {"a::v": "1"}, "d1", nobody)
    assert same == "a::v: '1'\n"
    assert again(without_pins(again(same), ["a::v"], "d1", nobody)).values == {"a::v": "1"}


def test_the_last_pin_leaves_no_file() -> None:
    text = with_pins(HieraFile(PATH), PINS, "d1", nobody)
    assert without_pins(again(text), PINS, "d1", nobody) == ""
    assert without_pins(HieraFile(PATH), PINS, "d1", nobody) == ""


def test_removing_what_is_not_there_changes_nothing() -> None:
    text = with_pins(HieraFile(PATH), {"a::v": "1"}, "d1", nobody)
    assert without_pins(again(text), ["b::v"], "d2", everybody) == text


def test_the_common_value_is_raised_in_its_line() -> None:
    common = "# all nodes\ntradeapi::version: 1.0.0\npricefeed::version: 2.0.0\n"
    text = with_common(again(common), {"tradeapi::version": "1.1.0"}, "d1")
    assert "# all nodes\n" in text
    assert again(text).values == {"tradeapi::version": "1.1.0", "pricefeed::version": "2.0.0"}
    assert again(text).owners == {}
    assert with_common(again(text), {"tradeapi::version": "1.1.0"}, "d2") == text


@pytest.mark.parametrize(
    "text",
    [
        "{a::v: '1', b: 2}\n",
        '"a::v": "1"\nb: 2\n',
        "a::v: >-\n  1\nb: 2\n",
        "---\na::v: '1'\nb: 2\n...\n",
        "? a::v\n: '1'\nb: 2\n",
    ],
)
def test_any_way_to_write_yaml_is_edited_rightly(text: str) -> None:
    assert again(with_common(again(text), {"a::v": "2"}, "d1")).values == {"a::v": "2", "b": 2}


@settings(deadline=None)
@given(
    existing=st.dictionaries(
        st.from_regex(r"[a-z]{1,4}::[a-z]{1,4}", fullmatch=True), st.text(max_size=20), max_size=5
    ),
    values=st.dictionaries(st.from_regex(r"[a-z]{1,4}::[a-z]{1,4}", fullmatch=True), st.text(max_size=20), max_size=5),
)
def test_what_is_written_reads_back(existing: dict[str, str], values: dict[str, str]) -> None:
    before = again(yaml.safe_dump(existing))
    assert again(with_common(before, values, "d1")).values == {**existing, **values}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"- a\n", "it holds a list"),
        (b"text\n", "it holds a str"),
        (b"a: {\n", "while parsing"),
        (b"\xff\xfe\xfa", "decode"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused_by_name(data: bytes, why: str) -> None:
    with pytest.raises(BadInput, match=why) as error:
        read_hiera(PATH, data)
    assert error.value.where == PATH


@pytest.mark.parametrize("certname", ["../common", "a/b", "", ".hidden", "a\nb", "n1 ", "x" * 300])
def test_a_certname_that_is_a_path_is_refused(certname: str) -> None:
    with pytest.raises(BadInput, match="is no certname"):
        node_file("/r", certname)


def test_where_pins_are() -> None:
    assert node_file("/r/", "n1.lab") == "/r/nodes/n1.lab.yaml"


@pytest.mark.parametrize("values", [{"Bad Key": "1"}, {"a::v": None}, {"a::v": ["1"]}, {"a:b": "1"}, {"a::v\nb": "1"}])
def test_only_scalars_under_puppets_names_are_pinned(values: dict[str, object]) -> None:
    with pytest.raises(BadInput, match="is nothing to pin"):
        checked_values(values)
