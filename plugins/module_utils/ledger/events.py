# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one event schema: what every step, gate and refusal leaves in the ledger, as canonical JSON."""

from __future__ import annotations

import hashlib
import json
import math
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput

SCHEMA = 1
MAX_TEXT = 2_000
MAX_NAME = 200
MAX_KEYS = 100
MAX_ITEMS = 200
MAX_LIST_TEXT = 16_000
MAX_EVENT_BYTES = 64 * 1024
# Beyond this other JSON readers (jq, Splunk, JavaScript) silently round: RFC 8259, section 6.
MAX_INT = 2**53 - 1

E = TypeVar("E", bound=StrEnum)
Detail = str | int | float | bool | None | list[str]


class Step(StrEnum):
    """What was done or decided, in the order of a deployment."""

    PLAN = "plan"
    REFUSE = "refuse"
    LOCK = "lock"
    DOWNTIME = "downtime"
    LEAVE = "leave"
    FREEZE = "freeze"
    PIN = "pin"
    PUPPET = "puppet"
    REBOOT = "reboot"
    SEAL = "seal"
    RELEASE = "release"
    HEALTH = "health"
    NUNIT = "nunit"
    WARMUP = "warmup"
    JOIN = "join"
    THAW = "thaw"
    DOWNTIME_END = "downtime_end"
    OBSERVE = "observe"
    CUSTOMERS = "customers"
    WAVE = "wave"
    HOLD = "hold"
    SETTLE = "settle"
    RAISE = "raise"
    POOL = "pool"
    REPAIR = "repair"
    CLOSE = "close"


class Outcome(StrEnum):
    """How a step ended; `started` is written before an effect, so that a crash in it can be seen."""

    STARTED = "started"
    OK = "ok"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    FAILED = "failed"
    REFUSED = "refused"
    HELD = "held"
    UNREACHABLE = "unreachable"
    INCONCLUSIVE = "inconclusive"
    STOPPED = "stopped"

    @property
    def good(self) -> bool:
        """Whether the step is done and what it was to bring about is so."""
        return self in (Outcome.OK, Outcome.CHANGED, Outcome.UNCHANGED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened to nodes of a service; `at` is stamped by the ledger that writes it.

    Texts in `details` are cut at 2,000 characters, lists at 200 items, each with a mark.
    Raises BadInput for what the schema has no place for.
    """

    service: str
    environment: str
    deployment: str
    attempt: int
    step: Step
    outcome: Outcome
    at: str = ""
    site: str = ""
    wave: int | None = None
    nodes: tuple[str, ...] = ()
    by: str = ""
    duration_ms: int | None = None
    details: Mapping[str, Detail] = field(default_factory=dict)
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __post_init__(self) -> None:
        for name in ("service", "environment", "deployment", "at", "site", "by", "id"):
            object.__setattr__(self, name, _name(getattr(self, name), name))
        if not self.environment or not self.id:
            raise _refuse("environment" if not self.environment else "id", "must not be empty")
        object.__setattr__(self, "attempt", _count(self.attempt, "attempt"))
        object.__setattr__(self, "wave", None if self.wave is None else _count(self.wave, "wave"))
        duration = None if self.duration_ms is None else _count(self.duration_ms, "duration_ms")
        object.__setattr__(self, "duration_ms", duration)
        object.__setattr__(self, "step", _member(Step, self.step, "step"))
        object.__setattr__(self, "outcome", _member(Outcome, self.outcome, "outcome"))
        object.__setattr__(self, "nodes", _nodes(self.nodes))
        object.__setattr__(self, "details", _details(self.details))


def stamp(moment: datetime) -> str:
    """A moment in UTC as `at` has it."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def genesis(chain: str) -> str:
    """The `prev` of a chain's first entry: its name is in it, so that one chain can't pass for another."""
    return hashlib.sha256(f"tidegate ledger\n{chain}".encode()).hexdigest()


def canonical(event: Event, seq: int, prev: str) -> str:
    """The one text of an event at its place in the chain: sorted keys, no blanks, UTF-8 as it is.

    Raises BadInput when it is longer than 64 KiB.
    """
    record = {"schema": SCHEMA, "seq": seq, "prev": prev, **asdict(event)}
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    size = len(text.encode())
    if size > MAX_EVENT_BYTES:
        raise _refuse(f"{event.step} event", f"has {size} bytes; an event may have {MAX_EVENT_BYTES}")
    return text


def digest(seq: int, prev: str, body: str | bytes) -> str:
    """Hex SHA-256 over seq, prev and the stored bytes, each ended by a line feed but the last."""
    data = body.encode() if isinstance(body, str) else body
    return hashlib.sha256(f"{seq}\n{prev}\n".encode() + data).hexdigest()


def parse(text: str | bytes) -> tuple[Event, int, str]:
    """Event, seq and prev of a canonical text. Raises BadInput for another schema, unknown or missing keys."""
    if len(text) > MAX_EVENT_BYTES:
        raise _refuse("event", f"is longer than {MAX_EVENT_BYTES} bytes")
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _refuse("event", f"is not JSON: {error}") from error
    if not isinstance(record, dict) or record.pop("schema", None) != SCHEMA:
        raise _refuse("schema", f"is not {SCHEMA}; a newer Tidegate may have written this")
    seq, prev = record.pop("seq", None), record.pop("prev", None)
    try:
        return Event(**record), _count(seq, "seq"), _name(prev, "prev")
    except TypeError as error:
        raise _refuse("event", f"has other keys than the schema: {error}") from error


def json_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of one canonical event, as ledger, JSONL log and board carry it."""
    name = {"type": "string", "maxLength": MAX_NAME}
    count = {"type": "integer", "minimum": 0, "maximum": MAX_INT}
    detail: list[dict[str, Any]] = [
        {"type": ["boolean", "null", "number"]},
        {"type": "string", "maxLength": MAX_TEXT},
        {"type": "array", "maxItems": MAX_ITEMS, "items": {"type": "string", "maxLength": MAX_TEXT}},
    ]
    properties: dict[str, Any] = {
        "schema": {"const": SCHEMA},
        "seq": {"type": "integer", "minimum": 1},
        "prev": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "id": {**name, "minLength": 1},
        "at": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"},
        "service": name,
        "environment": {**name, "minLength": 1},
        "deployment": name,
        "attempt": count,
        "site": name,
        "wave": {**count, "type": ["integer", "null"]},
        "nodes": {"type": "array", "items": {**name, "minLength": 1}},
        "by": name,
        "step": {"enum": [step.value for step in Step]},
        "outcome": {"enum": [outcome.value for outcome in Outcome]},
        "duration_ms": {**count, "type": ["integer", "null"]},
        "details": {
            "type": "object",
            "maxProperties": MAX_KEYS,
            "propertyNames": {"minLength": 1, "maxLength": MAX_NAME},
            "additionalProperties": {"anyOf": detail},
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Tidegate event",
        "type": "object",
        "properties": properties,
        "required": sorted(properties),
        "additionalProperties": False,
    }


def _refuse(what: str, problem: str) -> BadInput:
    return BadInput(f"{what} {problem}", where="event")


def _clean(text: str) -> str:
    # File names and process output can carry lone surrogates, which UTF-8 has no bytes for.
    return text.encode("utf-8", "replace").decode()


def _name(value: object, what: str) -> str:
    if not isinstance(value, str) or len(value) > MAX_NAME:
        raise _refuse(what, f"must be a text of at most {MAX_NAME} characters, not {str(value)[:60]!r}")
    return _clean(value)


def _count(value: object, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_INT:
        raise _refuse(what, f"must be a whole number of 0 or more, not {str(value)[:60]!r}")
    return value


def _member(kind: type[E], value: object, what: str) -> E:
    try:
        return kind(str(value))
    except ValueError:
        allowed = ", ".join(member.value for member in kind)
        raise _refuse(what, f"{str(value)[:60]!r} is not known; allowed are {allowed}") from None


def _nodes(value: object) -> tuple[str, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise _refuse("nodes", f"must be a list of names, not {str(value)[:60]!r}")
    names = tuple(_name(node, "nodes") for node in value)
    if "" in names:
        raise _refuse("nodes", "must not contain an empty name")
    return names


def _details(value: object) -> dict[str, Detail]:
    if not isinstance(value, Mapping) or len(value) > MAX_KEYS:
        raise _refuse("details", f"must be a mapping of at most {MAX_KEYS} keys")
    if any(key == "" for key in value):
        raise _refuse("details", "must not contain an empty key")
    return {_name(key, "details"): _detail(item, str(key)) for key, item in value.items()}


def _detail(value: object, key: str) -> Detail:
    match value:
        case None | bool():
            return value
        case str():
            return _cut(str(value))
        case int() if abs(value) <= MAX_INT:
            return int(value)
        case float() if math.isfinite(value):
            return float(value)
        case list() | tuple() if all(isinstance(item, str) for item in value):
            return _cut_list([_cut(str(item)) for item in value])
    problem = f"has no place for {str(value)[:60]!r}; a text, number, truth value or list of texts fits"
    raise _refuse(f"details.{key}", problem)


def _cut(text: str) -> str:
    text = _clean(text)
    if len(text) <= MAX_TEXT:
        return text
    mark = f"… [cut, {len(text)} characters]"
    return text[: MAX_TEXT - len(mark)] + mark


def _cut_list(items: list[str]) -> list[str]:
    kept: list[str] = []
    room = MAX_LIST_TEXT
    for item in items[: MAX_ITEMS - 1] if len(items) > MAX_ITEMS else items:
        room -= len(item)
        if room < 0:
            break
        kept.append(item)
    return kept if len(kept) == len(items) else [*kept, f"… [cut, {len(items) - len(kept)} more]"]
