"""haproxy_info and haproxy_pool as ansible-playbook runs them, against real HAProxy."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.runtime import Batch
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import Cell
from tests.integration.haproxy.haproxy_site import MAINTENANCE, NET, ONLINE, Customers, Site
from tests.waiting import DEPLOYMENT_S, PATIENCE_S, until
from tidegate.ledger import SqlLedger
from tidegate.store import Store

HERE = Path(__file__).parent
POOLS = [{"online": ONLINE, "maintenance": MAINTENANCE, "min_online": "50%"}]


class Plays:
    """Playbooks over a site, with an inventory and a ledger of their own."""

    def __init__(self, site: Site, home: Path) -> None:
        self.home = home
        self.ledger = f"sqlite:///{home / 'ledger.sqlite'}"
        hosts = {
            name: {
                "ansible_connection": "local",
                "tidegate_haproxy_socket": each.access.socket,
                "tidegate_haproxy_master_socket": each.access.master_socket,
                "tidegate_haproxy_lock": each.access.lock,
                "tidegate_haproxy_state_dir": each.access.state_dir,
                "tidegate_haproxy_process": each.access.process,
            }
            for name, each in site.load_balancers.items()
        }
        shared = {"tidegate_ledger": self.ledger, "tidegate_environment": "lab"}
        (home / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts, "vars": shared}}))
        (home / "action_plugins").symlink_to(HERE / "action_plugins")

    def pool(self, state: str, *nodes: str, **other: Any) -> dict[str, Any]:
        args = {"deployment": "d1", "state": state, "load_balancers": ["lb1", "lb2"], "nodes": list(nodes or ["n1"])}
        return {"tidegate.delivery.haproxy_pool": {**args, "pools": POOLS, **other}}

    def begin(self, *nodes: str, without: str = "") -> dict[str, Any]:
        arguments = {"ledger": self.ledger, "deployment": "d1", "nodes": ",".join(nodes), "pools": POOLS}
        return {"begin_deployment": {**arguments, "without": without}}

    def start(self, tasks: Sequence[dict[str, Any]], *options: str) -> subprocess.Popen[str]:
        play = {"hosts": "localhost", "gather_facts": False, "tasks": list(tasks)}
        playbook = self.home / "play.yml"
        playbook.write_text(yaml.safe_dump([play]))
        environment = {
            **os.environ,
            "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
            "ANSIBLE_LOCALHOST_WARNING": "False",
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
            "ANSIBLE_NOCOLOR": "1",
        }
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(self.home / "hosts.yml"), "-v"]
        return subprocess.Popen(
            [*command, str(playbook), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            cwd=HERE.parents[2],
        )

    def run(self, tasks: Sequence[dict[str, Any]], *options: str) -> tuple[int, list[dict[str, Any]], str]:
        """Exit code, the results of the tasks in order, all output."""
        process = self.start(tasks, *options)
        output, _ = process.communicate(timeout=DEPLOYMENT_S)
        return process.returncode, _results(output), output

    def details(self, step: str, outcome: str) -> Any:
        """What the ledger holds of the first such event."""
        entries = SqlLedger(Store(self.ledger)).entries("lab", deployment="d1")
        events = [entry.event for entry in entries]
        return next(event.details for event in events if (event.step, event.outcome) == (step, outcome))

    def recorded(self) -> list[tuple[str, str]]:
        entries = SqlLedger(Store(self.ledger)).entries("lab", deployment="d1")
        return [(entry.event.step.value, entry.event.outcome.value) for entry in entries][1:]


def _results(output: str) -> list[dict[str, Any]]:
    decoder, found = json.JSONDecoder(), []
    for line_start in [index for index in range(len(output)) if output.startswith("=> {", index)]:
        found.append(decoder.raw_decode(output[line_start + 3 :])[0])
    return found


@pytest.fixture
def plays(site: Site, tmp_path: Path) -> Plays:
    return Plays(site, tmp_path)


def test_info_shows_cells_and_names_a_dead_load_balancer(site: Site, plays: Plays) -> None:
    site.load_balancers["lb2"].kill()
    pools = [{"online": ONLINE, "maintenance": MAINTENANCE}]
    args = {"load_balancers": ["lb1", "lb2"], "pools": pools}
    rc, (result,), output = plays.run([{"tidegate.delivery.haproxy_info": args}])
    assert rc == 0, output
    shown = result["load_balancers"]["lb1"]["backends"]
    assert {name: server["cell"] for name, server in shown[ONLINE].items()} == dict.fromkeys(site.backends, "ON")
    assert shown[MAINTENANCE]["n1"]["admin"] == ["forced_maint", "disabled_in_config"]
    assert "lb2" in result["unanswered"]["lb2"]


def test_check_mode_shows_the_move_and_makes_none(site: Site, plays: Plays) -> None:
    rc, (result,), output = plays.run([plays.pool("maintenance", "n1")], "--check", "--diff")
    assert rc == 0, output
    assert result["changed"]
    assert result["msg"] == "n1 would be in the maintenance pool on lb1, lb2"
    assert {cell["after"] for cell in result["cells"]} == {"TEST"}
    assert "-n1 in shop_online on lb1: ON\n" in output
    assert "+n1 in shop_online on lb1: TEST\n" in output
    assert site.cells("n1") == [Cell.ON, Cell.ON]
    assert not (plays.home / "ledger.sqlite").exists() or plays.recorded() == []


def test_servers_without_checks_are_refused_unless_the_pool_allows_them(site: Site, plays: Plays) -> None:
    balancer = site.load_balancers["lb2"]
    balancer.configure(server_options="")
    balancer.reload()
    refused = {**plays.pool("maintenance", "n1"), "ignore_errors": True}
    allowed = plays.pool("maintenance", "n1", pools=[{**POOLS[0], "unchecked": "allow"}])
    rc, (no, yes), output = plays.run([refused, allowed], "--check")
    assert rc == 0, output
    assert "load balancer lb2: shop_online/n1 has no health check that runs" in no["msg"]
    assert yes["msg"] == "n1 would be in the maintenance pool on lb1, lb2"


def test_leave_and_join_are_recorded_and_change_nothing_the_second_time(site: Site, plays: Plays) -> None:
    drain = {"soft": "1s", "sticky": "wait"}
    states = ("maintenance", "maintenance", "online", "online")
    steps = [plays.pool(state, "n1", "n2", drain=drain) for state in states]
    with Customers(f"{NET}.0.1") as customers:
        rc, (_, *results), output = plays.run([plays.begin("n1", "n2"), *steps])
    assert rc == 0, output
    assert customers.failures == []
    assert [result["changed"] for result in results] == [True, False, True, False]
    assert results[0]["drained_seconds"].keys() == {"n1", "n2"}
    assert min(results[0]["drained_seconds"].values()) >= 1
    assert {(cell["before"], cell["after"]) for cell in results[2]["cells"]} == {("TEST", "ON")}
    assert "n2 in shop_online on lb2: ON -> TEST" in plays.details("leave", "changed")["places"]
    assert plays.recorded() == [
        *[("leave", "started"), ("leave", "changed"), ("leave", "started"), ("leave", "unchanged")],
        *[("join", "started"), ("join", "changed"), ("join", "started"), ("join", "unchanged")],
    ]


def test_without_a_permit_nothing_is_touched(site: Site, plays: Plays) -> None:
    rc, (result,), _ = plays.run([plays.pool("maintenance", "n1")])
    assert rc != 0
    assert result["reason"] == "refused"
    assert site.cells("n1") == [Cell.ON, Cell.ON]


def test_one_that_is_down_is_left_out_as_planned_and_recorded_with_its_proof(site: Site, plays: Plays) -> None:
    runtime = site.load_balancers["lb2"].runtime()
    runtime.apply(Batch((), runtime.read().pid, save=(ONLINE, MAINTENANCE)), [ONLINE, MAINTENANCE])
    site.load_balancers["lb2"].kill()
    tasks = [plays.begin("n1", without="lb2"), plays.pool("maintenance", "n1", without=["lb2"])]
    otherwise = {**plays.pool("maintenance"), "ignore_errors": True}
    rc, (_, unplanned, result, again), output = plays.run([tasks[0], otherwise, tasks[1], tasks[1]])
    assert rc == 0, output
    assert (again["changed"], again["left_out"]) == (False, result["left_out"])
    assert "without is none, planned is lb2" in unplanned["msg"]
    assert {(cell["load_balancer"], cell["after"]) for cell in result["cells"]} == {("lb1", "TEST"), ("lb2", "TEST")}
    assert result["msg"].endswith("; lb2 is down and will start with that")
    recorded = plays.details("leave", "changed")
    assert recorded["left_out"] == result["left_out"]
    assert recorded["left_out"][0].startswith("lb2: no HAProxy process with '-S ")
    site.load_balancers["lb2"].start()
    assert site.cells("n1") == [Cell.TEST, Cell.TEST]


BAD_OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"pools": [{**POOLS[0], "min_online": "half"}]}, "'half' is neither a count of nodes nor a share"),
    ({"pools": [{**POOLS[0], "nodes": ["n2"]}]}, "n2 is in pools.nodes but not in nodes"),
    ({"pools": [{**POOLS[0], "online": "a;b"}]}, "'a;b' is no name of a backend or server"),
    ({"without": ["lb3"]}, "lb3 is in without but not in load_balancers"),
    ({"load_balancers": ["lb9"]}, "host 'lb9' is not in the inventory"),
    ({"load_balancers": ["lb1", "lb1"]}, "Name at least one, and each once"),
    ({"drain": {"soft": "30"}}, "'30' is not a duration"),
    ({"drain": {"soft": "3m"}}, "drain.hard 2m is shorter than drain.soft 3m"),
    ({"drain": {"sticky": "stay"}}, "must be one of: move, wait"),
    ({"colour": "red"}, "colour"),
    ({"state": "gone"}, "must be one of"),
]


def test_bad_options_are_named(site: Site, plays: Plays) -> None:
    tasks = [{**plays.pool(**{"state": "maintenance", **bad}), "ignore_errors": True} for bad, _ in BAD_OPTIONS]
    _, results, output = plays.run(tasks, "--check")
    assert output.count("fatal: ") == len(results) == len(BAD_OPTIONS), output
    for result, (bad, text) in zip(results, BAD_OPTIONS, strict=True):
        assert text in result["msg"], bad
    assert "Traceback" not in output


def test_a_controller_killed_while_draining_does_nothing_more_and_the_next_run_continues(
    site: Site, plays: Plays
) -> None:
    tasks = [plays.begin("n1"), plays.pool("maintenance", "n1")]
    with site.held_customers("lb1") as held:
        process = plays.start(tasks)
        drain = threading.Thread(target=process.communicate, daemon=True)
        drain.start()
        until(lambda: site.cells("n1") == [Cell.DRAIN, Cell.DRAIN], "n1 drains")
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE_S)
        assert held.statuses() == [200] * 8
    time.sleep(1)
    assert site.cells("n1") == [Cell.DRAIN, Cell.DRAIN]
    rc, (_, result), output = plays.run(tasks)
    assert rc == 0, output
    assert {(cell["before"], cell["after"]) for cell in result["cells"]} == {("DRAIN", "TEST")}
