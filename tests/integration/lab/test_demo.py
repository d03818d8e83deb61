"""The demo's own machinery on real load balancers, with a script in the playbook's place: does it see what it must?"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import demo
from lab.demands import Expected
from lab.demo import Demo, Part
from lab.progress import Progress
from lab.witness import wait_until
from tests.integration.lab.bench import Bench, bench
from tests.integration.lab.upstream import Upstream
from tests.waiting import PATIENCE_S, until

NO_LEDGER = "the ledger says nothing in the ledger, not done"


@pytest.fixture(scope="module")
def running() -> Iterator[Bench]:
    with bench() as made:
        yield made


@pytest.fixture(autouse=True)
def short(running: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("WARM_S", "BEFORE_S", "AFTER_S"):
        monkeypatch.setattr(demo, name, 0.5)
    yield
    for node in ("n1", "n2", "n3"):
        running.tell_all(f"set server tradeapi_maintenance/{node} state maint")
        running.tell_all(f"set server tradeapi_online/{node} state ready")
    until(running.all_up, "all are up")


def part(program: str) -> Part:
    done = Expected(outcome="done", exit_ok=True, online_version="1.0.0")
    return Part("a", "deploy", "a script deploys", [sys.executable, "-c", program], "1.0.0", done)


def play(running: Bench, tmp_path: Path, program: str) -> Demo:
    made = Demo(running.layout, tmp_path, 200.0, Progress())
    made.run([part(program), part(program)])
    return made


def tell(running: Bench, *commands: str) -> str:
    """A program that sends the commands to both load balancers and then takes a moment."""
    sockets = [str(host.haproxy_socket) for host in running.layout.load_balancers]
    return (
        "import time; from pathlib import Path; from lab.haproxy_socket import ask\n"
        f"for command in {commands!r}:\n    for path in {sockets!r}:\n        ask(Path(path), command)\n"
        "time.sleep(0.5)\n"
    )


@pytest.mark.slow
def test_a_quiet_part_breaks_nothing_but_that_nothing_was_deployed(running: Bench, tmp_path: Path) -> None:
    made = play(running, tmp_path, "import time; print('TASK [Wait]', flush=True); time.sleep(2)")
    assert made.broken == {"a": [NO_LEDGER]}
    written = json.loads((tmp_path / "summary.json").read_text())
    found = written["a"]
    assert found["requests_total"] > 400
    assert (found["requests_failed"], found["retried"], found["redispatched"]) == (0, 0, 0)
    assert (found["min_online_seen"], found["min_online_allowed"]) == (6, 4)
    assert found["versions_served_to_customers"] == ["1.0.0"]
    assert found["details"]["clients_and_logs_agree"] is True
    assert (tmp_path / "a.log").read_text() == "TASK [Wait]\n"


@pytest.mark.slow
def test_it_sees_the_floor_broken_on_the_way_though_all_is_well_at_the_end(running: Bench, tmp_path: Path) -> None:
    nodes = ("n1", "n2", "n3")
    out = [f"set server tradeapi_online/{node} state drain" for node in nodes]
    back = [f"set server tradeapi_online/{node} state ready" for node in nodes]
    made = play(running, tmp_path, tell(running, *out) + tell(running, *back))
    assert made.broken["a"] == ["only 3 nodes of tradeapi were online at some time; 4 are allowed", NO_LEDGER]


@pytest.mark.slow
def test_it_sees_a_node_in_both_pools_and_one_that_is_left_there(running: Bench, tmp_path: Path) -> None:
    made = play(running, tmp_path, tell(running, "set server tradeapi_maintenance/n1 state ready"))
    told = "\n".join(made.broken["a"])
    assert "a node was in both pools at once" in told
    assert "lb1 still has n1 in the maintenance pool" in told


def test_it_sees_a_restart_without_a_drain(running: Bench, tmp_path: Path) -> None:
    # The negative control: what a deployment without the leave would do to customers.
    victim = running.upstreams["tradeapi/n4"]
    mark = tmp_path / "now"
    program = f"import time; open({str(mark)!r}, 'w').close(); time.sleep(15)"
    made = Demo(running.layout, tmp_path, 300.0, Progress())

    def kill_in_the_middle() -> None:
        until(mark.exists, "the script runs")
        before = _reports(victim)
        # Whether or not a report is in flight: a victim that lives on would hide what went wrong.
        wait_until(lambda: _reports(victim) > before, 12, every=0.01)
        victim.kill()

    killer = threading.Thread(target=kill_in_the_middle)
    killer.start()
    try:
        made.run([part(program)])
    finally:
        killer.join()
        victim.__enter__()
    told = "\n".join(made.broken["a"])
    assert made.summaries["a"]["requests_failed"] > 0, told
    assert "requests failed, the first: " in told
    assert "HAProxy connected again for" in told
    assert "HAProxy redispatched" in told


def _reports(upstream: Upstream) -> int:
    return sum("/report" in asked.line for asked, _ in list(upstream.requests))


PROGRAM = """
import signal, sys
# A shell starts what it runs in the background with SIGINT ignored, and these tests may run there.
signal.signal(signal.SIGINT, signal.default_int_handler)
import lab.demo as demo
from lab.demands import Expected
demo.up = demo.down = lambda *args, **more: None
demo.WARM_S = demo.BEFORE_S = 0.5
sleep = [sys.executable, "-c", "import time; print('TASK [Sleep]', flush=True); time.sleep(60)"]
demo.PARTS = (demo.Part("a", "t", "s", sleep, "1.0.0", Expected("done", True, "1.0.0")),)
sys.exit(demo.main(["--net", "{net}", "--state", "{state}", "--output", "{output}", "--rate", "100"]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_load_and_playbook_and_leaves_the_lab(
    running: Bench, tmp_path: Path, number: signal.Signals
) -> None:
    program = PROGRAM.format(net=running.layout.net, state=running.layout.state, output=tmp_path)
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True)
    log = tmp_path / "a.log"
    until(lambda: log.exists() and "Sleep" in log.read_text(), "the playbook runs", of=process)
    children = _children(process.pid)
    assert len(children) == 3, "load, sampler and playbook"
    process.send_signal(number)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "interrupted; load and sampler have ended. The lab still runs." in errors
    assert "python -m lab down" in errors
    assert "Traceback" not in errors
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    assert running.all_up()


def _children(pid: int) -> list[int]:
    time.sleep(0.2)
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(each) for each in found]
