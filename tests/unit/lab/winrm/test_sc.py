from __future__ import annotations

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.windows.services import ServiceState, read_status
from lab.winrm.sc import told


# Lines of runit 2.1.2's sv.
@pytest.mark.parametrize(
    ("line", "state", "pid"),
    [
        ("run: /n4/etc/service/tradeapi: (pid 12) 3s; run: log: (pid 9) 4s\n", ServiceState.RUNNING, 12),
        ("run: /s/t: (pid 12) 3s, want down, got TERM; run: log: (pid 9) 4s\n", ServiceState.STOP_PENDING, 12),
        ("down: /s/t: 3s, normally up; run: log: (pid 9) 4s\n", ServiceState.STOPPED, None),
        ("down: /s/t: 0s, normally up, want up; run: log: (pid 9) 4s\n", ServiceState.START_PENDING, None),
        ("finish: /s/t: (pid 7) 0s\n", ServiceState.STOP_PENDING, 7),
    ],
)
def test_runits_states_are_told_as_windows_has_them(line: str, state: ServiceState, pid: int | None) -> None:
    found = read_status(told("tradeapi", line))
    assert found is not None
    assert (found.state, found.pid) == (state, pid)
