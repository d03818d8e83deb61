"""A shell's end knows every command that began in it."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

import pytest

from lab.winrm.envelope import NAMESPACES, parse
from lab.winrm.faults import Fault, WsmanFault
from lab.winrm.service import COMMAND, CREATE, RESOURCE, Service
from lab.winrm.shells import Command, Shell, ShellEnded
from lab.winrm.windows import Drive, add_program, make_drive

WAIT = r"C:\Tools\wait.exe"
DECLARED = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())
ID = "uuid:00000000-0000-0000-0000-000000000001"


@pytest.fixture
def drive(tmp_path: Path) -> Drive:
    made = make_drive(tmp_path / "C")
    add_program(made, WAIT, "exec sleep 600")
    return made


def test_nothing_begins_in_a_shell_that_has_ended(drive: Drive) -> None:
    shell = Shell(drive, "ann")
    shell.end()
    with pytest.raises(ShellEnded):
        shell.start(drive.path(WAIT), [], WAIT)
    assert shell.processes() == []


def test_a_command_that_meets_the_end_of_its_shell_leaves_nothing_behind(drive: Drive) -> None:
    for _ in range(10):
        shell = Shell(drive, "ann")
        together = threading.Barrier(3)

        def begin(shell: Shell = shell, together: threading.Barrier = together) -> None:
            together.wait()
            with contextlib.suppress(ShellEnded):
                for _ in range(3):
                    shell.start(drive.path(WAIT), [], WAIT)

        threads = [threading.Thread(target=begin) for _ in range(2)]
        for thread in threads:
            thread.start()
        together.wait()
        shell.end()
        for thread in threads:
            thread.join()
        assert [each for each in shell.processes() if each.state not in "ZX"] == []


class Deleting(Service):
    """A Delete of the shell comes between a Command's look for it and the program's start."""

    def _start(self, shell: Shell, line: str, directly: bool) -> Command:
        self._drop(shell)
        return super()._start(shell, line, directly)


def request(action: str, body: str, header: str = "") -> bytes:
    return (
        f"<s:Envelope {DECLARED}><s:Header><a:MessageID>{ID}</a:MessageID><a:Action>{action}</a:Action>"
        f"<w:ResourceURI>{RESOURCE}</w:ResourceURI>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def test_it_is_told_that_there_is_no_such_shell(drive: Drive) -> None:
    service = Deleting(drive)
    try:
        service.handle(parse(request(CREATE, "<rsp:Shell/>")), "ann")
        [shell] = service.shells()
        selected = f'<w:SelectorSet><w:Selector Name="ShellId">{shell.id}</w:Selector></w:SelectorSet>'
        line = f"<rsp:CommandLine><rsp:Command>{WAIT}</rsp:Command></rsp:CommandLine>"
        with pytest.raises(WsmanFault) as raised:
            service.handle(parse(request(COMMAND, line, selected)), "ann")
        assert raised.value.fault is Fault.UNKNOWN_SHELL
        assert shell.processes() == []
    finally:
        service.close()
