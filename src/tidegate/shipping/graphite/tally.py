"""What happened in each interval, counted so that an event which comes twice counts once.

Carbon keeps one value for a metric and an interval, the last one that it was sent. So what is sent is always the
interval's whole value, and sending it again changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tidegate.shipping.graphite.names import is_name, part

# Events come in their ledger's order, whatever times they have: of what was counted that many intervals ago nothing
# more comes but what is sent anew from there. Ten hours of events without a pause.
KEPT = 600
# Before all times that an event can have.
NEVER = -1.0
_ID = 16
# An interval: the environment's part of the name, and its first second since 1970.
Key = tuple[str, int]


@dataclass(slots=True)
class _Interval:
    ids: set[str] = field(default_factory=set)
    values: dict[str, int] = field(default_factory=dict)


class OtherIntervalError(ValueError):
    """What is kept was counted by intervals of another length."""


class Tally:
    """Counts and durations of events, by environment and interval (seconds).

    `since`, in seconds since 1970: an earlier tally counted until then, and it is lost. The intervals that began before
    are left out, as a count that begins anew would be lower than what was sent.
    """

    def __init__(self, interval: int, since: float = NEVER) -> None:
        self._interval = interval
        self._since = since
        # That which was counted in last stands last.
        self._of: dict[Key, _Interval] = {}

    def add(self, id_: str, at: float, fields: Mapping[str, Any], oldest: float = NEVER) -> Key | None:
        """Count an event, unless it is counted; the interval it is in. `at` is in seconds since 1970.

        No interval is begun that began before `oldest` or `since`: None for the events in it.
        """
        key = (part(str(fields["environment"])), int(at // self._interval * self._interval))
        if key[1] <= max(oldest, self._since) and key not in self._of:
            return None
        found = self._of[key] = self._of.pop(key, _Interval())
        short = hashlib.sha256(id_.encode("utf-8", "replace")).hexdigest()[:_ID]
        if short not in found.ids:
            found.ids.add(short)
            _count(found.values, fields)
        return key

    def forget(self) -> None:
        """Drop all but the intervals that were counted in last. For when all that was counted has arrived.

        No clock is asked: one that was ahead for a while gives events that are newer than those that follow.
        """
        for key in list(self._of)[:-KEPT]:
            del self._of[key]

    def keys(self) -> set[Key]:
        """The intervals that are remembered."""
        return set(self._of)

    def lines(self, prefix: str, keys: Iterable[Key]) -> bytes:
        """These intervals' whole values as carbon takes them, oldest first: name, value, time."""
        return "".join(
            f"{prefix}.{environment}.{name} {value} {begin}\n"
            for environment, begin in sorted(keys, key=lambda key: key[1])
            for name, value in sorted(self._of[environment, begin].values.items())
        ).encode("ascii")

    def as_dict(self) -> dict[str, Any]:
        """As the spool keeps it, in the order in which intervals were counted in."""
        told = [
            {"environment": environment, "begin": begin, "ids": sorted(each.ids), "values": each.values}
            for (environment, begin), each in self._of.items()
        ]
        return {"interval": self._interval, "since": self._since, "intervals": told}

    @classmethod
    def of_dict(cls, told: Mapping[str, Any], interval: int) -> Tally:
        """What `as_dict` gave.

        Raises OtherIntervalError where it was of other intervals; LookupError, TypeError, ValueError or AttributeError
        for anything else.
        """
        if int(told["interval"]) != interval:
            raise OtherIntervalError(told["interval"])
        made = cls(interval, float(told.get("since", NEVER)))
        for each in told["intervals"]:
            values = {_checked(name): int(value) for name, value in each["values"].items()}
            key = (_checked(each["environment"]), int(each["begin"]))
            made._of[key] = _Interval({str(id_) for id_ in each["ids"]}, values)
        return made


def _checked(name: str) -> str:
    """What may stand on a line to carbon. Raises ValueError for anything else."""
    if not is_name(name):
        raise ValueError(name)
    return name


def _count(values: dict[str, int], fields: Mapping[str, Any]) -> None:
    name = ".".join(part(str(fields[key])) for key in ("service", "step", "outcome"))
    values[f"{name}.count"] = values.get(f"{name}.count", 0) + 1
    took = fields["duration_ms"]
    if took is not None:
        timed = f"{name}.duration_ms"
        values[f"{timed}.count"] = values.get(f"{timed}.count", 0) + 1
        values[f"{timed}.sum"] = values.get(f"{timed}.sum", 0) + int(took)
        values[f"{timed}.max"] = max(values.get(f"{timed}.max", 0), int(took))
