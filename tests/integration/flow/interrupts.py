"""A deployment that is interrupted like Ctrl-C, a closed terminal, a dead pipe and Jenkins do it."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import socket
import subprocess
import tempfile
import termios
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGKILL, Signals
from typing import Any, TypeVar

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event
from lab import processes
from lab.layout import PROJECT, TRADEAPI
from lab.witness import wait_until
from tests.integration.flow.lab_site import Played, Site, others
from tests.waiting import DEPLOYMENT_S, GONE_S, PATIENCE_S, until

# Jenkins finds all processes of a build by a variable that they inherit (BUILD_ID); so do we.
_COOKIE = "TIDEGATE_TEST_RUN"
_ORDER = json.dumps({"symbol": "EURUSD", "quantity": 1, "reference": "interrupted"}).encode()
_ORDER_HEAD = f"POST /orders HTTP/1.1\r\nHost: trade.lab\r\nContent-Length: {len(_ORDER)}\r\n\r\n".encode()
_POLL_S = 0.02

R = TypeVar("R", bound="Run")


class Run:
    """A playbook under way, with connections of its own; its output is in a file and can be looked at."""

    def __init__(self, site: Site, folder: Path, argv: list[str]) -> None:
        self._site = site
        self._cookie = uuid.uuid4().hex
        self._output = folder / f"{self._cookie}.out"
        self._known = {event.id for event in site.events()}
        # Short: it becomes part of a socket's path.
        self._masters = Path(tempfile.mkdtemp(prefix="tg", dir="/tmp"))
        self._argv = argv
        self.process = self._begin()

    def _begin(self) -> subprocess.Popen[bytes]:
        with self._output.open("w") as output:
            return self._start(stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def _start(self, **where: Any) -> subprocess.Popen[bytes]:
        own = {_COOKIE: self._cookie, "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self._masters)}
        environment = self._site.environment | own
        return subprocess.Popen(self._argv, cwd=PROJECT, env=environment, start_new_session=True, **where)

    # Waiting

    def said(self) -> str:
        """What it has printed."""
        return self._output.read_text(errors="replace")

    def await_text(self, text: str) -> None:
        """Until it says so."""
        self._await(lambda: text in self.said(), f"it says {text!r}")

    def await_event(self, seen: Callable[[Event], bool]) -> None:
        """Until the ledger has such a new event."""
        self._await(
            lambda: any(seen(event) for event in self._site.events() if event.id not in self._known), "the event"
        )

    def await_state(self, so: Callable[[Site], bool], what: str) -> None:
        """Until the lab shows it."""
        self._await(lambda: so(self._site), what)

    def _await(self, so: Callable[[], bool], what: str) -> None:
        until(so, lambda: f"{what}\n{self.said()}", DEPLOYMENT_S, _POLL_S, of=self.process)

    # Interrupting

    def interrupt(self, number: Signals) -> None:
        """Signal ansible-playbook's main process alone."""
        os.kill(self.process.pid, number)

    def interrupt_everyone(self, number: Signals) -> None:
        """Signal every process of the run at once, the shared ssh connections included."""
        for process in self.family():
            processes.send(process, number)

    def family(self) -> list[processes.Process]:
        """All living processes of the run."""
        return [each for each in processes.snapshot().values() if self._ours(each)]

    def _ours(self, process: processes.Process) -> bool:
        try:
            environment = Path(f"/proc/{process.pid}/environ").read_bytes()
        except OSError:
            return False
        return f"{_COOKIE}={self._cookie}".encode() in environment.split(b"\0") and processes.is_alive(process)

    # Its end

    def ended(self) -> Played:
        """Wait for its end, which it must come to by itself."""
        try:
            self.process.wait(DEPLOYMENT_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it runs on after {DEPLOYMENT_S:.0f} s:\n{self.said()}") from None
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, SIGKILL)
        return Played(self.process.returncode, self.said())

    def survivors(self) -> list[str]:
        """What of the run lives on, but idle shared connections, which end by themselves."""
        wait_until(lambda: not self._left(), GONE_S, every=0.1)
        return self._left()

    def _left(self) -> list[str]:
        return [each.title for each in self.family() if not each.argv[0].startswith(f"ssh: {self._masters}/")]

    def clear(self) -> None:
        """End the shared connections, and whatever else a failed test has left."""
        for process in self.family():
            processes.send(process, SIGKILL)
        self.process.wait(DEPLOYMENT_S)
        for path in self._masters.iterdir():
            path.unlink(missing_ok=True)
        self._masters.rmdir()


class WatchedRun(Run):
    """The same, its output read by a program that can be ended."""

    def close(self) -> None:
        """End the reader: nobody reads any more."""
        self._reader.kill()
        self._reader.wait(DEPLOYMENT_S)

    def _begin(self) -> subprocess.Popen[bytes]:
        source, end = self._way()
        with self._output.open("w") as output:
            self._reader = subprocess.Popen(["cat"], stdin=source, stdout=output, stderr=subprocess.DEVNULL)
        os.close(source)
        try:
            return self._start_on(end)
        finally:
            os.close(end)

    def clear(self) -> None:
        self.close()
        super().clear()

    def _way(self) -> tuple[int, int]:
        raise NotImplementedError

    def _start_on(self, end: int) -> subprocess.Popen[bytes]:
        raise NotImplementedError


class TerminalRun(WatchedRun):
    """On a terminal of its own. When that closes, SIGHUP comes as well."""

    def _way(self) -> tuple[int, int]:
        return pty.openpty()

    def _start_on(self, end: int) -> subprocess.Popen[bytes]:
        return self._start(stdin=end, stdout=end, stderr=end, preexec_fn=_take_terminal)


class PipedRun(WatchedRun):
    """Piped into a program, as into `tee`, which Ctrl-C ends too."""

    def _way(self) -> tuple[int, int]:
        return os.pipe()

    def _start_on(self, end: int) -> subprocess.Popen[bytes]:
        return self._start(stdin=subprocess.DEVNULL, stdout=end, stderr=end)


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@contextmanager
def deployment(kind: type[R], site: Site, folder: Path, version: str, *nodes: str) -> Iterator[R]:
    """A deployment, to n1 unless nodes are named, whose processes are gone afterwards, whatever happens."""
    left_out = others(nodes or ("n1",))
    with _under_way(
        kind(site, folder, site.argv("deploy", service="tradeapi", version=version, exclude=left_out))
    ) as run:
        yield run


@contextmanager
def leave_by_hand(site: Site, folder: Path, node: str) -> Iterator[Run]:
    """A move of one node to the maintenance pool by hand, the same way."""
    argv = site.argv("pool", service="tradeapi", node=node, state="maintenance")
    with _under_way(Run(site, folder, argv)) as run:
        yield run


@contextmanager
def _under_way(run: R) -> Iterator[R]:
    try:
        yield run
    finally:
        run.clear()


@contextmanager
def open_orders(site: Site | None) -> Iterator[list[socket.socket]]:
    """Customers, one per node, in the middle of sending an order: their sessions stay until they go on."""
    addresses = [(site.layout.host("lb1").address, TRADEAPI.online_port)] * len(TRADEAPI.nodes) if site else []
    customers = [socket.create_connection(address, timeout=PATIENCE_S) for address in addresses]
    try:
        for customer in customers:
            customer.sendall(_ORDER_HEAD)
        yield customers
    finally:
        for customer in customers:
            customer.close()


def answered(customer: socket.socket) -> str:
    """The status line that a customer gets who sends the rest of the order."""
    customer.sendall(_ORDER)
    return customer.recv(65536).decode().splitlines()[0]
