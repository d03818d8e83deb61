"""A Windows-like node that reboots, and checks of health on it, over the connection plugin and through real pywinrm."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, DomainError, Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.health.expectation import Differs, Finding
from ansible_collections.tidegate.delivery.plugins.module_utils.health.node_checks import NodeCheck, ProcessCheck
from ansible_collections.tidegate.delivery.plugins.module_utils.health.probes import CommandsProbe
from ansible_collections.tidegate.delivery.plugins.module_utils.health.service_state import ServiceCheck
from ansible_collections.tidegate.delivery.plugins.module_utils.node import reboot as reboot_module
from ansible_collections.tidegate.delivery.plugins.module_utils.node.boot import Boot, look_at_boot
from ansible_collections.tidegate.delivery.plugins.module_utils.node.process_start import FoundBy, ProcessQuestion
from ansible_collections.tidegate.delivery.plugins.module_utils.node.reboot import reboot
from ansible_collections.tidegate.delivery.plugins.module_utils.windows import boot as windows_boot
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.boot import PENDING_KEYS
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.node import WindowsNode
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.wmi import ask_wmi
from lab.winrm.machine import Machine
from lab.winrm.windows import SYSTEM
from tests.integration.windows.endpoint import ADDRESS, Endpoint, running
from tests.integration.windows.test_windows_node import connected
from tests.waiting import PATIENCE_S


# cmd.exe takes less than a program does.
@pytest.fixture(
    scope="module", params=[True, pytest.param(False, marks=pytest.mark.slow)], ids=["by cmd.exe", "directly"]
)
def endpoint(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Endpoint]:
    with running(tmp_path_factory.mktemp("node"), ignores_skip=request.param) as found:
        yield found


@pytest.fixture
def node(endpoint: Endpoint) -> Iterator[WindowsNode]:
    with ExitStack() as closing:
        yield connected(endpoint, closing)


@pytest.fixture
def machine(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(reboot_module, "_LOOK_AGAIN", 0.2)
    monkeypatch.setattr(windows_boot, "_GRACE_S", 1)
    # A boot that was an hour ago: the next one is not the same by any measure.
    found = Machine(endpoint.drive)
    found._boot.write_text(f"{time.time() - 3600}\n")
    return found


def test_a_node_that_asks_for_it_is_rebooted_and_then_asks_no_more(node: WindowsNode, machine: Machine) -> None:
    assert look_at_boot(node).pending == ""
    machine.key(PENDING_KEYS[0]).mkdir(parents=True)
    before = look_at_boot(node)
    assert before.pending == f"{PENDING_KEYS[0]} is there"
    told: list[str] = []
    after = reboot(node, before, PATIENCE_S, told.append)
    assert not after.is_same(before)
    assert after.pending == ""
    assert told, "it went by and by"
    assert look_at_boot(node).is_same(after)


def test_one_that_somebody_asked_for_already_is_waited_for(node: WindowsNode, machine: Machine) -> None:
    before = look_at_boot(node)
    assert machine.ask(1.0)
    assert not reboot(node, before, PATIENCE_S, lambda _line: None).is_same(before)


def test_a_node_without_a_shutdown_is_told(node: WindowsNode, endpoint: Endpoint, machine: Machine) -> None:
    program = endpoint.drive.path(rf"{SYSTEM}\shutdown.exe")
    kept = program.read_text()
    program.write_text('#!/bin/sh\necho "Access is denied.(5)" >&2; printf 5 >"$LAB_EXIT_CODE"\n')
    try:
        with pytest.raises(DomainError, match=r"can't be rebooted: Access is denied\.\(5\)"):
            reboot(node, Boot("first"), PATIENCE_S, lambda _line: None)
    finally:
        program.write_text(kept)
    assert not machine.asked.exists()


def judged(node: WindowsNode, check: NodeCheck) -> Finding:
    return CommandsProbe(node, {"it": check})(PATIENCE_S)


def test_a_process_by_its_port_and_by_a_file_with_its_id(node: WindowsNode, endpoint: Endpoint) -> None:
    port = ProcessQuestion(FoundBy.PORT, str(endpoint.port), ADDRESS)
    assert judged(node, ProcessCheck(port)).good
    assert judged(node, ProcessCheck(port, since=time.time() - 86400)).good
    old = judged(node, ProcessCheck(port, since=time.time()))
    assert [each.kind for each in old.differences] == [Differs.STARTED]
    assert f"process {endpoint.pid} started" in old.differences[0].text
    file = ProcessQuestion(FoundBy.PID_FILE, r"C:\ProgramData\service.pid")
    assert "there is no such process" in judged(node, ProcessCheck(file)).differences[0].text
    node.write(file.what, f"{endpoint.pid}\r\n".encode())
    assert judged(node, ProcessCheck(file, since=time.time() - 86400)).good
    nobody = judged(node, ProcessCheck(ProcessQuestion(FoundBy.PORT, "1")))
    assert nobody.differences[0].text == "it: there is no such process: the process of port 1"


def test_without_wmic_a_process_start_says_what_to_add(node: WindowsNode, endpoint: Endpoint) -> None:
    program = endpoint.drive.path(rf"{SYSTEM}\wbem\WMIC.exe")
    there = program.rename(program.with_name("away"))
    try:
        # cmd.exe has an exit code for it that others have too: then the remedy names both.
        with pytest.raises((BadInput, Unreachable)) as found:
            ask_wmi(node, ["os"], "LastBootUpTime")
    finally:
        there.rename(program)
    assert "/CapabilityName:WMIC~~~~" in found.value.remedy


def test_a_service_that_is_not_there_is_not_healthy(node: WindowsNode) -> None:
    found = judged(node, ServiceCheck("no-such-service"))
    assert found.differences[0].text == "it: service no-such-service: there is no such service"
