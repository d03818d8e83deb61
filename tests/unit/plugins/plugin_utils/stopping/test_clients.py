from __future__ import annotations

import subprocess
import sys
import time

from tests.waiting import DEPLOYMENT_S

SCRIPT = """
import subprocess, sys, threading
from ansible_collections.tidegate.delivery.plugins.plugin_utils.stopping.clients import ended_when
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
    assert time.monotonic() - began < 200


def test_without_a_stop_clients_come_to_their_end() -> None:
    assert _returncode("never", 1) == 0


def _returncode(how: str, seconds: float) -> int:
    argv = [sys.executable, "-c", SCRIPT, how, str(seconds)]
    return int(subprocess.run(argv, capture_output=True, text=True, check=True, timeout=DEPLOYMENT_S).stdout)


MANY = """
import subprocess, threading
from ansible_collections.tidegate.delivery.plugins.plugin_utils.stopping.clients import ended_when
asked = threading.Event()
threading.Timer(0.5, asked.set).start()
ends, cleaned = [], []
def work(number):
    with ended_when(asked.is_set):
        ends.append(subprocess.run(["sleep", "300" if number else "1"]).returncode)
    # Who was ended cleans up; others may still be inside.
    cleaned.append(subprocess.run(["sleep", "1"]).returncode)
threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(set(ends), set(cleaned))
"""


def test_of_many_threads_each_ends_its_own_client_and_none_that_cleans_up() -> None:
    done = subprocess.run(
        [sys.executable, "-c", MANY], capture_output=True, text=True, check=True, timeout=DEPLOYMENT_S
    )
    assert done.stdout.split("} ")[1].strip() == "{0}"
    assert "-15" in done.stdout.split("} ")[0]
