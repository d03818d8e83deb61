from __future__ import annotations

import subprocess
import sys
import time

SCRIPT = """
import subprocess, sys, threading
from ansible_collections.tidegate.delivery.plugins.plugin_utils.clients import ended_when
asked = threading.Event()
threading.Timer(0.5, asked.set).start()
with ended_when(asked.is_set if sys.argv[1] == "asked" else lambda: False):
    ended = []
    def wait():
        ended.append(subprocess.run(["sleep", sys.argv[2]]).returncode)
    thread = threading.Thread(target=wait)
    thread.start()
    thread.join()
print(ended[0])
"""


def test_who_waits_for_a_client_goes_on_as_soon_as_somebody_asks() -> None:
    began = time.monotonic()
    assert _returncode("asked", 300) == -15
    assert time.monotonic() - began < 60


def test_without_a_stop_clients_come_to_their_end() -> None:
    assert _returncode("never", 1) == 0


def _returncode(how: str, seconds: float) -> int:
    argv = [sys.executable, "-c", SCRIPT, how, str(seconds)]
    return int(subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120).stdout)
