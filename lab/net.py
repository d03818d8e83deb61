"""Probing and checking the lab's endpoints."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterable
from pathlib import Path

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from lab import processes

_PROBE_TIMEOUT_S = 1.0
_LISTENING = "0A"


def tcp_answers(address: str, port: int, question: bytes, start: bytes) -> bool:
    """Does a server there answer `question` with something that begins with `start`?"""
    try:
        with socket.create_connection((address, port), timeout=_PROBE_TIMEOUT_S) as connection:
            connection.sendall(question)
            return connection.recv(64).startswith(start)
    except OSError:
        return False


def is_free(address: str, port: int) -> bool:
    """Could a server listen there now? Raises BadInput if this machine has no such address."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise BadInput(
                f"This machine can't listen on {address}: {error.strerror}",
                where=f"{address}:{port}",
                remedy="The lab needs Linux's loopback network 127.0.0.0/8: check `ip address show lo`.",
            ) from error
    return True


def require_free(endpoints: Iterable[tuple[str, int]]) -> None:
    """Raises BadInput that names the first endpoint that something else has, and who it is."""
    for address, port in endpoints:
        if not is_free(address, port):
            raise BadInput(
                f"Port {port} of {address} is taken by {_holder(address, port)}",
                where=f"{address}:{port}",
                remedy="Stop that, or give this lab a network of its own: --net 127.<another number>.",
            )


def _holder(address: str, port: int) -> str:
    """Who listens there, in words; /proc shows the sockets of other users' processes only to root."""
    inodes = listening_inodes(Path("/proc/net/tcp").read_text(), address, port)
    for process in processes.snapshot().values():
        if inodes & _sockets(process.pid):
            return f"process {process.pid} ({process.title})"
    return "another process"


def listening_inodes(table: str, address: str, port: int) -> set[str]:
    """Inodes of the sockets in /proc/net/tcp (proc(5)) that listen on that port, on the address or on all."""
    wanted = {f"{_hex(candidate)}:{port:04X}" for candidate in (address, "0.0.0.0")}  # noqa: S104
    rows = (line.split() for line in table.splitlines()[1:])
    return {row[9] for row in rows if len(row) > 9 and row[1] in wanted and row[3] == _LISTENING}


def _hex(address: str) -> str:
    return socket.inet_aton(address)[::-1].hex().upper()


def _sockets(pid: int) -> set[str]:
    """The inodes of a process's sockets; descriptors come and go while one looks."""
    found = set()
    with contextlib.suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                target = str(entry.readlink())
                if target.startswith("socket:["):
                    found.add(target[8:-1])
    return found
