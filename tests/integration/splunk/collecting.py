"""A collector for playbooks of a test, and what makes them ship to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.files import write_file
from lab.splunk.arrivals import Arrivals
from lab.splunk.collector import Collector
from lab.splunk.configuration import Configuration, Token
from lab.splunk.faults import FaultState
from lab.splunk.server import Receiver

TOKEN = "22222222-2222-2222-2222-222222222222"
CALLBACKS = "tidegate.delivery.stop,tidegate.delivery.splunk"


@dataclass(frozen=True, slots=True)
class Collecting:
    """The collector and the shipper's folder."""

    receiver: Receiver
    folder: Path

    @property
    def spool(self) -> Path:
        return self.folder / "spool"

    @property
    def environment(self) -> Mapping[str, str]:
        """For ansible-playbook and `tidegate events flush`."""
        return {
            "ANSIBLE_CALLBACKS_ENABLED": CALLBACKS,
            "TIDEGATE_SPLUNK_URL": self.receiver.url,
            "TIDEGATE_SPLUNK_TOKEN_FILE": str(self.folder / "token"),
            "TIDEGATE_SPOOL": str(self.spool),
        }

    def acknowledged(self) -> set[str]:
        """Ids of events whose acknowledgement was told."""
        return {one.event["id"] for one in self.receiver.arrivals.events() if one.told}


@contextmanager
def collecting(folder: Path) -> Iterator[Collecting]:
    """A collector of one token, with acknowledgement."""
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / "token", f"{TOKEN}\n", mode=0o600)
    configuration = Configuration((Token("tidegate", TOKEN, use_ack=True),))
    with Receiver(Collector(configuration, Arrivals(None), FaultState())) as receiver:
        yield Collecting(receiver, folder)
