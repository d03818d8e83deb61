"""The command keeps secrets out of its output, ansible-runner's files and the process list, killed or not."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Step
from tests.integration.command.commanded import Commands, begun, only
from tests.integration.flow.canaries import CANARIES, MARK, Processes, files_with_the_mark, write_inventory
from tests.integration.flow.lab_site import Site

pytestmark = pytest.mark.lab


def test_no_canary_shows_anywhere(site: Site, commands: Commands, tmp_path: Path) -> None:
    """Killed while Puppet runs, so that what a run has in its temporary folder stays there to be looked at."""
    processes, temporary = Processes(), tmp_path / "tmp"
    temporary.mkdir()
    commands.environment = {"FOO_SECRET": CANARIES["environment"], "TMPDIR": str(temporary)}
    words = ("deploy", "tradeapi", site.other_version("n1"), "--yes", *only("n1"), "-i", str(write_inventory(tmp_path)))
    with processes.watched():
        killed = commands.start(*words)
        site.await_event(begun(Step.PUPPET), killed.process)
        os.killpg(killed.process.pid, signal.SIGKILL)
        killed.end()
        again = commands.call(*words, "--json")
    assert again.rc == 0, again.stderr
    assert MARK not in again.stdout + again.stderr
    assert list(temporary.glob("tidegate-*/artifacts/run"))
    assert files_with_the_mark(temporary) == set()
    assert files_with_the_mark(site.layout.state) == set()
    assert processes.looks > 20 and not processes.seen
