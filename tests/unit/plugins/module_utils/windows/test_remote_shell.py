"""A WinRM shell whose connection drops and whose node refuses the next logon, as pywinrm and pyspnego raise it."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
from requests.exceptions import ConnectionError as Dropped
from spnego.exceptions import InvalidTokenError
from winrm.exceptions import InvalidCredentialsError, WinRMOperationTimeoutError

from ansible_collections.tidegate.delivery.plugins.module_utils import silence
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import NotLetIn, Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.node import Started, WindowsNode
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.remote_shell import RemoteShell

REFUSED = InvalidCredentialsError("the specified credentials were rejected by the server")
ENDED = (b"said", b"", 0, True)


class Protocol:
    """pywinrm's, with an answer to each Receive; `at_open`: why there is no shell."""

    operation_timeout_sec = 20

    def __init__(self, *answers: Exception | tuple[bytes, bytes, int, bool], at_open: Exception | None = None) -> None:
        self.transport = SimpleNamespace(read_timeout_sec=30)
        self._answers, self._at_open = iter(answers), at_open

    def open_shell(self, **_options: object) -> str:
        if self._at_open:
            error, self._at_open = self._at_open, None
            raise error
        return "shell"

    def run_command(self, *_what: object, **_options: object) -> str:
        return "command"

    def get_command_output_raw(self, *_which: object) -> tuple[bytes, bytes, int, bool]:
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def cleanup_command(self, *_which: object) -> None: ...

    def close_shell(self, *_which: object, **_options: object) -> None: ...


def said(protocol: Protocol, patience: float) -> bytes:
    node = WindowsNode("w1", RemoteShell("w1", lambda: protocol))
    node._started = Started.DIRECTLY
    return node.run_lasting([r"C:\p.exe"], timeout=60, patience=patience).stdout


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    taken: list[float] = []
    monkeypatch.setattr(silence.Silence.__init__, "__defaults__", (time.monotonic, taken.append))
    return taken


def test_a_logon_that_is_refused_while_it_runs_is_silence_and_tried_less_often(pauses: list[float]) -> None:
    assert said(Protocol(Dropped("reset by peer"), REFUSED, ENDED), 60) == b"said"
    assert pauses == [1.0, 15.0]


def test_one_that_stays_refused_is_told_as_what_may_go_on_there() -> None:
    with pytest.raises(Unreachable, match=r"the node let us in, and now refuses user or password .*rejected"):
        said(Protocol(REFUSED), 0)


def test_who_was_never_let_in_is_told_at_once(pauses: list[float]) -> None:
    with pytest.raises(NotLetIn):
        said(Protocol(at_open=REFUSED), 60)
    assert not pauses


def test_a_node_that_is_too_busy_to_give_a_shell_is_asked_again(pauses: list[float]) -> None:
    assert said(Protocol(ENDED, at_open=WinRMOperationTimeoutError()), 60) == b"said"
    assert pauses == [1.0]
    with pytest.raises(Unreachable, match="the node is busy"):
        said(Protocol(ENDED, at_open=WinRMOperationTimeoutError()), 0)


def test_what_the_negotiation_of_a_logon_raises_is_a_connection_that_drops() -> None:
    broken = InvalidTokenError(context_msg="no token")
    assert said(Protocol(broken, ENDED), 60) == b"said"
    with pytest.raises(Unreachable, match=r"the answer to .*p.exe broke off: .*no token"):
        said(Protocol(broken), 0)
