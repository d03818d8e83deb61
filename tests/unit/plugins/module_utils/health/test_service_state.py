from __future__ import annotations

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.health.service_state import STATES, ServiceCheck
from ansible_collections.tidegate.delivery.plugins.module_utils.node.commands import Ended
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.services import ServiceState, ServiceStatus

CHECK = ServiceCheck("tradeapi")
QUIET = ServiceCheck("tradeapi", (ServiceState.STOPPED, ServiceState.STOP_PENDING))


def systemd(active: str, load: str = "loaded", rc: int = 0, *, late: bool = False) -> Ended:
    return Ended(rc, f"LoadState={load}\nActiveState={active}\n".encode(), b"", 0.0, late)


@pytest.mark.parametrize(
    ("check", "active", "told"),
    [
        (CHECK, "active", ""),
        (CHECK, "reloading", ""),
        (CHECK, "activating", "service tradeapi: it is activating, expected running"),
        (CHECK, "inactive", "service tradeapi: it is inactive, expected running"),
        (CHECK, "failed", "service tradeapi: it is failed, expected running"),
        (QUIET, "inactive", ""),
        (QUIET, "deactivating", ""),
        (QUIET, "failed", "service tradeapi: it is failed, expected stopped or stop_pending"),
        (QUIET, "active", "service tradeapi: it is active, expected stopped or stop_pending"),
    ],
)
def test_units_of_systemd(check: ServiceCheck, active: str, told: str) -> None:
    assert [each.text for each in check.judge(systemd(active))] == ([told] if told else [])


@pytest.mark.parametrize(
    ("ended", "told"),
    [
        (systemd("inactive", "not-found"), "there is no such service"),
        (Ended(1, b"", b"no bus", 0.0), "systemctl does not tell its state (exit code 1)"),
        (Ended(0, b"garbage\n", b"", 0.0), "systemctl does not tell its state"),
        (systemd("active", late=True), "systemctl did not end in time"),
    ],
)
def test_what_can_not_be_told_is_not_good(ended: Ended, told: str) -> None:
    assert told in QUIET.judge(ended)[0].text


@pytest.mark.parametrize("state", list(ServiceState))
def test_services_of_windows(state: ServiceState) -> None:
    found = CHECK.judge_windows(ServiceStatus(state, 12, 0))
    good = state is ServiceState.RUNNING
    process = ", process 12" if state.pending else ""
    assert [each.text for each in found] == (
        [] if good else [f"service tradeapi: it is {state.name.lower()}{process}, expected running"]
    )


def test_what_a_service_of_windows_ended_with_is_told() -> None:
    assert CHECK.judge_windows(ServiceStatus(ServiceState.STOPPED, None, 1067))[0].text == (
        "service tradeapi: it is stopped, after it ended with 1067, expected running"
    )
    assert CHECK.judge_windows(None)[0].text == "service tradeapi: there is no such service"


@pytest.mark.parametrize("name", ["", "-a", "a/b", "a;b", "x" * 256])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(BadInput, match="is no service's name"):
        ServiceCheck(name)
    with pytest.raises(BadInput, match="no state is accepted"):
        ServiceCheck("tradeapi", ())
    assert "running" in STATES
