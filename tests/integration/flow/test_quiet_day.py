"""A configuration merge on a quiet day restarts nothing on any node; the next deployment brings it to its nodes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import State
from lab.agents import environment_data, write_yaml
from lab.control_repository import ControlRepository
from lab.load import Load
from tests.integration.flow.lab_site import NODES, Site, finished, kill
from tests.integration.flow.test_faults import has
from tests.integration.flow.test_periodic_runs import UNCHANGED, periodic_runs, serving

pytestmark = [pytest.mark.lab, pytest.mark.slow]
NODE = "n1"
MOVED = ("n1", "n2")
KEY = "tradeapi::deployment"
SETTING = "QUOTES_CACHE"


@pytest.fixture
def quiet(site: Site) -> Iterator[Site]:
    """A site whose service changes in deployments only."""
    data = environment_data(site.layout) / "common.yaml"
    before = data.read_text()
    merge(site, {"tradeapi::quiet": True})
    yield site
    data.write_text(before)
    periodic_runs(site, NODE)


def merge(site: Site, values: dict[str, object]) -> None:
    data = environment_data(site.layout) / "common.yaml"
    write_yaml(data, {**yaml.safe_load(data.read_text()), **values})


def setting(pid: int) -> str | None:
    """What the process that serves was started with."""
    return psutil.Process(pid).environ().get(SETTING)


def test_a_merge_restarts_nothing_and_the_next_deployment_brings_it(quiet: Site, tmp_path: Path) -> None:
    site = quiet
    merge(site, {"tradeapi::settings": {SETTING: "10m"}})
    before = {node: serving(site, node) for node in NODES}
    runs = periodic_runs(site, *NODES)
    assert [run.exit_code for run in runs.values()] == [UNCHANGED] * len(NODES)
    assert all("(noop)" in run.output for run in runs.values()), "the merge has reached every node"
    assert {node: serving(site, node) for node in NODES} == before

    new = site.other_version(NODE)
    with site.with_services(tmp_path, lambda described: described["deploy"]["puppet"].update(open_key=KEY)):
        played = site.deploy(new, nodes=[NODE])
    assert played.rc == 0, played.output
    version, pid = serving(site, NODE)
    assert (version, setting(pid)) == (new, "10m")
    assert not any(KEY in text for text in site.pins().values())

    # Another merge: the moved node, and those that were left out and are pinned, are as quiet as before.
    merge(site, {"tradeapi::settings": {SETTING: "20m"}})
    before = {node: serving(site, node) for node in NODES}
    assert all(run.exit_code == UNCHANGED for run in periodic_runs(site, NODE, "n2").values())
    assert {node: serving(site, node) for node in NODES} == before


def test_what_a_killed_run_left_open_is_shut_by_the_next_deployment_that_leaves_the_node_out(
    even_site: Site, tmp_path: Path
) -> None:
    site = even_site
    first, second = sorted({"1.0.0", "1.1.0", "1.3.0"} - {site.facts().serving[NODE]})
    with site.with_services(tmp_path, lambda described: described["deploy"]["puppet"].update(open_key=KEY)):
        process = site.start_deploy(first, nodes=[NODE])
        site.await_event(has(Step.PIN, Outcome.CHANGED, NODE), process)
        kill(process)
        killed = site.deployment()
        pin = f"nodes/{site.layout.host(NODE).certname}.yaml"
        assert f'{KEY}: "{killed.id}"' in site.pins()[pin]
        assert f"deployment {killed.id} is open" in site.play("frozen", service="tradeapi").output

        played = site.deploy(second, nodes=["n2"])
        assert played.rc == 0, played.output
        assert site.deployment().id != killed.id
        assert not any(KEY in text for text in site.pins().values())


def test_a_held_wave_is_sealed_before_its_periodic_runs_go_on(even_site: Site, tmp_path: Path) -> None:
    site = even_site
    with site.with_services(tmp_path, lambda described: described["deploy"]["puppet"].update(open_key=KEY)):
        held = site.deploy("1.2.0", nodes=[NODE])
        assert held.rc != 0, held.output
        own = site.deployment()
        assert own.state is State.HELD
        ends = [event for event in site.events(own.id) if event.outcome is not Outcome.STARTED]
        order = [event.step for event in ends if event.step in (Step.SEAL, Step.THAW)]
        assert order[-2:] == [Step.SEAL, Step.THAW]
        assert not any(KEY in text for text in site.pins().values())
        assert site.frozen() == []
        assert site.play("rollback", service="tradeapi").rc == 0


def test_a_node_that_is_back_when_only_settling_is_left_keeps_nobody_from_it(even_site: Site) -> None:
    site = even_site
    repository = ControlRepository(environment_data(site.layout).parent)
    with repository.checked_out() as old:
        version = site.other_version(*MOVED)
        before = site.facts().serving
        running = site.start_deploy(version, [NODE])
        site.await_event(_joined, running)
        kill(running)
        new = repository.commit()

        # n2 is no longer left out, and would get what no wave was tested with.
        settled = site.deploy(version, nodes=MOVED)
        assert settled.rc == 0, settled.output
        assert "skipped: another configuration is served by now, and only settling is left" in settled.output
        first = site.deployment()
        assert (first.state, first.attempt, first.revision) == (State.DONE, 2, old)
        assert site.facts().serving == {**before, NODE: version}

        again = site.deploy(version, nodes=MOVED)
        assert again.rc == 0, again.output
        assert site.deployment().id != first.id
        assert (site.deployment().state, site.deployment().revision) == (State.DONE, new)
        assert site.facts().serving == {**before, **dict.fromkeys(MOVED, version)}


def test_a_configuration_alone_is_a_release(quiet: Site, tmp_path: Path) -> None:
    site = quiet
    repository = ControlRepository(environment_data(site.layout).parent)
    with (
        repository.checked_out() as old,
        site.with_services(tmp_path, lambda described: described["deploy"]["puppet"].update(open_key=KEY)),
    ):
        version = site.other_version(*MOVED)
        played = site.deploy(version, nodes=MOVED)
        assert played.rc == 0, played.output
        assert site.deployment().revision == old

        # A merge restarts nothing. Deploying the version that is served then is no "already done".
        merge(site, {"tradeapi::settings": {SETTING: "30m"}})
        new = repository.commit()
        before = {node: serving(site, node) for node in NODES}
        assert all(run.exit_code == UNCHANGED for run in periodic_runs(site, *MOVED).values())
        assert {node: serving(site, node) for node in NODES} == before

        # Killed between two waves, it goes on with the revision that it was begun with; no request fails.
        with Load(site.layout, "configuration", 100) as load:
            running = site.start_deploy(version, MOVED)
            site.await_event(_joined, running)
            kill(running)
            resumed = site.play("resume", service="tradeapi")
        assert resumed.rc == 0, resumed.output
        assert f"configuration: {new[:12]}; before {old[:12]}" in resumed.output
        assert "n1  online  " in resumed.output
        assert load.result is not None
        assert (load.result.requests_failed, load.result.requests_total > 1_000) == (0, True)
        done = site.deployment()
        assert (done.attempt, done.version, done.revision, done.previous_revision) == (2, version, new, old)
        assert [event.nodes for event in site.events(done.id) if _joined(event)] == [("n1",), ("n2",)]
        for node in MOVED:
            told, pid = serving(site, node)
            assert (told, setting(pid)) == (version, "30m")
            assert pid != before[node][1]

        again = site.deploy(version, nodes=MOVED)
        assert again.rc == 0
        assert "nothing to do, 2 done already" in again.output
        assert site.deployment() == done
        back = site.play("rollback", service="tradeapi")
        assert back.rc != 0
        assert f"only the configuration was deployed, and the compile servers still serve {new[:12]}" in back.output
        assert site.deployment() == done

        _merged_meanwhile(site, repository, version)


def _merged_meanwhile(site: Site, repository: ControlRepository, version: str) -> None:
    """What is merged between two waves comes to no node of this deployment: it is held with all nodes online."""
    planned = repository.commit()
    running = site.start_deploy(version, MOVED)
    site.await_event(_joined, running)
    merged = repository.commit()
    held_back = finished(running)
    told = f"this deployment brings configuration {planned[:12]}, and the compile servers serve {merged[:12]} by now"
    assert held_back.rc != 0
    assert told in held_back.output
    held = site.deployment()
    assert (held.state, held.revision) == (State.HELD, planned)
    assert all(set(nodes) == set(NODES) for nodes in site.facts().online.values())

    resumed = site.play("resume", service="tradeapi")
    assert resumed.rc != 0
    assert told in resumed.output
    assert site.deployment() == held
    deployed = site.deploy(version, nodes=MOVED)
    assert deployed.rc == 0, deployed.output
    done = site.deployment()
    assert (done.state, done.revision) == (State.DONE, merged)
    superseded = site.ledger.deployment(held.id)
    assert superseded is not None
    assert superseded.state is State.SUPERSEDED
    assert [event.nodes for event in site.events(done.id) if _joined(event)] == [("n1",), ("n2",)]


def _joined(event: Event) -> bool:
    return event.details.get("outcome") == "joined"
