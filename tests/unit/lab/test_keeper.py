from __future__ import annotations

import subprocess
import sys

from lab.layout import PROJECT
from tests.waiting import PATIENCE_S

# Once the bash that began it is gone, the orphan's parent stands in /proc; bash itself goes on showing the one of its
# start in $PPID.
ORPHAN = "while kill -0 $$ 2>/dev/null; do sleep 0.05; done; awk '/^PPid:/ {print $2}' /proc/$BASHPID/status"


def test_it_adopts_orphans_and_ends_with_the_last_of_them() -> None:
    keeper = [sys.executable, "-I", str(PROJECT / "lab" / "keeper.py")]
    with subprocess.Popen([*keeper, "/bin/bash", "-c", f"({ORPHAN}) & exit 0"], stdout=subprocess.PIPE) as process:
        output, _ = process.communicate(timeout=PATIENCE_S)
        assert int(output) == process.pid
        assert process.returncode == 0
