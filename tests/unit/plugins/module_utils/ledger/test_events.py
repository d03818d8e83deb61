from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import (
    MAX_EVENT_BYTES,
    MAX_INT,
    MAX_ITEMS,
    MAX_LIST_TEXT,
    MAX_TEXT,
    Event,
    Outcome,
    Step,
    canonical,
    digest,
    genesis,
    json_schema,
    parse,
)

PREV = genesis("lab")
VALIDATOR = Draft202012Validator(json_schema())


def event(**changes: object) -> Event:
    told: dict[str, Any] = {
        "service": "tradeapi",
        "environment": "lab",
        "deployment": "tradeapi-1",
        "attempt": 1,
        "step": Step.HEALTH,
        "outcome": Outcome.OK,
    }
    return Event(**told | changes)


texts = st.text(max_size=3 * MAX_TEXT)
names = st.text(max_size=200)
details = st.dictionaries(
    st.text(min_size=1, max_size=40),
    st.none()
    | st.booleans()
    | st.integers(-MAX_INT, MAX_INT)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
    | st.lists(st.text(max_size=50), max_size=300),
    max_size=5,
)
events = st.builds(
    Event,
    service=names,
    environment=st.text(min_size=1, max_size=200),
    deployment=names,
    attempt=st.integers(0, MAX_INT),
    step=st.sampled_from(Step),
    outcome=st.sampled_from(Outcome),
    site=names,
    wave=st.none() | st.integers(0, 100),
    nodes=st.lists(st.text(min_size=1, max_size=200), max_size=10).map(tuple),
    by=names,
    duration_ms=st.none() | st.integers(0, 10**9),
    details=details,
)


@given(events, st.integers(1, 10**9))
def test_an_event_comes_back_from_its_canonical_text_as_it_was(original: Event, seq: int) -> None:
    text = canonical(original, seq, PREV)
    assert parse(text) == (original, seq, PREV)
    assert canonical(parse(text)[0], seq, PREV) == text


@given(events)
def test_every_event_fits_the_exported_schema(original: Event) -> None:
    record = json.loads(canonical(replace(original, at="2026-01-31T10:00:00.000Z"), 1, PREV))
    assert [error.message for error in VALIDATOR.iter_errors(record)] == []


@pytest.mark.parametrize(
    "change", [{"colour": "red"}, {"step": "dance"}, {"seq": 0}, {"details": {"a": {"b": 1}}}, {"at": "yesterday"}]
)
def test_the_exported_schema_refuses_what_is_no_event(change: dict[str, object]) -> None:
    record = json.loads(canonical(event(at="2026-01-31T10:00:00.000Z"), 1, PREV))
    assert not list(VALIDATOR.iter_errors(record))
    assert list(VALIDATOR.iter_errors(record | change))


@given(events)
def test_the_canonical_text_is_one_line_of_utf8_without_blanks_and_sorted(original: Event) -> None:
    text = canonical(original, 1, PREV)
    text.encode("utf-8")
    assert "\n" not in text
    loaded = json.loads(text)
    assert list(loaded) == sorted(loaded)
    assert text == json.dumps(loaded, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def test_the_order_in_which_details_were_given_does_not_matter() -> None:
    one = event(id="x", details={"a": 1, "b": 2})
    other = event(id="x", details={"b": 2, "a": 1})
    assert canonical(one, 1, PREV) == canonical(other, 1, PREV)


def test_the_digest_is_sha256_over_seq_prev_and_bytes() -> None:
    assert digest(7, "ab", "é") == hashlib.sha256(b"7\nab\n\xc3\xa9").hexdigest()
    assert digest(7, "ab", "é".encode()) == digest(7, "ab", "é")


def test_chains_begin_differently() -> None:
    assert genesis("qa") != genesis("prod")


def test_ids_are_unique() -> None:
    assert event().id != event().id


def test_step_and_outcome_may_be_given_as_texts() -> None:
    made = event(step="join", outcome="changed")
    assert (made.step, made.outcome) == (Step.JOIN, Outcome.CHANGED)
    assert made.step is Step.JOIN


def test_long_texts_are_cut_with_a_mark_that_tells_the_length() -> None:
    cut = event(details={"out": "x" * 5_000}).details["out"]
    assert isinstance(cut, str)
    assert len(cut) == MAX_TEXT
    assert cut.endswith("… [cut, 5000 characters]")
    assert event(details={"out": "x" * MAX_TEXT}).details["out"] == "x" * MAX_TEXT


@pytest.mark.parametrize(("count", "length"), [(500, 3), (201, 3), (200, 2_000)])
def test_long_lists_are_cut_with_a_mark_that_tells_how_much_is_missing(count: int, length: int) -> None:
    kept = event(details={"tests": ["x" * length] * count}).details["tests"]
    assert isinstance(kept, list)
    assert kept[-1] == f"… [cut, {count - len(kept) + 1} more]"
    assert len(kept) <= MAX_ITEMS
    assert sum(map(len, kept[:-1])) <= MAX_LIST_TEXT


def test_a_list_that_fits_is_kept_whole() -> None:
    assert event(details={"tests": ["x"] * MAX_ITEMS}).details["tests"] == ["x"] * MAX_ITEMS


def test_what_utf8_has_no_bytes_for_is_replaced() -> None:
    made = event(service="bad\udc80", details={"file": "n\udcffme"})
    assert (made.service, made.details) == ("bad?", {"file": "n?me"})


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, MAX_INT + 1, -MAX_INT - 1, {"deep": 1}, ["a", 1], [["a"]], b"bytes", object()]
)
def test_details_refuse_what_the_schema_has_no_place_for(value: object) -> None:
    with pytest.raises(BadInput, match=r"details\.found has no place for .* a text, number, truth value or list"):
        event(details={"found": value})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"environment": ""}, "environment must not be empty"),
        ({"id": ""}, "id must not be empty"),
        ({"service": "x" * 201}, "service must be a text of at most 200 characters"),
        ({"service": None}, "service must be a text"),
        ({"attempt": -1}, "attempt must be a whole number of 0 or more, not '-1'"),
        ({"attempt": True}, "attempt must be a whole number"),
        ({"wave": "1"}, "wave must be a whole number"),
        ({"duration_ms": 1.5}, "duration_ms must be a whole number"),
        ({"step": "dance"}, "step 'dance' is not known; allowed are plan, refuse, lock"),
        ({"outcome": "fine"}, "outcome 'fine' is not known; allowed are started, ok"),
        ({"nodes": "n1"}, "nodes must be a list of names, not 'n1'"),
        ({"nodes": ("n1", "")}, "nodes must not contain an empty name"),
        ({"nodes": (1,)}, "nodes must be a text"),
        ({"details": ["a"]}, "details must be a mapping"),
        ({"details": {str(i): i for i in range(101)}}, "details must be a mapping of at most 100 keys"),
        ({"details": {"": 1}}, "details must not contain an empty key"),
        ({"details": {1: 1}}, "details must be a text"),
    ],
)
def test_a_wrong_event_is_refused_and_says_which_field(change: dict[str, Any], told: str) -> None:
    with pytest.raises(BadInput) as refusal:
        event(**change)
    assert told in str(refusal.value)


def test_an_event_of_more_than_64_kib_is_refused() -> None:
    with pytest.raises(BadInput, match=f"health event has .* an event may have {MAX_EVENT_BYTES}"):
        canonical(event(details={str(i): "é" * 1_999 for i in range(40)}), 1, PREV)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "is not JSON"),
        ("[" * 60_000, "is not JSON"),
        ("[]", "schema is not 1"),
        ('{"schema":2}', "schema is not 1; a newer Tidegate may have written this"),
        ('{"schema":1,"seq":1,"prev":"x","colour":"red"}', "other keys than the schema"),
        ("x" * (MAX_EVENT_BYTES + 1), "is longer than"),
    ],
)
def test_a_text_that_is_no_event_is_refused(text: str, told: str) -> None:
    with pytest.raises(BadInput) as refusal:
        parse(text)
    assert told in str(refusal.value)


def test_an_event_without_seq_is_refused() -> None:
    record = json.loads(canonical(event(), 1, PREV))
    del record["seq"]
    with pytest.raises(BadInput, match="seq must be a whole number"):
        parse(json.dumps(record))


def test_the_json_schema_names_exactly_the_keys_of_an_event() -> None:
    record = json.loads(canonical(event(at="2026-01-31T10:00:00.000Z"), 1, PREV))
    schema = json_schema()
    assert set(schema["properties"]) == set(record) == set(schema["required"])
    assert schema["additionalProperties"] is False
    assert "puppet" in schema["properties"]["step"]["enum"]


def test_only_a_step_that_is_done_is_good() -> None:
    assert [outcome for outcome in Outcome if outcome.good] == [Outcome.OK, Outcome.CHANGED, Outcome.UNCHANGED]
