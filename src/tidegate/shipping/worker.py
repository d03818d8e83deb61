"""One sink's own thread: sends what is there, asks what has arrived, and waits when it must."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tidegate.shipping.aside import Aside
from tidegate.shipping.cursor import Cursor
from tidegate.shipping.lane import Lane, Source, no_events
from tidegate.shipping.sinks import BATCH, Pending, Refused, Retry, Sink

WINDOW = 16
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
# While a playbook runs: events of a step that lasts are looked for, too.
LOOK_S = 2.0
# What happens together leaves together.
GATHER_S = 0.5
_ASK_S = 0.05
_LONGEST_ASK_S = 1.0


@dataclass(frozen=True, slots=True)
class Standing:
    """How it stands with a sink: `why` is its last problem, `set_aside` how many events this process set aside."""

    sink: str
    shipped: int
    idle: bool
    refused: bool
    why: str
    set_aside: int

    def as_dict(self) -> dict[str, object]:
        """As the status file and `--json` have it."""
        state = "refused" if self.refused else "retrying" if self.why else "good"
        return {
            "sink": self.sink,
            "state": state,
            "why": self.why,
            "shipped": self.shipped,
            "set_aside": self.set_aside,
        }


class Worker(threading.Thread):
    """Sources may be added at any time. `finish` says that no more will come: it ends when all has arrived."""

    def __init__(self, sink: Sink, spool: Path, told: Callable[[], None] = lambda: None) -> None:
        super().__init__(name=f"ship to {sink.name}", daemon=True)
        self._sink, self._spool, self._told = sink, spool, told
        self._lanes: dict[str, Lane] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._finishing = False
        self._idle = self._refused = False
        self._why = ""
        self._set_aside: dict[str, str] = {}
        self._aside = Aside(spool, sink.name)
        self._pause = FIRST_PAUSE_S
        self._not_before = 0.0
        self._held_up: Lane | None = None

    def add(self, source: Source) -> None:
        """Ship from this one, too."""
        with self._lock:
            if source.key not in self._lanes:
                cursor = Cursor(self._spool, self._sink.name, source.key)
                self._lanes[source.key] = Lane(source, cursor, self._sink.kinds)
        self.wake()

    def wake(self) -> None:
        """There may be something new."""
        self._wake.set()

    def finish(self) -> None:
        """Nothing new will come."""
        self._finishing = True
        self.wake()

    @property
    def set_aside(self) -> Mapping[str, str]:
        """Ids of events that the sink would not have, and why: those of earlier processes, too."""
        return {**self._aside.all(), **self._set_aside}

    @property
    def aside_file(self) -> Path:
        """Where they are written down."""
        return self._aside.path

    def standing(self) -> Standing:
        """How it stands now."""
        lanes = self._all()
        problems = [str(getattr(lane.source, "problem", "")) or lane.cursor.problem for lane in lanes]
        return Standing(
            sink=self._sink.name,
            shipped=sum(lane.shipped for lane in lanes),
            idle=self._idle,
            refused=self._refused,
            why=self._why or self._sink.problem or next(filter(None, problems), ""),
            set_aside=len(self._set_aside),
        )

    def run(self) -> None:
        """The thread's own."""
        ask = _ASK_S
        try:
            while not self._refused:
                # Before the round: a source that is added after it has not been looked at.
                finishing = self._finishing
                moved = self._tried()
                waiting = sum(lane.waiting for lane in self._all())
                if moved:
                    ask = _ASK_S
                    continue
                rested = time.monotonic() >= self._not_before and not self._why
                # A source that could not be read may have more.
                self._idle = not waiting and rested and not self._unread()
                if finishing and self._idle:
                    return
                self._wait(waiting, ask)
                ask = min(2 * ask, _LONGEST_ASK_S)
        finally:
            self._sink.close()
            self._told()

    def _wait(self, waiting: int, ask: float) -> None:
        pause = self._not_before - time.monotonic()
        if pause > 0:
            # A wake is no reason to ask a busy server earlier than it said.
            time.sleep(min(pause, _LONGEST_ASK_S))
        elif waiting:
            time.sleep(ask)
        elif self._wake.wait(LOOK_S):
            self._wake.clear()
            if not self._finishing:
                time.sleep(GATHER_S)

    def _tried(self) -> bool:
        """A round. What nobody thought of is a reason to try again, not to end without a word."""
        try:
            return self._round()
        except Exception as error:  # noqa: BLE001  # its text may have anything: only its kind is told
            return self._later(f"an error of Tidegate's own ({type(error).__name__}): please report it", None)

    def _round(self) -> bool:
        """Whether something got on."""
        before = self._state()
        arrived, lost = self._sink.settled()
        for lane in self._all():
            lane.settled(arrived, lost)
        sent = False
        for lane in self._in_turn():
            sent = (time.monotonic() >= self._not_before and self._send(lane)) or sent
        if self._state() != before:
            self._told()
        return sent or bool(arrived)

    def _in_turn(self) -> Sequence[Lane]:
        """All lanes, the one that was held up the last time at the end: what is wrong may be about its events alone."""
        lanes = list(self._all())
        first = lanes.index(self._held_up) + 1 if self._held_up in lanes else 0
        return lanes[first:] + lanes[:first]

    def _state(self) -> tuple[object, ...]:
        return (self._why, self._refused, len(self._set_aside), sum(lane.shipped for lane in self._all()))

    def _send(self, lane: Lane) -> bool:
        if self._refused or sum(each.waiting for each in self._all()) >= WINDOW:
            return False
        reads = lane.next(min(BATCH, self._sink.batch))
        if not reads:
            return False
        self._idle = False
        batch = lane.items(reads)
        if not batch:
            self._put_aside(no_events(reads))
            lane.sent(reads, None)
            return True
        answer = self._sink.deliver(batch)
        match answer:
            case Retry(why, after_s):
                self._held_up = lane
                return self._later(why, after_s)
            case Refused(why):
                self._why, self._refused = why, True
                return False
        self._why, self._pause = "", FIRST_PAUSE_S
        self._put_aside({batch[place].id: problem for place, problem in answer.bad.items()} | no_events(reads))
        lane.sent(reads, answer.number if isinstance(answer, Pending) else None, refused=len(answer.bad))
        return True

    def _put_aside(self, found: Mapping[str, str]) -> None:
        """Before the cursor moves past them."""
        self._set_aside |= found
        self._aside.add(found)

    def _later(self, why: str, after_s: float | None) -> bool:
        # Many controllers that were held up together must not come back together.
        pause = self._pause * random.uniform(0.5, 1.0)  # noqa: S311
        self._why = why
        self._not_before = time.monotonic() + max(pause, after_s or 0.0)
        self._pause = min(2 * self._pause, LONGEST_PAUSE_S)
        return False

    def _unread(self) -> bool:
        return any(getattr(lane.source, "problem", "") for lane in self._all())

    def _all(self) -> Sequence[Lane]:
        with self._lock:
            return list(self._lanes.values())
