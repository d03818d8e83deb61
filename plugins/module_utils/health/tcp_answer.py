# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether something accepts a TCP connection and, if asked to, answers as expected."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import excerpt
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import LOOK_EVERY
from ansible_collections.tidegate.delivery.plugins.module_utils.values import format_duration

ANSWER_LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True)
class TcpQuestion:
    """Connect; send `send`, if anything; then read until `expect` has come, if anything is expected."""

    address: str
    port: int
    send: bytes = b""
    expect: bytes = b""

    def __post_init__(self) -> None:
        if not self.address or not 1 <= self.port <= 65535:
            raise BadInput(
                f"{self.address!r} port {self.port} can't be connected to",
                where="tcp",
                remedy="Give an address and a port from 1 to 65535",
            )


@dataclass(frozen=True, slots=True)
class TcpAnswer:
    """What came back on one connection; `problem` says what was wrong, `late` whether that was the time."""

    at: float
    seconds: float
    received: bytes = b""
    problem: str = ""
    late: bool = False


def ask_tcp(question: TcpQuestion, timeout: float, look: Callable[[], None] = lambda: None) -> TcpAnswer:
    """One connection, over within `timeout` seconds; what `look`, called every half second, raises ends it."""
    exchange = _Exchange(question, timeout, look)
    try:
        problem, late = exchange.run(), False
    except TimeoutError:
        problem, late = exchange.too_late(), True
    except OSError as error:
        problem, late = error.strerror or str(error), False
    except UnicodeError:
        # The resolver's, of an empty label or one of more than 63 characters.
        problem, late = "no host can have that name", False
    return TcpAnswer(exchange.at, time.monotonic() - exchange.began, exchange.received, problem, late)


class _Exchange:
    def __init__(self, question: TcpQuestion, timeout: float, look: Callable[[], None]) -> None:
        self.at, self.began, self.received = time.time(), time.monotonic(), b""
        self._question, self._timeout, self._look = question, timeout, look
        self._connected = False

    def run(self) -> str:
        # The name look-up of an address is none; of a name it has the resolver's own time-out.
        self._look()
        with socket.create_connection((self._question.address, self._question.port), self._left()) as connection:
            self._connected = True
            if self._question.send:
                connection.settimeout(self._left())
                connection.sendall(self._question.send)
            return self._await(connection) if self._question.expect else ""

    def _await(self, connection: socket.socket) -> str:
        wanted = self._question.expect
        while wanted not in self.received:
            self._look()
            connection.settimeout(min(self._left(), LOOK_EVERY))
            try:
                chunk = connection.recv(8192)
            except TimeoutError:
                continue
            if not chunk:
                return f"the connection was closed before {excerpt(wanted, 60)!r} came{self._so_far()}"
            self.received += chunk
            if len(self.received) > ANSWER_LIMIT and wanted not in self.received:
                return f"{ANSWER_LIMIT // 1024} KiB came without {excerpt(wanted, 60)!r}"
        return ""

    def too_late(self) -> str:
        within = format_duration(self._timeout)
        if not self._connected:
            return f"no connection within {within}"
        return f"{excerpt(self._question.expect or b'nothing', 60)!r} did not come within {within}{self._so_far()}"

    def _so_far(self) -> str:
        return f"; what came is {excerpt(self.received, 100)!r}" if self.received else ""

    def _left(self) -> float:
        left = self.began + self._timeout - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left
