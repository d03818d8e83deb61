"""The Molecule scenario, on the session's lab."""

from __future__ import annotations

import os
import subprocess

from lab import status
from lab.layout import NET_VARIABLE, PROJECT, STATE_VARIABLE, Layout
from tests.integration.flow.lab_site import Site

# Two waves of one node, and the same once more.
DEADLINE_S = 1200


def test_it_deploys_on_a_running_lab_and_leaves_that_running(lab: Layout) -> None:
    Site(lab, PROJECT / "services").reset()
    ended = subprocess.run(
        ["tools/molecule.sh"],
        cwd=PROJECT,
        env={**os.environ, NET_VARIABLE: lab.net, STATE_VARIABLE: str(lab.state), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-8000:] + ended.stderr[-2000:]
    assert "successful=6" in ended.stderr + ended.stdout
    assert status.report(lab).is_up
