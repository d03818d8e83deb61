"""The common value lives in the control repository: a merge request is opened, and pins stay until it is served."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Outcome, Step
from lab import agents, build
from lab.agents import environment_data, run_agent, write_yaml
from lab.layout import Layout
from tests.integration.flow.lab_site import Site

pytestmark = [pytest.mark.lab, pytest.mark.slow]
NODE = "n1"
KEYS = ("tradeapi::version", "tradeapi::digest")


def release(layout: Layout, version: str) -> dict[str, object]:
    return dict(zip(KEYS, (version, build.digest(layout, "tradeapi", version)), strict=True))


def merge(site: Site, values: dict[str, object]) -> None:
    """What the control repository's deployment brings to the server."""
    common = environment_data(site.layout) / "common.yaml"
    write_yaml(common, {**yaml.safe_load(common.read_text()), **values})


@pytest.fixture
def by_command(site: Site) -> Iterator[Site]:
    """A site whose layer has no common value of tradeapi; what was common there before is in the environment's data."""
    own = site.layout.rollout_dir / "common.yaml"
    ours = yaml.safe_load(own.read_text()) if own.exists() else {}
    data = environment_data(site.layout) / "common.yaml"
    before = data.read_text()
    merge(site, {key: ours[key] for key in KEYS if key in ours})
    write_yaml(own, {key: value for key, value in ours.items() if key not in KEYS})
    yield site
    # As the other tests know it: the layer has what is common.
    now = {key: yaml.safe_load(data.read_text())[key] for key in KEYS}
    write_yaml(own, {**ours, **now})
    data.write_text(before)


def command(tmp_path: Path) -> list[str]:
    script = tmp_path / "open-merge-request"
    script.write_text(f"#!/bin/sh\ncat >>{tmp_path}/requests; echo >>{tmp_path}/requests; echo https://git.lab/mr/1\n")
    script.chmod(0o755)
    return [str(script)]


def test_pins_stay_until_the_merged_value_is_served(by_command: Site, tmp_path: Path) -> None:
    site = by_command
    extra: dict[str, Any] = {"tidegate_raise_command": command(tmp_path)}
    new = site.other_version(NODE)
    pin = f"nodes/{site.layout.host(NODE).certname}.yaml"
    with site.with_services(tmp_path, lambda described: described["deploy"]["puppet"].update(common="command")):
        asked = site.deploy(new, nodes=[NODE], **extra)
        assert asked.rc != 0
        assert "Have https://git.lab/mr/1 merged" in asked.output
        assert f"{NODE} on puppet: tradeapi::version is" in asked.output
        facts = site.facts()
        assert (facts.outcome, facts.serving[NODE]) == ("held", new)
        assert all(NODE in online for online in facts.online.values())
        assert pin in site.pins() and not site.locks.held()
        [request] = [json.loads(line) for line in (tmp_path / "requests").read_text().splitlines()]
        assert (request["deployment"], request["values"]) == (site.deployment().id, release(site.layout, new))
        assert run_agent(site.layout, NODE).exit_code == 0, "the pin keeps it on the new release"

        merge(site, release(site.layout, new))
        resumed = site.play("resume", service="tradeapi", **extra)
        assert resumed.rc == 0, resumed.output
    assert site.facts().outcome == "done"
    assert pin not in site.pins()
    assert len((tmp_path / "requests").read_text().splitlines()) == 1
    raised = [event for event in site.events(site.deployment().id) if event.step is Step.RAISE]
    assert [each.outcome for each in raised if each.outcome is not Outcome.STARTED] == [
        Outcome.FAILED,
        Outcome.UNCHANGED,
    ]
    assert run_agent(site.layout, NODE).exit_code == 0
    assert site.facts().serving[NODE] == new
    assert agents.report_path(site.layout.host(NODE)).exists()
