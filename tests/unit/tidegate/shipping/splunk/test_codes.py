"""What each answer of an event collector means."""

from __future__ import annotations

import json

import pytest

from lab.splunk.codes import Code
from tidegate.shipping.http import seconds
from tidegate.shipping.splunk.codes import Meaning, acknowledged, verdict

MEANINGS = {
    Meaning.TAKEN: {"SUCCESS", "HEALTHY", "QUEUE_NEARLY_FULL", "ACK_NEARLY_FULL"},
    Meaning.BAD_EVENT: {"NO_DATA", "INVALID_DATA_FORMAT", "EVENT_REQUIRED", "EVENT_BLANK", "INDEXED_FIELDS"},
    Meaning.RETRY: {
        *("INTERNAL_ERROR", "BUSY", "QUEUES_FULL", "ACKS_UNAVAILABLE", "QUEUES_FULL_ACKS_UNAVAILABLE"),
        *("SHUTTING_DOWN", "QUEUE_AT_CAPACITY", "ACK_AT_CAPACITY"),
    },
    Meaning.MISCONFIGURED: {
        *("TOKEN_DISABLED", "TOKEN_REQUIRED", "INVALID_AUTHORIZATION", "INVALID_TOKEN", "INCORRECT_INDEX"),
        *("CHANNEL_MISSING", "INVALID_CHANNEL", "ACK_DISABLED", "NO_QUERY_TOKEN"),
        *("HEALTH_INVALID_TOKEN", "HEALTH_TOKEN_DISABLED"),
    },
}


@pytest.mark.parametrize("code", Code)
def test_every_documented_code_has_a_meaning(code: Code) -> None:
    body = json.dumps({"text": code.text, "code": code.number}).encode()
    wanted = next(meaning for meaning, names in MEANINGS.items() if code.name in names)
    assert verdict(code.status, body).meaning is wanted


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (200, b"", Meaning.RETRY),
        (200, b'{"text":"Succ', Meaning.RETRY),
        (200, b"<html>Welcome</html>", Meaning.RETRY),
        (502, b"<html>bad gateway</html>", Meaning.RETRY),
        (504, b"", Meaning.RETRY),
        (413, b"<html>", Meaning.TOO_LARGE),
        (404, b"<html>", Meaning.MISCONFIGURED),
        (301, b"", Meaning.MISCONFIGURED),
        (200, b"[" * 100_000, Meaning.RETRY),
    ],
)
def test_what_is_no_answer_of_a_collector(status: int, body: bytes, meaning: Meaning) -> None:
    assert verdict(status, body).meaning is meaning


def test_which_event_it_was_and_what_to_ask_for() -> None:
    assert verdict(400, b'{"code":6,"text":"Invalid data format","invalid-event-number":3}').event == 3
    assert verdict(200, b'{"code":0,"text":"Success","ackId":7}').ack == 7


@pytest.mark.parametrize(
    ("header", "wanted"),
    [("5", 5.0), ("0", 0.0), ("9999999", 600.0), ("Wed, 21 Oct 2015 07:28:00 GMT", None), (None, None)],
)
def test_when_it_may_be_tried_again(header: str | None, wanted: float | None) -> None:
    assert seconds(header) == wanted


def test_acknowledged_are_those_that_say_true() -> None:
    assert acknowledged(200, b'{"acks":{"0":true,"1":false,"2":"true"}}') == {0}
    assert acknowledged(503, b'{"acks":{"0":true}}') is None
    assert acknowledged(200, b"x") is None
