"""Become ansible-playbook, with the environment of the command that asks for it and bound to its life.

ansible-runner writes the environment that it gives a process into its artifacts (observed with 2.4.3: the file
`command`), secrets included. So it is given next to none, and this step takes the real one from the command's own
process: /proc/PID/environ, proc(5).
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from ansible_collections.tidegate.delivery.plugins.module_utils.node.jobs_script import DETACHED
from ansible_collections.tidegate.delivery.plugins.module_utils.prctl import end_with_parent


def main() -> None:
    """Never returns: the process goes on as ansible-playbook, and ends when the command does."""
    command = int(sys.argv[1])
    end_with_parent()
    if os.getppid() != command:
        sys.exit("the command that started this is gone")
    # pexpect has it ignored; the command passes it on when its own terminal closes.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    environment = environment_of(command) | dict(os.environ)
    os.execve(sys.executable, [sys.executable, "-m", "ansible", "playbook", *sys.argv[2:]], environment)  # noqa: S606


def environment_of(pid: int) -> dict[str, str]:
    """The environment with which a process was started, but for what marks a detached job: its children are none."""
    raw = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    pairs = (os.fsdecode(entry).partition("=") for entry in raw if b"=" in entry)
    return {name: value for name, _equals, value in pairs if name != DETACHED}


if __name__ == "__main__":
    main()
