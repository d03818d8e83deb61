"""What an answer of Splunk's HTTP Event Collector means for what was sent.

Codes and texts: Splunk Enterprise, Getting Data In, «Troubleshoot HTTP Event Collector», «Possible error codes».
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import excerpt
from tidegate.shipping.http import MAX_ANSWER, OF_THE_MOMENT, seconds

_TEXT = 200
# The event, or a part of the batch, is at fault: 5 No data, 6 Invalid data format, 12 Event field is required,
# 13 Event field cannot be blank, 15 Error in handling indexed fields.
_OF_EVENTS = frozenset({5, 6, 12, 13, 15})
# 1 to 4 and 16 are the token's, 7 is the index', 10 and 11 the channel's, 14 the acknowledgement's.
_OF_CONFIGURATION = frozenset({1, 2, 3, 4, 7, 10, 11, 14, 16, 21, 22})
# 8 Internal server error, 9 Server is busy, 18 to 20 unhealthy, 23 Server is shutting down, 26 and 27 at capacity.
_OF_THE_MOMENT = frozenset({8, 9, 18, 19, 20, 23, 26, 27})
_TOO_LARGE = 413
_REMEDY = {
    1: "Enable the token in Splunk",
    2: "Give url a token: token_file",
    3: "Write the token alone into token_file",
    4: "Write a token that this Splunk knows into token_file",
    7: "Allow the token this index in Splunk, or set another one",
    14: "Turn on indexer acknowledgement for the token, or set acknowledge: no",
}


class Meaning(StrEnum):
    """What to do next."""

    TAKEN = "taken"
    BAD_EVENT = "bad_event"
    TOO_LARGE = "too_large"
    RETRY = "retry"
    MISCONFIGURED = "misconfigured"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`event`: the position in the batch that is at fault, where it was told. `ack`: the number to ask for."""

    meaning: Meaning
    why: str = ""
    event: int | None = None
    ack: int | None = None
    after_s: float | None = None


def verdict(status: int, body: bytes, retry_after: str | None = None) -> Verdict:
    """Judge an answer. An answer that isn't whole or isn't HEC's is none: what was sent may or may not have arrived."""
    answer = _parsed(body)
    code = answer.get("code")
    text = f"HTTP {status}: {excerpt(str(answer.get('text', '')), _TEXT) or 'no answer of an event collector'}"
    if status == 200:
        if not isinstance(code, int):
            return Verdict(Meaning.RETRY, text)
        ack = answer.get("ackId")
        return Verdict(Meaning.TAKEN, ack=ack if isinstance(ack, int) else None)
    if status == _TOO_LARGE:
        return Verdict(Meaning.TOO_LARGE, text)
    if code in _OF_THE_MOMENT or (code is None and status in OF_THE_MOMENT):
        return Verdict(Meaning.RETRY, text, after_s=seconds(retry_after))
    if code in _OF_EVENTS:
        event = answer.get("invalid-event-number")
        return Verdict(Meaning.BAD_EVENT, text, event=event if isinstance(event, int) else None)
    if code in _OF_CONFIGURATION:
        return Verdict(Meaning.MISCONFIGURED, f"{text}. {_REMEDY.get(code, 'See the token in Splunk')}")
    if status in OF_THE_MOMENT:
        return Verdict(Meaning.RETRY, text, after_s=seconds(retry_after))
    return Verdict(Meaning.MISCONFIGURED, f"{text}. Is url that of an HTTP Event Collector (https://HOST:8088)?")


def acknowledged(status: int, body: bytes) -> set[int] | None:
    """The numbers that have arrived for good, of those asked for; None when the answer tells nothing."""
    acks = _parsed(body).get("acks")
    if status != 200 or not isinstance(acks, dict):
        return None
    return {int(number) for number, there in acks.items() if there is True and str(number).isdigit()}


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body[:MAX_ANSWER])
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
