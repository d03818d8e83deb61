"""A `puppet` for tests of what is around it, in place of one that takes seconds.

It follows what puppet-agent 7.23 was seen to do: `config print` sorts its lines, a second `--disable` exits 0 and
keeps the first reason, a run writes its job id into its report. The reports are captures (puppet_runs/).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import LocalShell, PosixNode

RUNS = Path(__file__).parent / "puppet_runs"
_SCRIPT = r"""#!/bin/sh
home=$(dirname "$(dirname "$0")"); echo "$*" >>"$home/calls"
case "$*" in
  "config print"*)
    echo "agent_catalog_run_lockfile = $home/run.lock"
    echo "agent_disabled_lockfile = $home/disabled.lock"
    echo "config = $home/puppet.conf"
    echo "lastrunreport = $home/report.yaml" ;;
  *--disable*)
    [ ! -e "$home/meanwhile" ] || cp "$home/meanwhile" "$home/disabled.lock"
    reason=$(printf %s "$3" | sed 's/\\/\\\\/g')
    [ -e "$home/disabled.lock" ] || printf '{"disabled_message":"%s"}' "$reason" >"$home/disabled.lock" ;;
  *--enable*) rm -f "$home/disabled.lock" ;;
  *--onetime*)
    id=$(echo "$*" | sed 's/.*--job-id \([^ ]*\).*/\1/')
    cat "$home/says"; . "$home/before"
    [ ! -e "$home/captured.yaml" ] || sed "s/^job_id: .*/job_id: $id/" "$home/captured.yaml" >"$home/report.yaml"
    exit "$(cat "$home/exit")" ;;
esac
"""


class PuppetDouble:
    """A node whose PATH begins with the double."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.lock = home / "disabled.lock"
        self.report = home / "report.yaml"
        (home / "bin").mkdir(parents=True)
        program = home / "bin" / "puppet"
        program.write_text(_SCRIPT)
        program.chmod(0o755)
        # Tests may run as an ordinary user.
        (home / "bin" / "id").write_text("#!/bin/sh\necho 0\n")
        (home / "bin" / "id").chmod(0o755)
        (home / "puppet.conf").touch()
        os.utime(home / "puppet.conf", (1, 1))
        self._env = {**os.environ, "PATH": f"{home}/bin:{os.environ['PATH']}"}
        self.node = PosixNode("n1", LocalShell(self._env))
        self.will("unchanged", 0)

    def has_edge(self, root: Path) -> None:
        """Its boot is told below this folder from now on (see edge.py)."""
        self._env["TIDEGATE_NODE_ROOT"] = str(root)

    def will(self, capture: str, rc: int, before: str = ":") -> None:
        """The next runs do `before` (shell), then end as that capture did."""
        (self.home / "captured.yaml").unlink(missing_ok=True)
        if (RUNS / f"{capture}.yaml").exists():
            (self.home / "captured.yaml").write_bytes((RUNS / f"{capture}.yaml").read_bytes())
        (self.home / "says").write_bytes((RUNS / f"{capture}.txt").read_bytes())
        (self.home / "exit").write_text(str(rc))
        (self.home / "before").write_text(before + "\n")

    @contextmanager
    def run_in_progress(self, seconds: float = 60) -> Iterator[subprocess.Popen[bytes]]:
        """A process that looks like somebody's run, with the run lock that it leaves behind."""
        shell = self.home / "bin" / "puppet-agent"
        shell.symlink_to("/bin/sh")
        with subprocess.Popen([shell, "-c", f"sleep {seconds}; :"], start_new_session=True) as process:
            (self.home / "run.lock").write_text(str(process.pid))
            threading.Thread(target=process.wait).start()
            try:
                yield process
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def freeze(self, reason: str) -> None:
        self.lock.write_text(json.dumps({"disabled_message": reason}))

    def calls(self, containing: str = "") -> list[str]:
        file = self.home / "calls"
        return [line for line in file.read_text().splitlines() if containing in line] if file.exists() else []
