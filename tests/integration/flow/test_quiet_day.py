"""A configuration merge on a quiet day restarts nothing on any node; the next deployment brings it to its nodes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from lab.agents import environment_data, write_yaml
from tests.integration.flow.lab_site import NODES, Site
from tests.integration.flow.test_periodic_runs import UNCHANGED, periodic_runs, serving

pytestmark = [pytest.mark.lab, pytest.mark.slow]
NODE = "n1"
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
