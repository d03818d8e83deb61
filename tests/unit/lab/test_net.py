from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from lab import net

ADDRESS = "127.253.0.1"

# /proc/net/tcp of Linux 6.18: 127.31.0.1:8000 listens, one connection to it, *:22 listens.
TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 01001F7F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000 100 0 0 10 0
   1: 01001F7F:1F40 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0000 20 4 30 10 -1
   2: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0000 100 0 0 10 0
"""


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server((ADDRESS, 0)) as server:
        yield server


def test_listening_sockets_are_told_from_connections_and_all_addresses_count() -> None:
    assert net.listening_inodes(TABLE, "127.31.0.1", 8000) == {"4711"}
    assert net.listening_inodes(TABLE, "127.31.0.2", 8000) == set()
    assert net.listening_inodes(TABLE, "127.31.0.1", 22) == {"4713"}


def test_a_taken_port_names_address_port_holder_and_remedy(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    with pytest.raises(BadInput) as caught:
        net.require_free([(ADDRESS, port)])
    assert f"Port {port} of {ADDRESS} is taken by process" in str(caught.value)
    assert "pytest" in str(caught.value)
    assert "--net 127." in str(caught.value)


def test_a_port_taken_on_all_addresses_is_not_free() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        assert not net.is_free(ADDRESS, server.getsockname()[1])


def test_a_free_port_is_free_again_right_after_a_server(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    listener.close()
    assert net.is_free(ADDRESS, port)
    net.require_free([(ADDRESS, port)])


def test_an_address_that_is_not_ours_is_an_error() -> None:
    with pytest.raises(BadInput, match=r"can't listen on 192\.0\.2\.1.*loopback"):
        net.is_free("192.0.2.1", 8080)


@pytest.mark.parametrize(("answer", "expected"), [(b"SSH-2.0-x\r\n", True), (b"HTTP/1.1 400\r\n", False), (b"", False)])
def test_a_probe_judges_the_first_bytes(listener: socket.socket, answer: bytes, expected: bool) -> None:
    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    assert net.tcp_answers(ADDRESS, listener.getsockname()[1], b"", b"SSH-2.0-") is expected
    thread.join()


def test_nobody_there_is_no_answer() -> None:
    assert not net.tcp_answers(ADDRESS, 1, b"", b"")
