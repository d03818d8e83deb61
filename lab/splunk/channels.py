"""Acknowledgements: an id for each request of a channel, asked for later, told once (Page.ACKNOWLEDGEMENT).

Ids count from 0 for each channel, an id of another channel is `false`, and so is one that was told already or never
given (Page.OBSERVED; the page says that the status is deleted once it was asked for). Channels that idle are removed
(Page.INPUTS, ackIdleCleanup and maxIdleTime), and there are limits of ids and channels (Page.LIMITS).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from lab.splunk.codes import Code, Refused
from lab.splunk.configuration import Limits

# Page.ACKNOWLEDGEMENT: a channel's identifier is a GUID. Braces and other spellings are not in the page.
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def checked_channel(given: str | None, required: bool) -> str | None:
    """The channel in lower case, or None. Raises Refused for one that is missing or no GUID."""
    if not given:
        if required:
            raise Refused(Code.CHANNEL_MISSING)
        return None
    if not _GUID.fullmatch(given):
        raise Refused(Code.INVALID_CHANNEL)
    return given.lower()


@dataclass(slots=True)
class _Channel:
    used: float
    following: int = 0
    # When the request of an id was taken; None for one that is never going to be indexed.
    pending: dict[int, float | None] = field(default_factory=dict)


@dataclass(slots=True)
class Channels:
    """The channels of all tokens. Times are a monotonic clock's seconds. Not thread-safe: the caller holds a lock."""

    limits: Limits
    _open: dict[str, _Channel] = field(default_factory=dict)
    _pending: int = 0

    def check_room(self, channel: str, now: float) -> None:
        """Raises Refused when the channel, or all of them, can't have another id."""
        self._remove_idle(now)
        known = self._open.get(channel)
        full = known is not None and len(known.pending) >= self.limits.max_acks_pending_per_channel
        crowded = known is None and len(self._open) >= self.limits.max_channels
        if full or crowded or self._pending >= self.limits.max_acks_pending:
            raise Refused(Code.ACK_AT_CAPACITY)

    def give(self, channel: str, now: float, lost: bool) -> int:
        """The id of a request that was taken; `lost`: it is never going to be acknowledged."""
        opened = self._open.setdefault(channel, _Channel(now))
        opened.used = now
        number = opened.following
        opened.following += 1
        opened.pending[number] = None if lost else now
        self._pending += 1
        return number

    def ask(self, channel: str, numbers: Iterable[int], now: float, after_s: float | None) -> dict[int, bool]:
        """What is indexed, `after_s` after it was taken (None: nothing is); what is told is forgotten."""
        self._remove_idle(now)
        opened = self._open.get(channel)
        told: dict[int, bool] = {}
        for number in numbers:
            taken = opened.pending.get(number) if opened else None
            indexed = taken is not None and after_s is not None and now - taken >= after_s
            if opened and indexed:
                del opened.pending[number]
                self._pending -= 1
            told[number] = told.get(number, False) or indexed
        if opened:
            opened.used = now
        return told

    def forget(self) -> None:
        """As a restart does: the ids are kept in memory only (Page.ACKNOWLEDGEMENT)."""
        self._open.clear()
        self._pending = 0

    def _remove_idle(self, now: float) -> None:
        idle = [name for name, one in self._open.items() if now - one.used > self.limits.max_idle_time_s]
        for name in idle:
            self._pending -= len(self._open.pop(name).pending)
