"""Carbon as a sink: counts and durations by its plaintext protocol over TCP.

That protocol (Graphite documentation, «Feeding In Your Data», «The plaintext protocol») acknowledges nothing. So all is
sent on a connection of its own, our side of which is then closed; carbon ends its side when it has read to the end
(Twisted: a connection whose other half is closed is lost once what came before has been handled). Its end tells that
its process has taken every line. An end that comes earlier leaves bytes that the other side's kernel never confirmed,
or a reset.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
import termios
import time
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.tidegate.delivery.plugins.module_utils.whole_file import write_whole
from tidegate.shipping.graphite.settings import CarbonSettings
from tidegate.shipping.graphite.tally import Key, OtherIntervalError, Tally
from tidegate.shipping.sinks import BATCH, Answer, Delivered, Item, Kind, Retry

_FOLDER = "tallies"
_MAX_FILE = 256 * 1024 * 1024
# A value that is older than the finest retention (extras/graphite: two days) replaces the sum of a coarser slot. An
# hour less, for clocks, carbon's queue, and the slot that is added up from the finest ones. What is begun has an hour.
SENT_S = 47 * 3600
COUNTED_S = 46 * 3600
# What carbon may have in its memory alone.
_UNWRITTEN_S = 3600


class CarbonSink:
    """One carbon. What was counted is in `spool`, and saved before it is sent: who is killed counts nothing twice."""

    kinds: frozenset[Kind] = frozenset({"event"})
    batch = BATCH

    def __init__(self, settings: CarbonSettings, spool: Path) -> None:
        self.name = "graphite"
        self.problem = ""
        self._settings = settings
        self._path = spool / _FOLDER / f"{self.name}.json"
        self._tally = self._loaded()
        # What carbon had taken and not written when it died, or we did, is there again then.
        self._all = True
        self._touched: set[Key] = set()

    def deliver(self, batch: Sequence[Item]) -> Answer:
        """Count them and send the intervals they are in; at first and after a failure, also those of the last hour.

        What is too old to be stored as it is counts as delivered.
        """
        now = time.time()
        bad = self._counted(batch, now - COUNTED_S)
        if not self._touched:
            return Delivered(bad)
        try:
            self._save(self._tally)
        except OSError as error:
            # Sent and not remembered, it would be forgotten that it was counted.
            return Retry(f"what was counted can't be kept: {error.strerror or type(error).__name__}")
        data = self._tally.lines(self._settings.prefix, self._to_send(now))
        problem = send(self._settings.address, data, self._settings.timeout) if data else ""
        if problem:
            self._all = True
            return Retry(problem)
        self._all = False
        self._touched = set()
        self._tally.forget()
        return Delivered(bad)

    def settled(self) -> tuple[set[int], set[int]]:
        """Nothing is ever on its way."""
        return set(), set()

    def close(self) -> None:
        """Nothing stays open."""

    def _to_send(self, now: float) -> set[Key]:
        remembered = self._tally.keys() if self._all else set()
        keys = self._touched | {key for key in remembered if key[1] > now - _UNWRITTEN_S}
        return {key for key in keys if key[1] > now - SENT_S}

    def _counted(self, batch: Sequence[Item], oldest: float) -> dict[int, str]:
        bad: dict[int, str] = {}
        for place, item in enumerate(batch):
            try:
                key = self._tally.add(item.id, item.at, item.fields, oldest)
                if key is not None:
                    self._touched.add(key)
            except (LookupError, TypeError, ValueError) as error:
                bad[place] = f"it can't be counted: {type(error).__name__}"
        return bad

    def _loaded(self) -> Tally:
        try:
            with self._path.open("rb") as file:
                return Tally.of_dict(json.loads(file.read(_MAX_FILE)), self._settings.interval)
        except (FileNotFoundError, NotADirectoryError):
            return Tally(self._settings.interval)
        except OtherIntervalError:
            return self._begun_anew("`interval` was changed")
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return self._begun_anew("what was counted can't be read")

    def _begun_anew(self, why: str) -> Tally:
        """An empty tally instead of one of no use, which is kept aside: nothing in it is newer than that file."""
        aside = self._path.with_name(f"{self.name}.damaged.json")
        self.problem = f"{why}: intervals that began before that are counted no further"
        lost = time.time()
        try:
            lost = min(lost, self._path.stat().st_mtime)
            aside.unlink(missing_ok=True)
            os.link(self._path, aside)
            self._save(Tally(self._settings.interval, lost))
            self.problem += f" (kept: {_FOLDER}/{aside.name})"
        except OSError:
            # It is still there, and what is counted from now on takes its place.
            pass
        return Tally(self._settings.interval, lost)

    def _save(self, tally: Tally) -> None:
        text = json.dumps(tally.as_dict(), separators=(",", ":")) + "\n"
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(self._path, lambda file: file.write(text.encode()))


def send(address: tuple[str, int], data: bytes, timeout: float) -> str:
    """Send it and wait until the other side has taken all of it; the problem, or an empty text.

    `timeout`: seconds for connecting, for sending and for the other side's end, each.
    """
    try:
        with socket.create_connection(address, timeout) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            if connection.recv(1):
                return "it answered, which carbon never does. Is carbon the port of its LINE_RECEIVER_PORT?"
            if _unconfirmed(connection):
                return "carbon ended the connection before it had taken everything"
    except TimeoutError:
        return f"carbon did not take everything within {timeout:g} s"
    except OSError as error:
        return f"carbon: {error.strerror or type(error).__name__}"
    return ""


def _unconfirmed(connection: socket.socket) -> bool:
    """Whether the other side's kernel has not confirmed all that we sent, our end included: Linux, tcp(7), SIOCOUTQ."""
    left = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, struct.pack("i", 0))
    return bool(struct.unpack("i", left)[0])
