"""The least of HAProxy's Runtime API that the lab needs to start, watch and disturb its load balancers."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

_TIMEOUT_S = 10.0
_LIMIT = 4 * 1024 * 1024
# `srv_admin_state` of `show servers state`: 4 (disabled in the configuration) is no more than information.
_OUT = 0x3B


@dataclass(frozen=True, slots=True)
class Server:
    """One server of one backend, as `show stat` and `show servers state` tell it."""

    backend: str
    name: str
    status: str
    admin: int

    @property
    def is_out(self) -> bool:
        """Somebody took it out of the pool (drain or maintenance)."""
        return bool(self.admin & _OUT)

    @property
    def is_up(self) -> bool:
        return self.status == "UP"


def ask(path: Path, command: str, timeout_s: float = _TIMEOUT_S) -> str:
    """The answer to one command. Raises OSError if there is none within the timeout."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        connection.connect(str(path))
        connection.sendall(f"{command}\n".encode())
        # The master's socket answers and then waits for more, until it sees our end.
        connection.shutdown(socket.SHUT_WR)
        return _read_all(connection).decode("utf-8", "replace")


def _read_all(connection: socket.socket) -> bytes:
    answer = bytearray()
    while chunk := connection.recv(65536):
        answer += chunk
        if len(answer) > _LIMIT:
            raise OSError(f"HAProxy's answer is longer than {_LIMIT} bytes")
    return bytes(answer)


def answers(path: Path, timeout_s: float = 1.0) -> bool:
    """Does an HAProxy answer on that admin or master socket?"""
    try:
        return ask(path, "help", timeout_s) != ""
    except OSError:
        return False


def servers(path: Path) -> list[Server]:
    """Every server of every backend. Raises OSError."""
    stat, _, state = ask(path, "show stat -1 4 -1;show servers state").partition("\n\n")
    return parse_servers(stat, state)


def parse_servers(stat: str, state: str) -> list[Server]:
    """Join `show stat` (CSV, management guide 9.1) with `show servers state` (fields split by blanks, version 1)."""
    rows = (line.split() for line in state.splitlines()[2:] if line.strip())
    admin = {(row[1], row[3]): int(row[6]) for row in rows}
    cells = (line.split(",") for line in stat.splitlines() if line and not line.startswith("#"))
    return [Server(cell[0], cell[1], cell[17], admin.get((cell[0], cell[1]), 0)) for cell in cells]
