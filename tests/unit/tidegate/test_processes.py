"""With real processes, in a process of their own: whoever runs the tests has children too."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import psutil

from tests.waiting import PATIENCE_S


def run(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_what_daemonized_and_what_ignores_sigterm_is_ended_too() -> None:
    pids = run(
        """
        import subprocess, time
        from ansible_collections.tidegate.delivery.plugins.module_utils.prctl import adopt_orphans
        from tidegate.processes import Brood
        adopt_orphans()
        brood = Brood()
        # A shell that leaves a process in a session of its own behind, and one that can't be asked politely.
        subprocess.run(["sh", "-c", "setsid sleep 300 & setsid sh -c 'trap : TERM; sleep 300; sleep 300' & exit 0"])
        deadline = time.monotonic() + 60
        while len(brood.members()) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        print(*[process.pid for process in brood.members()])
        brood.end()
        assert brood.members() == []
        """
    ).split()
    assert len(pids) >= 3
    assert not [pid for pid in pids if psutil.pid_exists(int(pid))]


def test_children_from_before_are_left_alone() -> None:
    assert run(
        """
        import subprocess
        from tidegate.processes import Brood
        mine = subprocess.Popen(["sleep", "300"])
        brood = Brood()
        other = subprocess.Popen(["sleep", "300"])
        assert brood.first().pid == other.pid
        brood.kill()
        brood.end()
        print(mine.poll(), other.poll())
        mine.kill()
        """
    ).startswith("None ")


def test_a_job_that_was_detached_on_this_machine_outlives_the_run(tmp_path: Path) -> None:
    """Puppet's run on a node with a local connection: the next attempt finds it again."""
    assert (
        run(
            f"""
        import time
        from ansible_collections.tidegate.delivery.plugins.module_utils.node.jobs import (
            Limits, Phase, poll, start, stop,
        )
        from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import LocalShell, PosixNode
        from ansible_collections.tidegate.delivery.plugins.module_utils.prctl import adopt_orphans
        from tidegate.processes import Brood
        adopt_orphans()
        node, folder, brood = PosixNode("here", LocalShell()), {str(tmp_path)!r}, Brood()
        assert start(node, folder, "job", ["sh", "-c", "sleep 300 & sleep 300"], Limits(60))
        deadline = time.monotonic() + 60
        while brood.members() and time.monotonic() < deadline:
            time.sleep(0.05)
        brood.end()
        print(poll(node, folder, "job").phase == Phase.RUNNING)
        stop(node, folder, "job", grace=1)
        """
        )
        == "True"
    )


def test_asking_sends_the_first_of_them_a_signal() -> None:
    assert (
        run(
            """
        import signal, subprocess
        from tidegate.processes import Brood
        brood = Brood()
        child = subprocess.Popen(["sh", "-c", "trap 'exit 42' TERM; echo ready; while :; do sleep 0.05; done"],
                                 stdout=subprocess.PIPE)
        child.stdout.readline()
        brood.ask(signal.SIGTERM)
        print(child.wait(60))
        brood.ask(signal.SIGTERM)
        """
        )
        == "42"
    )
