"""All sinks and sources of one spool: for the shipper's process, and for `tidegate events flush` in the foreground."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Locked
from ansible_collections.tidegate.delivery.plugins.module_utils.whole_file import write_whole
from tidegate.shipping.graphite.carbon import CarbonSink
from tidegate.shipping.graphite.settings import carbon_settings, web_settings
from tidegate.shipping.graphite.web import GraphiteWebSink
from tidegate.shipping.lane import Source
from tidegate.shipping.ledgers import LedgerSource
from tidegate.shipping.sinks import Sink
from tidegate.shipping.splunk.hec import HecSink
from tidegate.shipping.splunk.settings import splunk_settings
from tidegate.shipping.spool import SpoolSource
from tidegate.shipping.status import STATUS
from tidegate.shipping.worker import Standing, Worker

_LOCK = "lock"
_POLL_S = 0.1


_SINKS: Mapping[str, Callable[[Mapping[str, Any], Path], Sink]] = {
    "splunk": lambda told, _spool: HecSink(splunk_settings(told)),
    "graphite": lambda told, spool: CarbonSink(carbon_settings(told), spool),
    "graphite-web": lambda told, _spool: GraphiteWebSink(web_settings(told)),
}


def make_sink(told: Mapping[str, Any], spool: Path) -> Sink:
    """A sink by its settings, which may remember things in the spool. Raises BadInput with what is wrong with them."""
    made = _SINKS.get(str(told.get("sink")))
    if made is None:
        known = ", ".join(_SINKS)
        raise BadInput(f"{str(told.get('sink'))[:60]!r} is no sink", where="sinks", remedy=f"Known are: {known}")
    return made(told, spool)


class Shipper:
    """Ships until it is told to finish. Thread-safe where several threads use it."""

    def __init__(self, spool: Path) -> None:
        self.spool = spool
        self._workers: dict[str, Worker] = {}
        self._sources: list[Source] = [SpoolSource(spool)]
        self._lock = threading.Lock()

    def add_sink(self, sink: Sink) -> None:
        """Ship to this one from now on; a second one of the same name is left out."""
        if sink.name in self._workers:
            return
        worker = self._workers[sink.name] = Worker(sink, self.spool, self.write_status)
        for source in self._sources:
            # What has passed the spool is removed there: only who takes such events may say so.
            if not isinstance(source, SpoolSource) or sink.kinds & {"task", "custom"}:
                worker.add(source)
        worker.start()

    def add_ledger(self, url: str, environment: str) -> None:
        """Ship what this ledger has for an environment."""
        source = LedgerSource(url, environment)
        if all(source.key != known.key for known in self._sources):
            self._sources.append(source)
            for worker in self._workers.values():
                worker.add(source)

    def wake(self) -> None:
        """There may be something new."""
        for worker in self._workers.values():
            worker.wake()

    def finish(self, deadline_s: float, tell: Callable[[list[Standing]], None] = lambda _standing: None) -> bool:
        """Ship what is there; whether all of it arrived before the deadline."""
        for worker in self._workers.values():
            worker.finish()
        end = time.monotonic() + deadline_s
        while any(worker.is_alive() for worker in self._workers.values()) and time.monotonic() < end:
            tell(self.standing())
            time.sleep(_POLL_S)
        self.write_status()
        return all(each.idle and not each.refused for each in self.standing())

    def standing(self) -> list[Standing]:
        """How it stands with every sink."""
        return [worker.standing() for worker in self._workers.values()]

    def set_aside(self) -> dict[str, str]:
        """Ids of events that a sink would not have, and why."""
        return {id_: why for worker in self._workers.values() for id_, why in worker.set_aside.items()}

    def aside_files(self) -> list[Path]:
        """Where they are written down until somebody removes it."""
        found = [worker.aside_file for worker in self._workers.values() if worker.set_aside]
        return [path for path in found if path.exists()]

    def write_status(self) -> None:
        """Say how it stands in the spool's status.json; a disk that is full is no reason to stop."""
        told = {"at": round(time.time(), 3), "pid": os.getpid(), "sinks": [each.as_dict() for each in self.standing()]}
        text = json.dumps(told, indent=2) + "\n"
        with self._lock, contextlib.suppress(OSError):
            write_whole(self.spool / STATUS, lambda file: file.write(text.encode()))


def take(spool: Path) -> int | None:
    """The right to ship from a spool, as an open file; None while another process has it.

    Raises BadInput where there can be no such file of ours: after a run as another user, for example.
    """
    try:
        file = os.open(spool / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise BadInput(
            f"the spool can't be locked: {error.strerror}",
            where=str(spool / _LOCK),
            remedy="Whose is it? A spool belongs to one user: remove that file, or name another spool (TIDEGATE_SPOOL)",
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    return file


@contextmanager
def taken(spool: Path, deadline_s: float) -> Iterator[None]:
    """Have that right. Raises Locked when another process keeps it until the deadline."""
    end = time.monotonic() + deadline_s
    file = take(spool)
    while file is None and time.monotonic() < end:
        time.sleep(_POLL_S)
        file = take(spool)
    if file is None:
        raise Locked(
            "another process is shipping",
            where=str(spool),
            remedy=f"A playbook runs, or its shipper still has a minute: see {spool / STATUS}, and run again",
        )
    try:
        yield
    finally:
        os.close(file)
