from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import (
    DeadlineExceeded,
    DomainError,
    NotLetIn,
    Stopped,
    Unreachable,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.node import reboot as module
from ansible_collections.tidegate.delivery.plugins.module_utils.node.boot import Boot
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Completed, PosixNode
from ansible_collections.tidegate.delivery.plugins.module_utils.node.reboot import Waited, reboot, wait_out
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import Stopping
from tests.unit.plugins.module_utils.edge import NEW_BOOT, Edge

FIRST = Boot("first")


@pytest.fixture
def edge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Edge:
    monkeypatch.setattr(module, "_LOOK_AGAIN", 0.05)
    monkeypatch.setattr(module, "_LOG_IN_AGAIN", 0.05)
    return Edge(tmp_path)


class Away:
    """An `Execute` that answers none of the calls that are counted here; `sent` are those that arrive all the same."""

    def __init__(self, node: PosixNode, calls: list[int], sent: list[int], error: DomainError | None = None) -> None:
        self._execute, self._calls, self._sent, self._count = node._execute, calls, sent, 0
        self._error = error or Unreachable("connection lost", where="n1")

    def __call__(self, command: str, stdin: bytes | None, timeout: float) -> Completed:
        self._count += 1
        if self._count in self._calls:
            if self._count in self._sent:
                self._execute(command, stdin, timeout)
            raise self._error
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


HANGS = DeadlineExceeded("shutdown did not end within 30 s and was ended", where="n1")
NOT_LET_IN = NotLetIn("the specified credentials were rejected by the server", where="n1", remedy="Check ansible_user")


def test_an_order_that_does_not_end_is_judged_by_the_nodes_boot(edge: Edge) -> None:
    edge.shutdown(NEW_BOOT)
    assert done(PosixNode("n1", Away(edge.node, [1], [1], HANGS))).id == "second"
    assert edge.asked() == ["-r now"]


def test_an_order_that_hung_and_did_nothing_is_given_again(edge: Edge) -> None:
    edge.shutdown(NEW_BOOT)
    assert done(PosixNode("n1", Away(edge.node, [1], [], HANGS))).id == "second"
    assert edge.asked() == ["-r now"]
    never = PosixNode("n1", Away(edge.node, [*range(1, 1000, 2)], [], HANGS))
    with pytest.raises(DeadlineExceeded, match=r"is still in its old boot; the order to reboot had no answer"):
        reboot(never, Boot("second"), 0.3, lambda _line: None)


UNDER_WAY = "Failed to reboot: There's already a shutdown or sleep operation in progress"


def test_a_second_order_that_is_refused_is_judged_by_the_nodes_boot(edge: Edge) -> None:
    refuse = f"""echo "{UNDER_WAY}" >&2; exit 1"""
    once = f"""[ ! -e "$root/going" ] || {{ {refuse}; }}; : >"$root/going";"""
    edge.shutdown(f"{once} (sleep 0.5; {NEW_BOOT}) >/dev/null 2>&1 &")
    assert done(PosixNode("n1", Away(edge.node, [1], [1]))).id == "second"
    assert len(edge.asked()) > 1, "it was asked again, and refused"


def test_a_second_order_that_is_refused_for_good_is_told_when_the_time_is_up(edge: Edge) -> None:
    edge.shutdown("echo 'Must be root' >&2; exit 1")
    with pytest.raises(DeadlineExceeded, match=r"had no answer, and then the node can't be rebooted: Must be root"):
        done(PosixNode("n1", Away(edge.node, [1], [])), 0.3)


def test_a_password_that_is_refused_while_it_starts_is_tried_again(edge: Edge) -> None:
    edge.shutdown(NEW_BOOT)
    told: list[str] = []
    node = PosixNode("n1", Away(edge.node, [2, 3, 4], [], NOT_LET_IN))
    assert reboot(node, FIRST, 20.0, told.append).id == "second"
    assert "the node lets nobody in yet" in told[0]


def test_one_that_lets_nobody_in_any_more_is_told_so(edge: Edge) -> None:
    edge.shutdown(NEW_BOOT)
    node = PosixNode("n1", Away(edge.node, list(range(2, 1000)), [], NOT_LET_IN))
    with pytest.raises(
        DeadlineExceeded, match=r"refuses user or password .*rejected by the server.*Check ansible_user"
    ):
        done(node, 0.3)
    with pytest.raises(NotLetIn):
        done(PosixNode("n1", Away(edge.node, [1], [], NOT_LET_IN)))


def test_a_refused_password_is_not_tried_as_often_as_silence_is(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    del edge
    monkeypatch.setattr(module, "_LOG_IN_AGAIN", 15.0)
    assert [module._pause(each) for each in (None, HANGS, NOT_LET_IN)] == [0.05, 0.05, 15.0]


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


def waited(node: PosixNode, ago_s: float, deadline_s: float = 600.0) -> Waited:
    return wait_out(node, FIRST, ago_s, deadline_s, lambda _line: None)


def test_a_reboot_that_a_dead_attempt_began_is_waited_for(edge: Edge) -> None:
    edge.shutdown(f"(sleep 0.3; {NEW_BOOT}) >/dev/null 2>&1 &")
    edge.node.sh(f"{edge.root}/sbin/shutdown -r now")
    assert waited(PosixNode("n1", Away(edge.node, [2, 3], [])), 1.0) is Waited.BACK
    assert edge.asked() == ["-r now"], "nobody asked again"


def test_one_that_is_over_is_seen_at_once(edge: Edge) -> None:
    edge.boot_id.write_text("second\n")
    assert waited(edge.node, 3600.0) is Waited.BACK


def test_one_that_was_never_asked_for_holds_nothing_up(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    assert waited(edge.node, 60.0) is Waited.STAYED
    monkeypatch.setattr(module, "_GOING_S", 0.3)
    assert waited(edge.node, 0.0) is Waited.STAYED


def test_a_node_that_stays_away_is_waited_for_until_its_time_is_up(edge: Edge) -> None:
    away = PosixNode("n1", Away(edge.node, list(range(1, 1000)), []))
    assert waited(away, 600.0) is Waited.AWAY
    assert waited(away, 0.0, 0.3) is Waited.AWAY
    refusing = PosixNode("n1", Away(edge.node, list(range(1, 1000)), [], NOT_LET_IN))
    assert waited(refusing, 0.0, 0.3) is Waited.NOT_LET_IN


def test_a_stop_ends_the_wait_for_a_dead_attempts_reboot(edge: Edge) -> None:
    def stop(where: str) -> None:
        raise Stopped(f"stopped {where}")

    with pytest.raises(Stopped, match="while the node rebooted"):
        wait_out(edge.node, FIRST, 0.0, 600.0, lambda _line: None, Stopping(stop))
