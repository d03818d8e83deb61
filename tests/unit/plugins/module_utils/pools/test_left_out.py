"""What a left out load balancer's host answers, and what is made of it."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import (
    BadInput,
    DomainError,
    Locked,
    Refused,
    Unreachable,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.access import AdminAccess
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.runtime import Applied, Batch
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import LoadBalancerState
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Completed, PosixNode
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.left_out import LeftOut
from tests.unit.plugins.module_utils.haproxy_rows import MAINTENANCE, ONLINE, state

ACCESS = AdminAccess("lb2", "/run/a.sock", "/run/m.sock", "/run/lock/t", "/var/state")
_MARK = re.compile(r"tidegate-[0-9a-f]{16}")


class Host:
    """An `Execute` that answers each script with its next frames, as the script prints them."""

    def __init__(self, *answers: str) -> None:
        self._answers = list(answers)
        self.requests: list[list[str]] = []

    def __call__(self, command: str, stdin: bytes | None, timeout: float) -> Completed:
        found = _MARK.search(command)
        assert found and stdin
        assert "/run/" not in command, "an argument of ours could pass for one of HAProxy's"
        self.requests.append(stdin.decode().splitlines())
        text = "".join(f"\n{found[0]} {frame}\n" for frame in self._answers.pop(0).split("|"))
        return Completed(0, text.encode() + b"\n0", b"")


class Running:
    """The Runtime API of an HAProxy that runs again, or hangs."""

    def __init__(self, error: DomainError | None = None, access: AdminAccess = ACCESS) -> None:
        self.access = access
        self._error = error

    def read(self, backends: Sequence[str] = ()) -> LoadBalancerState:
        if self._error:
            raise self._error
        return state("lb2", {})

    def apply(self, batch: Batch, backends: Sequence[str]) -> Applied:
        return Applied(self.read(backends), changed=f"sent to {batch.pid}")


def left_out(host: Host, running: Running | None = None) -> LeftOut:
    return LeftOut(PosixNode("lb2", host), running or Running(), [ONLINE, MAINTENANCE], lock=5)


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        ("stopped lock", Locked, "the lock stayed taken for 5 s"),
        ("stopped lockfile", Refused, "the lock file /run/lock/t can't be written"),
        ("stopped folder", Refused, "the saved states in /var/state can't be written"),
        ("stopped tool flock", Refused, "flock is not installed"),
        ("stopped blind", Refused, "/proc doesn't show other users' processes"),
        ("stopped request", BadInput, "nothing was done"),
        ("saved shop_online", Unreachable, "the answer broke off"),
        ("", Unreachable, "the answer broke off"),
        ("unsaved shop_online|finished", Refused, "no state of shop_online is saved in /var/state"),
    ],
)
def test_every_reason_names_the_load_balancer_and_what_to_do(answer: str, error: type[DomainError], text: str) -> None:
    with pytest.raises(error) as raised:
        left_out(Host(answer)).read()
    assert text in raised.value.message
    assert raised.value.where == "load balancer lb2"
    assert raised.value.remedy


def test_without_saved_states_the_host_is_not_even_asked() -> None:
    access = AdminAccess("lb2", "/run/a.sock", "/run/m.sock")
    with pytest.raises(Refused, match="tidegate_haproxy_state_dir is not set"):
        left_out(Host(), Running(access=access)).read()
    with pytest.raises(Refused, match="tidegate_haproxy_state_dir is not set"):
        left_out(Host(), Running(access=access)).apply(Batch((), 0), [ONLINE])


def test_one_that_runs_is_asked_itself() -> None:
    each = left_out(Host("alive process 12: haproxy -W|finished"))
    assert not each.read().down
    assert each.apply(Batch((), 100), []).changed == "sent to 100"


def test_one_that_runs_and_does_not_answer_may_carry_traffic() -> None:
    host = Host("alive process 12: haproxy -W|finished")
    with pytest.raises(
        Unreachable, match=r"an HAProxy is there \(process 12: haproxy -W\), but can't be asked: no answer"
    ):
        left_out(host, Running(Unreachable("no answer"))).read()


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        # Nothing was written: a refusal.
        (["alive process 12: haproxy|finished"], Refused),
        # Written, and what it starts with is read back.
        (["finished", "started process 12: haproxy|finished"], Unreachable),
    ],
)
def test_one_that_starts_while_its_state_is_written(answers: list[str], error: type[DomainError]) -> None:
    with pytest.raises(error, match="an HAProxy is there"):
        left_out(Host(*answers), Running(Unreachable("no answer"))).apply(Batch((), 0), [ONLINE])
