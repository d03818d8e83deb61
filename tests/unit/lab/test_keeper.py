from __future__ import annotations

import subprocess
import sys

from lab.layout import PROJECT

# The orphan's parent stands in /proc; bash itself goes on showing the one of its start in $PPID.
ORPHAN = "sleep 0.3; awk '/^PPid:/ {print $2}' /proc/$BASHPID/status"


def test_it_adopts_orphans_and_ends_with_the_last_of_them() -> None:
    keeper = [sys.executable, "-I", str(PROJECT / "lab" / "keeper.py")]
    with subprocess.Popen([*keeper, "/bin/bash", "-c", f"({ORPHAN}) & exit 0"], stdout=subprocess.PIPE) as process:
        output, _ = process.communicate(timeout=10)
        assert int(output) == process.pid
        assert process.returncode == 0
