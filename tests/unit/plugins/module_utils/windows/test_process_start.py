"""Processes of Windows, from what Microsoft's pages show of netstat and WMI."""

from __future__ import annotations

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Completed
from ansible_collections.tidegate.delivery.plugins.module_utils.node.process_start import (
    FoundBy,
    Process,
    ProcessQuestion,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.process_start import (
    listening,
    look_at_process,
)
from tests.unit.plugins.module_utils.windows.test_boot import answering, wmic

NETSTAT = """
Aktive Verbindungen

  Proto  Lokale Adresse         Remoteadresse          Status           PID
  TCP    0.0.0.0:135            0.0.0.0:0              ABHÖREN          1012
  TCP    10.0.0.7:8080          0.0.0.0:0              ABHÖREN          4711
  TCP    10.0.0.7:8080          10.0.0.9:51000         HERGESTELLT      4711
  TCP    10.0.0.7:49800         10.0.0.8:8080          HERGESTELLT      77
  TCP    [::]:8081              [::]:0                 ABHÖREN          12
  TCP    0.0.0.0:8081           0.0.0.0:0              ABHÖREN          12
  TCP    [::1]:8080             [::]:0                 ABHÖREN          13
  UDP    0.0.0.0:8080           *:*                                     99
"""
NOW = wmic("LocalDateTime=20260131142501.500000+060")
PORT = ProcessQuestion(FoundBy.PORT, "8080", "10.0.0.7")


def started(time: str) -> Completed:
    return wmic(f"CreationDate={time}")


@pytest.mark.parametrize(
    ("port", "address", "pids"),
    [(8080, "10.0.0.7", [4711]), (8080, "", [4711, 13]), (8081, "10.0.0.7", [12]), (80, "", []), (135, "::1", [1012])],
)
def test_who_listens_in_any_language(port: int, address: str, pids: list[int]) -> None:
    assert listening(NETSTAT.replace("\n", "\r\n"), port, address) == pids


def test_the_age_is_told_by_the_nodes_own_clock_and_the_oldest_counts() -> None:
    netstat = Completed(0, NETSTAT.encode(), b"")
    node = answering(NOW, netstat, started("20260131132451.500000+000"))
    assert look_at_process(node, PORT, 30) == Process(4711, 10.0)
    anywhere = ProcessQuestion(FoundBy.PORT, "8080")
    node = answering(NOW, netstat, started("20260131142451.500000+060"), started("20260131142401.500000+060"))
    assert look_at_process(node, anywhere, 30) == Process(13, 60.0)
    node = answering(NOW, netstat, wmic(""), wmic(""))
    assert look_at_process(node, anywhere, 30) == "there is no such process: the process of port 8080"


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ((wmic(""), Completed(0, NETSTAT.encode(), b"")), "WMI does not tell the node's time"),
        ((NOW, Completed(1, b"", b"")), "netstat.exe ended with 1"),
        ((NOW, Completed(0, b"", b"")), "there is no such process"),
    ],
)
def test_what_can_not_be_told_is_no_process(answers: tuple[Completed, ...], told: str) -> None:
    found = look_at_process(answering(*answers), PORT, 30)
    assert isinstance(found, str)
    assert told in found
