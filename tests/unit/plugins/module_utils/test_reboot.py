from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils import reboot as module
from ansible_collections.tidegate.delivery.plugins.module_utils.boot import Boot
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import (
    DeadlineExceeded,
    DomainError,
    Stopped,
    Unreachable,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.node import Completed, PosixNode
from ansible_collections.tidegate.delivery.plugins.module_utils.reboot import reboot
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import Stopping
from tests.unit.plugins.module_utils.edge import NEW_BOOT, Edge

FIRST = Boot("first")


@pytest.fixture
def edge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Edge:
    monkeypatch.setattr(module, "_LOOK_AGAIN", 0.05)
    return Edge(tmp_path)


class Away:
    """An `Execute` that answers none of the calls that are counted here; `sent` are those that arrive all the same."""

    def __init__(self, node: PosixNode, calls: list[int], sent: list[int]) -> None:
        self._execute, self._calls, self._sent, self._count = node._execute, calls, sent, 0

    def __call__(self, command: str, stdin: bytes | None, timeout: float) -> Completed:
        self._count += 1
        if self._count in self._calls:
            if self._count in self._sent:
                self._execute(command, stdin, timeout)
            raise Unreachable("connection lost", where="n1")
        return self._execute(command, stdin, timeout)


def done(node: PosixNode, deadline_s: float = 20.0) -> Boot:
    return reboot(node, FIRST, deadline_s, lambda _line: None)


def test_it_is_asked_once_and_comes_back_in_another_boot(edge: Edge) -> None:
    edge.shutdown(f"(sleep 0.3; {NEW_BOOT}) >/dev/null 2>&1 &")
    assert done(edge.node).id == "second"
    assert edge.asked() == ["-r now"]


def test_a_shutdown_that_takes_its_own_caller_down_was_asked(edge: Edge) -> None:
    edge.shutdown(f"{NEW_BOOT}; kill -TERM $$")
    assert done(edge.node).id == "second"


def test_silence_while_it_is_away_is_borne(edge: Edge) -> None:
    edge.shutdown(NEW_BOOT)
    assert done(PosixNode("n1", Away(edge.node, [1, 2, 3, 4], [1]))).id == "second"
    assert edge.asked() == ["-r now"]


def test_an_order_that_never_arrived_is_given_again(edge: Edge) -> None:
    edge.shutdown(NEW_BOOT)
    assert done(PosixNode("n1", Away(edge.node, [1], []))).id == "second"
    assert edge.asked() == ["-r now"]


def test_a_node_that_may_not_be_rebooted_is_told(edge: Edge) -> None:
    edge.shutdown("echo 'Must be root' >&2; exit 1")
    with pytest.raises(DomainError, match=r"can't be rebooted: Must be root \(n1\)\. Check that the connection's user"):
        done(edge.node)


def test_a_node_without_a_shutdown_is_told(edge: Edge) -> None:
    with pytest.raises(DomainError, match=r"can't be rebooted: .*sbin/shutdown"):
        done(edge.node)


def test_one_that_does_not_go(edge: Edge) -> None:
    edge.shutdown(":")
    with pytest.raises(DeadlineExceeded, match=r"is still in its old boot.*Look what keeps it from shutting down"):
        done(edge.node, 0.3)


def test_one_that_does_not_come_back(edge: Edge) -> None:
    edge.shutdown(":")
    with pytest.raises(DeadlineExceeded, match=r"did not come back \(connection lost\).*Look at its console"):
        done(PosixNode("n1", Away(edge.node, list(range(2, 1000)), [])), 0.3)


def test_a_stop_ends_the_wait(edge: Edge) -> None:
    edge.shutdown(":")

    def stop(where: str) -> None:
        raise Stopped(f"stopped {where}")

    with pytest.raises(Stopped, match="the next attempt looks whether it came back"):
        reboot(edge.node, FIRST, 20, lambda _line: None, Stopping(stop))
    assert edge.asked() == ["-r now"]
