"""Which events become markers in graphite-web, and what they say: chosen fields of the event, no text of anybody's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidegate.shipping.graphite.names import part

# A column of graphite-web's database (events/models.py): on SQLite nobody looks, on others one more character is an
# error. All tags together have as much, and each has 50 at most, which names.py sees to.
MAX_WHAT = 255
_MAX_TEXT = 60
ID = "id:"
ALL = "tidegate"
_DATA = ("deployment", "attempt", "site", "wave", "by", "start")
_DETAILS = ("kind", "intent", "version", "reason")


@dataclass(frozen=True, slots=True)
class Marker:
    """One marker: `when` in seconds since 1970, `what` its line, `tags` for queries, `data` a JSON text with more."""

    when: int
    what: str
    tags: tuple[str, ...]
    data: str

    @property
    def id_tag(self) -> str:
        """The tag that no other event's marker has."""
        return self.tags[-1]

    def body(self) -> bytes:
        """As graphite-web takes it, events/views.py, post_event."""
        told = {"what": self.what, "tags": list(self.tags), "when": self.when, "data": self.data}
        return json.dumps(told).encode()


def marker(fields: Mapping[str, Any], at: float) -> Marker | None:
    """An event's marker; None for an event that has none. `at` is in seconds since 1970.

    Raises LookupError, TypeError or ValueError for what is no event.
    """
    what = happened(fields)
    if what is None:
        return None
    details = fields["details"]
    told = {name: fields[name] for name in _DATA if fields.get(name) not in (None, "")}
    told |= {name: _text(details[name]) for name in _DETAILS if details.get(name)}
    told |= {"nodes": len(fields["nodes"])} if fields["nodes"] else {}
    tags = (
        ALL,
        _tag("environment:", fields["environment"]),
        _tag("service:", fields["service"]),
        _tag("step:", fields["step"]),
        _tag("outcome:", what),
        _tag(ID, fields["id"]),
    )
    return Marker(max(0, int(at)), _line(fields, what), tags, json.dumps(told, sort_keys=True))


def happened(fields: Mapping[str, Any]) -> str | None:
    """What a marker is made for, in a word; None for all else."""
    step, outcome, details = fields["step"], fields["outcome"], fields["details"]
    match step:
        case "plan" if outcome == "ok":
            return "begun" if fields["attempt"] <= 1 else "resumed"
        case "wave" if outcome == "ok" and details.get("outcome") == "joined":
            return "joined"
        case "hold":
            return "stopped" if details.get("stopped") else "held"
        case "close":
            return _ended(details)
        case "pool" if details.get("outcome") == "left":
            return "left"
        # Of a deployment's own steps the hold tells.
        case "refuse" if not fields["deployment"]:
            return "stopped" if outcome == "stopped" else "refused"
    return None


def _ended(details: Mapping[str, Any]) -> str:
    if details.get("superseded_by"):
        return "superseded"
    return "rolled_back" if details.get("kind") == "rollback" else "done"


def _line(fields: Mapping[str, Any], what: str) -> str:
    """`tradeapi 1.2.0 held in lab`."""
    words = (_text(fields["service"]), _subject(fields, what), _WORDS[what], f"in {_text(fields['environment'])}")
    return " ".join(filter(None, words))[:MAX_WHAT]


def _subject(fields: Mapping[str, Any], what: str) -> str:
    details = fields["details"]
    kind, version = details.get("kind"), _text(details.get("version") or "")
    match what:
        case "rolled_back":
            return f"rolled back to {version}"
        case "joined":
            return f"{version} wave {fields['wave']}"
    intent = _text(details.get("intent") or "")
    if kind == "hand":
        return f"{intent} by hand".strip()
    return f"rollback to {version}" if kind == "rollback" else version or intent


_WORDS = {
    "begun": "begun",
    "resumed": "begun again",
    "joined": "joined",
    "held": "held",
    "stopped": "stopped",
    "done": "done",
    "rolled_back": "",
    "superseded": "superseded",
    "left": "left by hand",
    "refused": "refused",
}


def _tag(kind: str, value: object) -> str:
    return kind + part(str(value))


def _text(value: object) -> str:
    """Short, and on one line."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in str(value)).split())
    return line if len(line) <= _MAX_TEXT else f"{line[: _MAX_TEXT - 1]}…"
