from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from lab import haproxy_socket
from lab.haproxy_socket import Server, parse_servers

# Cut from HAProxy 2.6.12: `show stat -1 4 -1` (columns after `status` left out) and `show servers state`.
STAT = """\
# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status
online,n1,0,0,0,0,,0,0,0,,0,,0,0,0,0,UP
online,n2,0,0,0,0,,0,0,0,,0,,0,0,0,0,UP 1/3
online,n3,0,0,0,0,,0,0,0,,0,,0,0,0,0,DRAIN
maintenance,n1,0,0,0,0,,0,0,0,,0,,0,0,0,0,MAINT
maintenance,n2,0,0,0,0,,0,0,0,,0,,0,0,0,0,UP

"""
STATE = """\
1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change
5 online 1 n1 127.31.1.1 2 0 1 1 24 6 3 4 6 0 0 0 - 8080 - 0 0 - - 0
5 online 2 n2 127.31.1.2 2 0 1 1 24 6 3 4 6 0 0 0 - 8080 - 0 0 - - 0
5 online 3 n3 127.31.1.3 2 8 1 1 24 6 3 4 6 0 0 0 - 8080 - 0 0 - - 0
6 maintenance 1 n1 127.31.1.1 0 5 1 1 24 1 0 2 0 0 0 0 - 8080 - 0 0 - - 0
6 maintenance 2 n2 127.31.1.2 2 4 1 1 24 1 0 2 0 0 0 0 - 8080 - 0 0 - - 0
"""


def test_servers_join_both_answers() -> None:
    assert parse_servers(STAT, STATE) == [
        Server("online", "n1", "UP", 0),
        Server("online", "n2", "UP 1/3", 0),
        Server("online", "n3", "DRAIN", 8),
        Server("maintenance", "n1", "MAINT", 5),
        Server("maintenance", "n2", "UP", 4),
    ]


def test_up_is_exactly_up_and_disabled_in_the_configuration_is_not_out() -> None:
    judged = [(server.is_up, server.is_out) for server in parse_servers(STAT, STATE)]
    assert judged == [(True, False), (False, False), (False, True), (False, True), (True, False)]


def test_one_that_takes_the_question_and_never_answers_is_no_answer(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        assert not haproxy_socket.answers(path, timeout_s=0.2)


def test_an_endless_answer_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(haproxy_socket, "_LIMIT", 1000)
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        thread = threading.Thread(target=_flood, args=(server,))
        thread.start()
        with pytest.raises(OSError, match="longer than 1000 bytes"):
            haproxy_socket.ask(path, "help")
        thread.join()


def _flood(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(100)  # else it could be closed before it was asked
        connection.sendall(b"x" * 5000)
