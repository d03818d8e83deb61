"""A Windows node's boot, from what Microsoft's programs write."""

from __future__ import annotations

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, DomainError, Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.node import reboot
from ansible_collections.tidegate.delivery.plugins.module_utils.node.boot import Boot, OnPending, look_at_boot
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Completed
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.boot import (
    PENDING_KEYS,
    ask_for_reboot,
    booted_at,
    pending_reboot,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.node import NoSuchProgram, WindowsNode
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.wmi import moment
from tests.unit.plugins.module_utils.windows.test_node import DIRECT, Answers

BOOTED = "20260131142501.500000+060"
THERE, NOT_THERE = Completed(0, b"\r\nHKEY_LOCAL_MACHINE\\...\r\n", b""), Completed(1, b"", b"ERROR: ...\r\n")


def wmic(text: str) -> Completed:
    return Completed(0, f"\r\r\n\r\r\n{text}\r\r\n\r\r\n".encode(), b"")


def answering(*answers: Completed | DomainError) -> WindowsNode:
    return WindowsNode("w1", Answers([DIRECT, *answers]))


@pytest.mark.parametrize(
    "said",
    [
        wmic(f"LastBootUpTime={BOOTED}"),
        wmic(f"lastbootuptime={BOOTED}  "),
        Completed(0, "\ufeff\r\nLastBootUpTime=".encode("utf-16-le") + f"{BOOTED}\r\n".encode("utf-16-le"), b""),
    ],
)
def test_when_it_was_booted(said: Completed) -> None:
    assert booted_at(answering(said)) == BOOTED


@pytest.mark.parametrize("said", [wmic("LastBootUpTime="), wmic(""), wmic("LastBootUpTime=yesterday")])
def test_a_node_that_does_not_tell_is_not_taken_for_another_boot(said: Completed) -> None:
    with pytest.raises(Unreachable, match=r"does not tell when it was booted.*\(w1\)"):
        booted_at(answering(said))


def test_without_wmic_it_says_what_to_add() -> None:
    missing = NoSuchProgram("there is no it", where="w1", remedy="")
    with pytest.raises(BadInput, match=r"there is no .*WMIC.exe \(w1\)\. Add it: dism.exe .*WMIC~~~~"):
        booted_at(answering(missing))
    with pytest.raises(Unreachable, match=r"wmic.exe os ended with 5: denied"):
        booted_at(answering(Completed(5, b"", b"denied")))


def test_a_clock_that_was_set_right_makes_no_other_boot() -> None:
    boot = Boot(BOOTED)
    assert boot.is_same(Boot("20260131142559.000000+060"))
    assert boot.is_same(Boot("20260131132501.500000+000")), "in another time zone"
    assert not boot.is_same(Boot("20260131142701.500000+060"))
    assert not Boot("first").is_same(Boot("second"))
    assert moment("20261331142501.500000+060") is None
    assert moment("99991231235959.000000-999") is None


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ((NOT_THERE, NOT_THERE), ""),
        ((THERE, NOT_THERE), f"{PENDING_KEYS[0]} is there"),
        ((NOT_THERE, THERE), f"{PENDING_KEYS[1]} is there"),
        ((THERE, THERE), f"{PENDING_KEYS[0]} and {PENDING_KEYS[1]} are there"),
    ],
)
def test_why_a_reboot_is_pending(answers: tuple[Completed, ...], why: str) -> None:
    assert pending_reboot(answering(*answers)) == why
    assert look_at_boot(answering(*answers), only_pending=True) == Boot("", why)


def test_a_registry_that_can_not_be_read_is_told() -> None:
    with pytest.raises(BadInput, match="ended with 70000: what"):
        pending_reboot(answering(Completed(70000, b"", b"what")))


def test_while_it_reboots_only_its_boot_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program started during a shutdown may end with 0xC0000142 (STATUS_DLL_INIT_FAILED)."""
    monkeypatch.setattr(reboot, "_LOOK_AGAIN", 0.01)
    going = Completed(0xC0000142, b"", b"")
    later = BOOTED.replace("1425", "1525")
    node = answering(Completed(0, b"", b""), wmic(f"LastBootUpTime={BOOTED}"), going, wmic(f"LastBootUpTime={later}"))
    assert reboot.reboot(node, Boot(BOOTED), 5.0, lambda _line: None) == Boot(later)


@pytest.mark.parametrize("rc", [0, 1115, 1190])
def test_asked_also_when_somebody_had_asked_before(rc: int) -> None:
    ask_for_reboot(answering(Completed(rc, b"", b"")))


def test_a_node_that_may_not_be_rebooted_is_told() -> None:
    with pytest.raises(DomainError, match=r"can't be rebooted: Access is denied.\(5\) \(w1\)"):
        ask_for_reboot(answering(Completed(5, b"", b"Access is denied.(5)\r\n")))


def test_after_a_good_run_it_is_looked_at_only_where_it_counts() -> None:
    assert [policy for policy in OnPending if policy.asks(answering())] == [OnPending.HOLD, OnPending.IF_PENDING]
