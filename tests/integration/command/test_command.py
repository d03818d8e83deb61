"""The command does what it says, with the exit codes that it promises."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Step
from tests.integration.command.commanded import Commands, begun, only
from tests.integration.flow.lab_site import NODES, Site, finished

pytestmark = pytest.mark.lab


@pytest.mark.slow
def test_a_release_that_fails_is_held_and_one_command_leads_back(site: Site, commands: Commands) -> None:
    before = site.facts().serving["n1"]
    common, _count = Counter(site.facts().serving.values()).most_common(1)[0]
    plan = commands.call("plan", "tradeapi", "1.2.0", "--json", *only("n1"))
    assert plan.rc == 0, plan.stderr
    assert [wave["nodes"] for wave in plan.document["plan"]["waves"]] == [["n1"]]
    assert site.facts().serving["n1"] == before

    held = commands.call("deploy", "tradeapi", "1.2.0", "--yes", "--json", *only("n1"))
    assert held.rc == 3, held.stderr
    assert (held.document["exit"], held.document["outcome"]) == (3, "held")
    assert "TheSpreadIsPositive" in held.document["message"]
    assert "tidegate rollback tradeapi -i inventories/lab" in held.document["message"]

    back = commands.call("rollback", "tradeapi", "--yes", "--json", *only("n1"))
    assert back.rc == 0, back.stderr
    assert back.document["outcome"] == "done"
    assert site.facts().serving["n1"] == common
    assert site.facts().outcome == "rolled_back"

    events = [json.loads(line) for line in (Path(back.document["folder"]) / "events.jsonl").read_text().splitlines()]
    told = [entry.event.id for entry in site.ledger.entries("lab", deployment=back.document["deployment"])]
    assert [event["id"] for event in events] == told
    (wave,) = back.document["summary"]["waves"]
    assert wave["tidegate_added_s"] >= 0
    assert set(wave) >= {"drain_s", "puppet_s", "tests_s", "warmup_s"}

    listed = commands.call("history", "tradeapi", "--json", "--limit", "2").document["deployments"]
    assert [deployment["id"] for deployment in listed] == [back.document["deployment"], held.document["deployment"]]


def test_what_is_refused_is_told_by_its_exit_code(site: Site, commands: Commands) -> None:
    before = site.snapshot()
    for words, code, told in (
        (("plan", "tradeapi", "9.9.9"), 2, "9.9.9"),
        (("plan", "nonsense", "1.1.0"), 2, "Known services: pricefeed, tradeapi"),
        (("resume", "tradeapi", "-y"), 2, "no deployment of tradeapi is open"),
        (("deploy", "tradeapi", "1.1.0", "-y", "-e", "tidegate_environment=''"), 2, "tidegate_environment"),
    ):
        answered = commands.call(*words)
        assert answered.rc == code, (words, answered)
        assert told in answered.stderr
        assert "Traceback" not in answered.stderr
    assert site.snapshot() == before


def test_status_pools_and_validate_answer(site: Site, commands: Commands) -> None:
    nodes = commands.call("status", "tradeapi", "--json").document["services"]["tradeapi"]["nodes"]
    assert set(nodes) == set(NODES)
    assert commands.call("validate", "--json").document["problems"] == []
    assert "n1" in commands.call("pools", "tradeapi").stdout


@pytest.mark.slow
def test_of_two_people_one_is_told_who_has_it(site: Site, commands: Commands) -> None:
    """First by hand against the command, then the command against one by hand."""
    version = site.other_version("n1")
    by_hand = site.start_deploy(version, nodes=["n1"])
    site.await_event(begun(Step.PUPPET), by_hand)
    refused = commands.call("deploy", "tradeapi", version, "--yes", "--json", *only("n2"))
    assert refused.rc == 5, refused.stderr
    for told in ("is locked by", f"(process {by_hand.pid})", "since", "doing", "tidegate status"):
        assert told in refused.document["message"]
    assert finished(by_hand).rc == 0

    running = commands.start("deploy", "tradeapi", site.other_version("n1"), "--yes", *only("n1"))
    site.await_event(begun(Step.PUPPET), running.process)
    second = site.deploy(site.other_version("n2"), nodes=["n2"])
    assert second.rc != 0
    assert "is locked by" in second.output
    assert "playbooks/status.yml" in second.output
    ended = running.end()
    assert ended.rc == 0, ended.stderr
