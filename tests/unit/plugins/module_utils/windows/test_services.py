"""What sc.exe writes is taken from Microsoft's page on `sc queryex`; the German and French labels show what differs."""

from __future__ import annotations

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Completed
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.node import WindowsNode
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.services import (
    ServiceState,
    ServiceStatus,
    read_status,
    status,
)
from tests.unit.plugins.module_utils.windows.test_node import DIRECT, Answers

ENGLISH = ("SERVICE_NAME", "TYPE", "STATE", "WIN32_EXIT_CODE", "SERVICE_EXIT_CODE", "CHECKPOINT", "WAIT_HINT", "FLAGS")
GERMAN = ("SERVICE_NAME", "TYP", "STATUS", "WIN32_EXITCODE", "SERVICE_EXITCODE", "CHECKPOINT", "WAIT_HINT", "FLAGS")
FRENCH = (
    "SERVICE_NAME",
    "TYPE",
    "ÉTAT",
    "CODE_SORTIE_WIN32",
    "CODE_SORTIE_SERVICE",
    "POINT_CONTRÔLE",
    "ATTENTE",
    "IND.",
)


def text(
    state: str,
    pid: int = 0,
    labels: tuple[str, ...] = ENGLISH,
    *,
    name: str = "tradeapi",
    code: str = "0",
    own: str = "0",
) -> str:
    title, kind, state_, code_, own_, checkpoint, hint, flags = labels
    lines = [
        "",
        f"{title}: {name}",
        f"        {kind:<19}: e0  USER_OWN_PROCESS TEMPLATE  ",
        f"        {state_:<19}: {state} ",
        "                                (STOPPABLE, NOT_PAUSABLE, ACCEPTS_SHUTDOWN)",
        f"        {code_:<19}: {code}  (0x0)",
        f"        {own_:<19}: {own}  (0x0)",
        f"        {checkpoint:<19}: 0x0",
        f"        {hint:<19}: 0x7d0",
        f"        {'PID':<19}: {pid}",
        f"        {flags:<19}: ",
    ]
    return "\r\n".join(lines)


@pytest.mark.parametrize("labels", [ENGLISH, GERMAN, FRENCH])
@pytest.mark.parametrize("state", list(ServiceState))
def test_states_are_read_by_their_numbers_in_any_language(state: ServiceState, labels: tuple[str, ...]) -> None:
    assert read_status(text(f"{state.value}  WIRD_BEENDET", 4711, labels)) == ServiceStatus(state, 4711, 0)


def test_what_pends_is_told_from_what_stays() -> None:
    pending = {each.name for each in ServiceState if each.pending}
    assert pending == {"START_PENDING", "STOP_PENDING", "CONTINUE_PENDING", "PAUSE_PENDING"}


@pytest.mark.parametrize("name", ["123", "7zip", "a 4", "x: 4"])
def test_names_that_look_like_numbers_are_no_numbers(name: str) -> None:
    assert read_status(text("1  STOPPED", name=name)) == ServiceStatus(ServiceState.STOPPED, None, 0)


def test_a_service_that_ended_badly_tells_its_own_code() -> None:
    stopped = text("1  STOPPED", code="1066", own="3")
    assert read_status(stopped) == ServiceStatus(ServiceState.STOPPED, None, 3)
    assert read_status(text("1  STOPPED", code="1067")) == ServiceStatus(ServiceState.STOPPED, None, 1067)


@pytest.mark.parametrize(
    "said", ["", "[SC] EnumQueryServicesStatus:OpenService FAILED 1060:", text("9  WHATEVER"), text("")]
)
def test_anything_else_is_no_status(said: str) -> None:
    assert read_status(said) is None


def answering(*answers: Completed) -> WindowsNode:
    return WindowsNode("w1", Answers([DIRECT, *answers]))


def done(state: str, pid: int = 17) -> Completed:
    return Completed(0, text(state, pid).encode(), b"")


def test_a_service_that_is_not_there_is_none() -> None:
    assert (
        status(answering(Completed(1060, b"[SC] EnumQueryServicesStatus:OpenService FAILED 1060:", b"")), "x") is None
    )


def test_who_may_not_ask_is_told_so() -> None:
    with pytest.raises(BadInput, match=r"ended with 5: \[SC\] .* Log in as a user who may query services"):
        status(answering(Completed(5, b"[SC] OpenService FAILED 5:", b"")), "x")


@pytest.mark.parametrize("name", ["", "a/b", "%PATH%", "a&b", "x" * 257, "ä"])
def test_names_that_windows_or_cmd_would_not_take_are_not_sent(name: str) -> None:
    with pytest.raises(BadInput, match="no service name"):
        status(WindowsNode("w1", Answers([])), name)
