"""WinRM requests that are cut, heard or not: what is known then, and what patience makes of them."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar

import pytest
from ansible.playbook.play_context import PlayContext

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, DomainError, Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.node import WindowsNode
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.connections import WINRM, connect
from lab.winrm import server as winrm_server
from lab.winrm.certificate import make
from lab.winrm.server import Handler, Server
from lab.winrm.service import COMMAND, CREATE, RECEIVE, Limits, Service
from lab.winrm.windows import Drive, add_program, make_drive
from tests.integration.windows.endpoint import ADDRESS, PASSWORD, USER, shell_of
from tests.waiting import PATIENCE_S, until

COUNT = r"C:\Tools\count.exe"
CAT = r"C:\Tools\cat.exe"
ACTIONS = {"create": CREATE, "command": COMMAND, "receive": RECEIVE}


class Cutting(Handler):
    """Ends the connection of requests with an action, before or after it does what is asked."""

    action: ClassVar[str] = ""
    heard: ClassVar[bool] = False
    left: ClassVar[int] = 0

    def _answer(self, data: bytes, user: str) -> None:
        cut = type(self)
        if cut.left and f">{cut.action}<".encode() in data:
            cut.left -= 1
            if cut.heard:
                self.wfile = io.BytesIO()
                super()._answer(data, user)
            self.close_connection = True
            self.connection.close()
            return
        super()._answer(data, user)


class Site:
    """A node in this process whose answers can be cut."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        make(folder, "node", ADDRESS)
        self.drive: Drive = make_drive(folder / "C")
        self.service = Service(self.drive, limits)
        self.handler: type[Cutting] = type("Cutting", (Cutting,), {})
        self.server = Server((ADDRESS, 0), self.service, {USER: PASSWORD}, folder)
        self.server.RequestHandlerClass = self.handler
        self._certificate = str(folder / "winrm.pem")
        # Each run leaves a line.
        add_program(self.drive, COUNT, 'echo ran >>"$LAB_DRIVE/runs"; sleep 0.5; echo done')
        add_program(self.drive, CAT, "exec cat")
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def runs(self) -> int:
        file = self.drive.root / "runs"
        return len(file.read_text().splitlines()) if file.exists() else 0

    def cut(self, action: str, *, heard: bool, times: int = 1) -> None:
        self.handler.action, self.handler.heard, self.handler.left = ACTIONS[action], heard, times

    def node(self, closing: ExitStack) -> WindowsNode:
        variables = {
            "ansible_connection": WINRM,
            "ansible_host": ADDRESS,
            "ansible_port": self.server.server_port,
            "ansible_user": USER,
            "ansible_password": PASSWORD,
            "ansible_winrm_transport": ["basic"],
            "ansible_winrm_ca_trust_path": self._certificate,
        }
        node = connect("w1", {"w1": variables}, PlayContext(), False, closing)
        assert isinstance(node, WindowsNode)
        return node


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path, Limits(shortest_idle_s=1))
    yield made
    made.server.shutdown()
    made.server.server_close()
    made.service.close()


@pytest.fixture
def closing(site: Site) -> Iterator[ExitStack]:
    del site  # it ends later
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def node(site: Site, closing: ExitStack) -> WindowsNode:
    """Connected, and asked how it starts programs; then without a shell."""
    node = site.node(closing)
    node.exists(r"C:\Windows")
    shell_of(node).close()
    return node


def told(error: pytest.ExceptionInfo[DomainError]) -> str:
    assert error.value.where
    assert error.value.remedy
    assert PASSWORD not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("heard", [False, True])
@pytest.mark.parametrize("action", ["create", "command", "receive"])
def test_a_request_that_is_cut_leaves_it_unknown_whether_the_program_ran(
    site: Site, node: WindowsNode, action: str, heard: bool
) -> None:
    site.cut(action, heard=heard)
    with pytest.raises(Unreachable, match="broke off") as raised:
        node.run([COUNT])
    assert "the next run reads the state back" in told(raised)
    # A shell that was made and never told of ends by its idle time-out; of the others nothing stays.
    assert len(site.service.shells()) == (1 if (action, heard) == ("create", True) else 0)


@pytest.mark.parametrize("heard", [False, True])
@pytest.mark.parametrize("action", ["create", "command", "receive"])
def test_with_patience_it_is_asked_again_and_at_most_one_program_runs_at_a_time(
    site: Site, node: WindowsNode, action: str, heard: bool
) -> None:
    site.cut(action, heard=heard)
    done = node.run_lasting([COUNT], timeout=PATIENCE_S, patience=PATIENCE_S)
    assert done.rc == 0
    # A command that was heard ran in a shell that was deleted before it ran again in another one.
    assert site.runs in ((1, 2) if (action, heard) == ("command", True) else (1,))


def test_a_shell_that_expired_is_replaced(site: Site, node: WindowsNode) -> None:
    shell_of(node).idle_s = 4
    node.exists(r"C:\Windows")
    assert len(site.service.shells()) == 1
    until(lambda: not site.service.shells(), "its shell is gone")
    assert node.run([COUNT]).text.strip() == "done"


def test_a_request_that_is_larger_than_the_node_takes_is_told(
    site: Site, node: WindowsNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    del site
    monkeypatch.setattr(winrm_server, "MAX_ENVELOPE_BYTES", 64 * 1024)
    with pytest.raises(BadInput, match=r"larger than the node's WinRM takes.*MaxEnvelopeSizekb") as raised:
        node.run([CAT], stdin=b"x" * 90_000)
    told(raised)
