"""Graphite-web as a sink: markers by its events API.

It knows no duplicates: each marker has its event's id as a tag, and is looked for before it is posted (Graphite
documentation, «Graphite Events»; graphite-web 1.1.8, events/views.py).
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tidegate.shipping.graphite.markers import Marker, marker
from tidegate.shipping.graphite.settings import WebSettings
from tidegate.shipping.http import FAILURES, OF_THE_MOMENT, Header, HttpAnswer, HttpServer, seconds, why
from tidegate.shipping.sinks import BATCH, Answer, Delivered, Item, Kind, Refused, Retry

_POST = "/events/"
_LOOK = "/events/get_data"
# Two requests for each marker: what a slow one takes in the time that there is must be enough to get on.
FEW = 20
_JSON = {"Content-Type": "application/json"}
# The proxy in front does the authorization: graphite-web itself has none for events.
_REMEDY = {
    401: "Set user and password_file",
    403: "Allow this user to read and write /events",
    404: "Is web the URL of graphite-web?",
    405: "Is web the URL of graphite-web?",
    407: "Set user and password_file",
}


class Meaning(StrEnum):
    """What an answer's status says of what was asked."""

    TAKEN = "taken"
    BAD_EVENT = "bad_event"
    RETRY = "retry"
    MISCONFIGURED = "misconfigured"


@dataclass(frozen=True, slots=True)
class _Told:
    """Whether a marker is there; if not, the answer that ends this try, or why no try can put it there."""

    there: bool = False
    answer: Retry | Refused | None = None
    bad: str = ""


class GraphiteWebSink:
    """One graphite-web."""

    kinds: frozenset[Kind] = frozenset({"event"})

    def __init__(self, settings: WebSettings) -> None:
        self.name = "graphite-web"
        self.problem = ""
        self.batch = FEW
        self._timeout = settings.timeout
        self._server = HttpServer(
            settings.web,
            Header(_basic(settings.user, settings.password) if settings.user else ""),
            timeout=settings.timeout,
            ca_file=settings.ca_file,
            validate_certs=settings.validate_certs,
        )
        # Of a batch that comes again.
        self._there: set[str] = set()
        self._took = False

    def deliver(self, batch: Sequence[Item]) -> Answer:
        """Post the markers that are not there yet, without those that it refuses.

        Where it has never taken any, what it says is not about one marker: something between may refuse them all.
        """
        refused = ""
        bad: dict[int, str] = {}
        for place, item in enumerate(batch):
            try:
                made = marker(item.fields, item.at)
            except (LookupError, TypeError, ValueError) as error:
                bad[place] = f"it can't be told: {type(error).__name__}"
                continue
            if made is None or made.id_tag in self._there:
                continue
            told = self._put(made)
            if told.answer is not None:
                return told.answer
            if told.bad:
                bad[place] = refused = told.bad
            else:
                self._there.add(made.id_tag)
        if refused and not self._took:
            # One that it takes may come much later.
            self.batch = BATCH
            return Retry(f"none is taken, so none is set aside: {refused}")
        self._there.clear()
        self.batch = FEW
        return Delivered(bad)

    def settled(self) -> tuple[set[int], set[int]]:
        """Nothing is ever on its way."""
        return set(), set()

    def close(self) -> None:
        """End its connections."""
        self._server.close()

    def _put(self, made: Marker) -> _Told:
        looked = self._look(made)
        # Whoever posted it, this graphite-web took it.
        self._took = self._took or looked.there
        if looked.there or looked.answer is not None:
            return looked
        try:
            answer = self._server.ask("POST", _POST, body=made.body(), headers=_JSON)
        except FAILURES as error:
            # It may still be written: who looks too soon finds nothing, and posts it twice.
            return _Told(answer=Retry(why(error), self._timeout))
        match meaning(answer.status):
            case Meaning.TAKEN:
                self._took = True
                return _Told(there=True)
            case Meaning.BAD_EVENT:
                return _Told(bad=f"graphite-web answers HTTP {answer.status}")
            case other:
                return _Told(answer=_ending(other, answer))

    def _look(self, made: Marker) -> _Told:
        # Without `until` what is in the future is left out, by a clock that isn't ours.
        query: dict[str, str | int] = {"tags": made.id_tag, "set": "intersection"}
        query |= {"from": max(0, made.when - 1), "until": made.when + 1}
        try:
            answer = self._server.ask("GET", _LOOK, query=query)
        except FAILURES as error:
            return _Told(answer=Retry(why(error)))
        said = meaning(answer.status)
        if said is not Meaning.TAKEN:
            return _Told(answer=_ending(Meaning.RETRY if said is Meaning.RETRY else Meaning.MISCONFIGURED, answer))
        found = _events(answer.body)
        if found is None:
            return _Told(answer=Refused(f"HTTP {answer.status}, but no list of events. {_REMEDY[404]}"))
        return _Told(there=found)


def meaning(status: int) -> Meaning:
    """Judge the status of an answer to a marker."""
    if 200 <= status < 300:
        return Meaning.TAKEN
    if status in OF_THE_MOMENT or status >= 500:
        return Meaning.RETRY
    if status < 400 or status in _REMEDY:
        return Meaning.MISCONFIGURED
    return Meaning.BAD_EVENT


def _ending(said: Meaning, answer: HttpAnswer) -> Retry | Refused:
    if said is Meaning.RETRY:
        return Retry(f"HTTP {answer.status}", seconds(answer.retry_after))
    moved = "It redirects: set web to where it leads" if 300 <= answer.status < 400 else ""
    return Refused(f"HTTP {answer.status}. {moved or _REMEDY.get(answer.status, _REMEDY[404])}")


def _events(body: bytes) -> bool | None:
    """Whether there is any; None for what is no list of events."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, list) or not all(isinstance(each, dict) and "tags" in each for each in found):
        return None
    return bool(found)


def _basic(user: str, password: str) -> str:
    """RFC 7617, in UTF-8."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()
