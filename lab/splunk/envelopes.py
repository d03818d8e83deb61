"""The body of /services/collector/event: JSON objects, one after the other, each an event in its envelope.

Page.FORMAT, «Event metadata» and «Event data»: the keys; that objects are stacked and not in a JSON array (Splunk
itself takes an array, Page.OBSERVED; here it is refused). The page says nothing of other keys; Splunk answers 200 and
drops the event (Page.OBSERVED), which a client would never notice: here it is refused as invalid.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lab.splunk.codes import Code, Refused
from lab.splunk.configuration import Token

_TEXTS = ("host", "source", "sourcetype", "index")
_KEYS = frozenset({"time", "event", "fields", *_TEXTS})
_SPACE = re.compile(r"[ \t\r\n]*")
# «UNIX time format, <sec>.<ms>»: an exponent is answered with code 15 (Page.OBSERVED).
_TIME = re.compile(r"\d{1,11}(?:\.\d{1,9})?")


# Not frozen: that makes it four times as slow to build.
@dataclass(slots=True)
class Envelope:
    """One event as it is to be indexed; `time` is epoch seconds as written, or None for the time of arrival."""

    time: str | None
    host: str | None
    source: str
    sourcetype: str
    index: str
    event: Any
    fields: Mapping[str, Any]


class _Written(float):
    """A float that remembers how it was written: only that tells an exponent from a plain decimal."""

    text: str


def _written(text: str) -> _Written:
    number = _Written(text)
    number.text = text
    return number


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


_DECODER = json.JSONDecoder(parse_float=_written, parse_constant=_no_constant)


def envelopes(body: bytes, token: Token, max_event_size: int) -> Iterator[Envelope]:
    """The events of a body, in order. Raises Refused with the number of the first one that can't be taken.

    What was given before that stays: Splunk indexes the objects before the refused one (Page.OBSERVED).
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(Code.INVALID_DATA_FORMAT, 0) from error
    number, at = 0, _after_space(text, 0)
    if at == len(text):
        raise Refused(Code.NO_DATA)
    while at < len(text):
        try:
            found, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise Refused(Code.INVALID_DATA_FORMAT, number) from error
        if end - at > max_event_size:
            # Page.INPUTS, maxEventSize: «disregards and triggers a parsing error».
            raise Refused(Code.INVALID_DATA_FORMAT, number)
        yield _envelope(found, number, token)
        number, at = number + 1, _after_space(text, end)


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _envelope(found: object, number: int, token: Token) -> Envelope:
    if not isinstance(found, dict) or not _KEYS.issuperset(found):
        raise Refused(Code.INVALID_DATA_FORMAT, number)
    if any(not isinstance(found.get(key, ""), str) for key in _TEXTS):
        raise Refused(Code.INVALID_DATA_FORMAT, number)
    if found.get("event") is None:
        raise Refused(Code.EVENT_REQUIRED, number)
    if found["event"] == "":
        raise Refused(Code.EVENT_BLANK, number)
    index = found.get("index") or token.index
    if not allowed(index, token):
        # The number is that of the object behind it (Page.OBSERVED): don't find an event by it.
        raise Refused(Code.INCORRECT_INDEX, number + 1)
    return Envelope(
        time=_time(found.get("time"), number),
        host=found.get("host"),
        source=found.get("source") or token.default_source,
        sourcetype=found.get("sourcetype") or token.sourcetype,
        index=index,
        event=found["event"],
        fields=_fields(found.get("fields", {}), number),
    )


def allowed(index: str, token: Token) -> bool:
    """Page.INPUTS, `indexes`: «if you do not specify this value, any index can be used»."""
    return not token.indexes or index in token.indexes or index == token.index


def _time(given: object, number: int) -> str | None:
    """Page.FORMAT, `time`; a number or the same in a string, as the page's examples have both."""
    if given is None:
        return None
    written = given.text if isinstance(given, _Written) else str(given)
    if isinstance(given, bool) or not isinstance(given, int | float | str) or not _TIME.fullmatch(written):
        raise Refused(Code.INDEXED_FIELDS, number)
    return written


def _fields(given: object, number: int) -> dict[str, Any]:
    """Page.FIELDS: «a flat (not nested) list»; a value is a text, a number or a list of texts (its example)."""
    if not isinstance(given, dict):
        raise Refused(Code.INVALID_DATA_FORMAT, number)
    for value in given.values():
        flat = (
            all(isinstance(one, str) for one in value)
            if isinstance(value, list)
            else isinstance(value, str | int | float)
        )
        if not flat:
            raise Refused(Code.INDEXED_FIELDS, number)
    return given
