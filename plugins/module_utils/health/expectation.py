# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one answer of a service must be like, and what about it differs."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import NoReturn

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import excerpt
from ansible_collections.tidegate.delivery.plugins.module_utils.health.components import Components, component_problems
from ansible_collections.tidegate.delivery.plugins.module_utils.health.http_answer import Answer
from ansible_collections.tidegate.delivery.plugins.module_utils.health.json_path import (
    NotThere,
    look_up,
    parse_json_path,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.values import format_duration

# An epoch this large is in milliseconds: as seconds it would be after the year 5000. And so large it is none at all.
_MILLISECONDS_FROM = 1e11
_LATEST_MILLISECONDS = 1e14
_REDIRECTS = (301, 302, 303, 307, 308)


class Differs(StrEnum):
    """What about an answer is not as expected, the gravest first."""

    NODE = "node"
    RELEASE = "release"
    STARTED = "started"
    STATUS = "status"
    BODY = "body"
    VALUE = "value"
    CHECK = "check"
    NO_ANSWER = "no_answer"
    TOO_SLOW = "too_slow"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as expected, with a sentence for people."""

    kind: Differs
    text: str


@dataclass(frozen=True, slots=True)
class Expected:
    """The value that one place in the answer's JSON must have."""

    path: str
    value: object

    def __post_init__(self) -> None:
        parse_json_path(self.path)


class Clock(StrEnum):
    """Whose clock a time is by."""

    NODE = "node"
    CONTROLLER = "controller"


@dataclass(frozen=True, slots=True)
class StartedAfter:
    """The process must have started later than `after`, a Unix time in seconds by that clock.

    A time by the controller's is moved to the node's by the `Date` that the node's answer has (RFC 9110, 6.6.1).
    """

    path: str
    after: float
    clock: Clock = Clock.NODE

    def __post_init__(self) -> None:
        parse_json_path(self.path)


@dataclass(frozen=True, slots=True)
class Expectation:
    """What one answer must be like."""

    status: tuple[int, ...] = (200,)
    version: Expected | None = None
    digest: Expected | None = None
    started: StartedAfter | None = None
    values: tuple[Expected, ...] = ()
    components: Components | None = None
    served_by: tuple[str, str] | None = None
    """The header that says who answered, and who must have."""
    pid_path: str = "$.pid"
    started_path: str = "$.started"

    def __post_init__(self) -> None:
        if not self.status:
            raise BadInput("no status code is good", where="status", remedy="Name one, such as 200")

    @property
    def reads_json(self) -> bool:
        return bool(self.version or self.digest or self.started or self.values or self.components)


@dataclass(frozen=True, slots=True)
class Release:
    """What a node says that it serves; None for what it doesn't tell."""

    version: str | None = None
    digest: str | None = None
    started: str | None = None
    pid: str | None = None

    @property
    def process(self) -> tuple[str | None, str | None]:
        return self.pid, self.started


@dataclass(frozen=True, slots=True)
class Finding:
    """One judged answer: good when nothing differs."""

    at: float
    seconds: float
    status: int | None
    shown: str
    release: Release
    differences: tuple[Difference, ...] = ()
    told: str = ""
    """What came instead of an HTTP answer, for people."""

    @property
    def good(self) -> bool:
        return not self.differences

    @property
    def only_late(self) -> bool:
        """Whether nothing differs but that it took too long."""
        return bool(self.differences) and all(each.kind is Differs.TOO_SLOW for each in self.differences)

    @property
    def sentence(self) -> str:
        what = "; ".join(difference.text for difference in self.differences) or "as expected"
        when = datetime.fromtimestamp(self.at, UTC).strftime("%H:%M:%SZ")
        if self.told:
            return f"{when} {self.told} after {format_duration(self.seconds)}: {what}"
        status = "no answer" if self.status is None else f"status {self.status}"
        body = f", body {self.shown}" if self.shown else ""
        return f"{when} {status} after {format_duration(self.seconds)}{body}: {what}"


def epoch(value: object) -> float:
    """Unix time of an ISO 8601 time with a zone, or of an epoch in seconds or milliseconds. Raises ValueError."""
    if isinstance(value, bool):
        raise ValueError(f"{value!r} is not a time")
    try:
        number = float(value if isinstance(value, int | float) else str(value))
    except ValueError:
        return _iso_epoch(str(value))
    if not 0 <= number < _LATEST_MILLISECONDS:
        raise ValueError(f"{value!r} is not a time")
    return number / 1000 if number >= _MILLISECONDS_FROM else number


def _iso_epoch(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{excerpt(text, 60)!r} is not a time; write it like 2026-01-31T12:00:00Z") from None
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; write it like 2026-01-31T12:00:00Z")
    return moment.timestamp()


def judge(answer: Answer, expectation: Expectation) -> Finding:
    """What one answer tells, and everything about it that differs from the expectation."""
    shown = excerpt(answer.body, 160)
    if answer.problem:
        missing = (Difference(Differs.TOO_SLOW if answer.late else Differs.NO_ANSWER, answer.problem),)
        return Finding(answer.at, answer.seconds, answer.status, shown, Release(), missing)
    elsewhere = _served_by(answer, expectation)
    if elsewhere:
        # What another node says is nothing about this one.
        return Finding(answer.at, answer.seconds, answer.status, shown, Release(), elsewhere)
    document, unreadable = document_of(answer.body)
    differences = _status(answer, expectation)
    release = Release()
    if unreadable:
        # A wrong status explains a body that is not JSON: one complaint is enough.
        if expectation.reads_json and not differences:
            packed = answer.headers.get("content-encoding", "").strip()
            how = f" (it came in the encoding {excerpt(packed, 40)}, unasked)" if packed else ""
            differences = [Difference(Differs.BODY, unreadable + how)]
    else:
        release = _release(document, expectation)
        told = _release_differences(document, answer, expectation)
        differences = [*told, *differences, *_values(document, expectation)]
    return Finding(answer.at, answer.seconds, answer.status, shown, release, tuple(differences))


def _served_by(answer: Answer, expectation: Expectation) -> tuple[Difference, ...]:
    if expectation.served_by is None:
        return ()
    header, node = expectation.served_by
    answered = answer.headers.get(header.lower(), "").strip()
    if answered == node:
        return ()
    who = f"{excerpt(answered, 60)} answered" if answered else f"nobody says in {header} who answered"
    return (Difference(Differs.NODE, f"{who}, aimed was at {node}"),)


def _status(answer: Answer, expectation: Expectation) -> list[Difference]:
    if answer.status in expectation.status:
        return []
    wanted = " or ".join(str(status) for status in expectation.status)
    return [Difference(Differs.STATUS, f"status is {answer.status}{_sends_to(answer)}, expected {wanted}")]


def _sends_to(answer: Answer) -> str:
    """Where a redirect, which isn't followed, leads; its query may hold a secret."""
    place = answer.headers.get("location", "").partition("?")[0].partition("#")[0]
    to = re.sub(r"//[^/@]*@", "//", place)
    return f" (it sends us to {excerpt(to, 100)})" if to and answer.status in _REDIRECTS else ""


class _Contradicts(Exception):
    """A key stands twice in an object."""


class _NotInJson(Exception):
    """A word that Python takes for a number."""


def document_of(body: bytes) -> tuple[object, str]:
    """The body read as JSON, and why it could not be (then the document is None).

    What a key that stands twice means RFC 8259 leaves to each reader: such a body is no evidence.
    """
    try:
        return json.loads(body, parse_constant=_refuse_constant, object_pairs_hook=_object), ""
    except _Contradicts as error:
        return None, str(error)
    except _NotInJson as error:
        return None, f"the body is not JSON: {error}"
    except (ValueError, RecursionError):
        return None, "the body is not JSON" if body else "the body is empty, expected JSON"


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        (twice, _), *_ = Counter(key for key, _ in pairs).most_common(1)
        raise _Contradicts(f"the body is no evidence: key {excerpt(twice, 60)!r} stands twice in one object")
    return found


def _refuse_constant(name: str) -> NoReturn:
    # Python reads, and writes, what RFC 8259 (section 6) does not permit.
    raise _NotInJson(f"it has {name}, which is no JSON value")


def text_at(document: object, path: str | None) -> str | None:
    """The value as text; None when it is missing, null or not a scalar."""
    try:
        value = look_up(document, path) if path else None
    except NotThere:
        return None
    return excerpt(str(value), 200) if isinstance(value, str | int | float) and not isinstance(value, bool) else None


def _release(document: object, expectation: Expectation) -> Release:
    return Release(
        version=text_at(document, expectation.version.path if expectation.version else None),
        digest=text_at(document, expectation.digest.path if expectation.digest else None),
        started=text_at(document, expectation.started.path if expectation.started else expectation.started_path),
        pid=text_at(document, expectation.pid_path),
    )


def _release_differences(document: object, answer: Answer, expectation: Expectation) -> list[Difference]:
    found: list[Difference] = []
    for what, expected in (("version", expectation.version), ("digest", expectation.digest)):
        if expected is not None:
            found += _release_difference(document, what, expected)
    if expectation.started is not None and not found:
        found += _started_difference(document, expectation.started, answer)
    return found


def _release_difference(document: object, what: str, expected: Expected) -> list[Difference]:
    served = text_at(document, expected.path)
    wanted = str(expected.value)
    if served is None:
        return [Difference(Differs.VALUE, f"it does not tell its {what} at {expected.path}, expected {wanted}")]
    same = bare_digest(served) == bare_digest(wanted) if what == "digest" else served == wanted
    return [] if same else [Difference(Differs.RELEASE, f"serves {what} {served}, expected {wanted}")]


def bare_digest(text: str) -> str:
    """A digest as it is compared: lower case, without a leading `sha256:`."""
    return text.strip().lower().removeprefix("sha256:")


def _started_difference(document: object, expected: StartedAfter, answer: Answer) -> list[Difference]:
    told = text_at(document, expected.path)
    if told is None:
        return [Difference(Differs.VALUE, f"it does not tell its start at {expected.path}")]
    try:
        started = epoch(told)
    except ValueError as error:
        return [Difference(Differs.VALUE, f"its start at {expected.path}: {error}")]
    by_nodes_clock = expected.after + (_ahead(answer) if expected.clock is Clock.CONTROLLER else 0.0)
    if started > by_nodes_clock:
        return []
    return [Difference(Differs.STARTED, f"the process started at {told}, not after {_shown(by_nodes_clock)}")]


def _shown(at: float) -> str:
    """A Unix time for people; its seconds where no calendar has it, as a node's `Date` may make it."""
    try:
        return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return f"{at:.0f} s since 1970"


def _ahead(answer: Answer) -> float:
    """How many seconds the node's clock is ahead of ours at most; 0 when the answer has no date.

    At most, so that no old process passes for a new one. A date has whole seconds, and is made after we asked.
    """
    try:
        date = parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0
    return date + 1.0 - answer.at


def _values(document: object, expectation: Expectation) -> list[Difference]:
    found = [difference for expected in expectation.values if (difference := _value(document, expected))]
    problems = component_problems(document, expectation.components) if expectation.components else []
    return found + [Difference(Differs.VALUE, problem) for problem in problems]


def _value(document: object, expected: Expected) -> Difference | None:
    try:
        value = look_up(document, expected.path)
    except NotThere as error:
        return Difference(Differs.VALUE, f"{expected.path} is missing ({error}), expected {_json(expected.value)}")
    # As JSON, so that true is not 1 and "1" is not 1.
    if _json(value) == _json(expected.value):
        return None
    return Difference(
        Differs.VALUE, f"{expected.path} is {excerpt(_json(value), 80)}, expected {_json(expected.value)}"
    )


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str, ensure_ascii=False)
