"""A process of its own that listens."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

LISTEN = """import socket, sys, time
server = socket.create_server((sys.argv[1], int(sys.argv[2])))
print(flush=True)
time.sleep(600)"""


def free_port(address: str = "127.0.0.1") -> int:
    """A port that nobody listens at."""
    with socket.create_server((address, 0)) as free:
        return int(free.getsockname()[1])


@contextmanager
def listening(address: str = "127.0.0.1", port: int = 0) -> Iterator[tuple[int, int]]:
    """Its port and id."""
    port = port or free_port(address)
    with subprocess.Popen([sys.executable, "-c", LISTEN, address, str(port)], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield port, process.pid
        finally:
            process.kill()
