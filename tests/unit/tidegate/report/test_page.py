"""The report as text: what is said at a glance, to eyes and to ears, and that nothing from outside gets out."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Kind, State
from tests.unit.tidegate.report.recordings import (
    HOSTILE,
    RECORDED,
    Page,
    changed,
    hostile_page,
    numbered,
    page,
    recorded,
    report,
    with_customers,
)
from tidegate.report import make, render, report_of
from tidegate.report.findings import AllTests, FailedTest, NodeTests, PuppetRun

ALL = ("done", "held", "rolled_back")
HEADINGS = [
    "Nodes through the pools",
    "What customers felt",
    "Waves",
    "Nodes",
    "Gates",
    "Tests",
    "Puppet",
    "Record",
]


def told(name: str) -> Page:
    return Page(page(name, with_customers(recorded(name)[2])))


def test_a_held_one_says_at_a_glance_why_and_that_no_customer_was_affected() -> None:
    seen = told("held")
    glance = seen.text[: seen.text.index("Nodes through the pools")]
    assert seen.texts["h1"] == ["‖ Held: tradeapi 1.2.0 in lab"]
    assert "The NUnit tests did not pass on n1 (wave 1)." in glance
    assert "Failed: Lab.Smoke.TradeTests.TheSpreadIsPositive." in glance
    assert re.search(r"No customer was affected: [\d,]{5,} requests, none failed\.", glance)
    assert "n1 stays in the maintenance pool, where customers don't come." in glance
    assert "Go back: tidegate rollback tradeapi" in glance
    assert "Or try again: tidegate resume tradeapi" in glance
    assert "by ann" in glance


def test_one_that_is_done_says_what_its_nodes_serve() -> None:
    seen = told("done")
    assert seen.texts["h1"] == ["✓ Done: tradeapi 1.1.0 in lab"]
    assert "n1, n2, n3, n4, n5, n6 serve 1.1.0." in seen.text
    assert "7 of 7 test runs passed" in seen.text
    assert "Exec[unpack tradeapi 1.1.0]" in seen.text


def test_a_rollback_says_so() -> None:
    assert told("rolled_back").texts["h1"] == ["↩ Rolled back: tradeapi 1.1.0 in lab, rollback"]


def test_one_that_was_superseded_says_that_and_where_it_had_been_held() -> None:
    deployment, plan, entries = recorded("held")
    closing = replace(
        entries[-1].event, step=Step.CLOSE, outcome=Outcome.OK, details={"msg": "superseded by x"}, id="another"
    )
    ended = replace(deployment, state=State.SUPERSEDED, closed_at="2026-11-29T09:00:00.000Z")
    told = report_of(ended, [*entries, *numbered([closing])], plan, RECORDED / "held")
    seen = Page(render(told))
    assert seen.texts["h1"] == ["» Held, then superseded: tradeapi 1.2.0 in lab"]
    assert "The NUnit tests did not pass on n1" in seen.text
    assert "superseded by x" in seen.text
    assert "Go back" not in seen.text


def test_one_that_is_under_way_blames_nobody_for_its_missing_end() -> None:
    deployment, plan, entries = recorded("done")
    so_far = with_customers(entries)[: len(entries) // 2]
    seen = Page(render(make(replace(deployment, state=State.OPEN, closed_at=""), so_far, plan)))
    assert seen.texts["h1"] == ["▸ Under way: tradeapi 1.1.0 in lab"]
    assert "the deployment is under way" in seen.text
    assert "cut short" not in seen.text


def test_without_samples_nobody_claims_that_customers_felt_nothing() -> None:
    seen = Page(page("held"))
    assert "What customers felt is not known" in seen.text
    assert "No customer was affected" not in seen.text


def test_the_anchor_and_the_release_are_there_in_full() -> None:
    deployment, _plan, entries = recorded("done")
    seen = Page(page("done"))
    for fact in (deployment.id, deployment.digest, entries[-1].hash, f"entry {entries[-1].seq} of"):
        assert fact in seen.text


def test_a_failed_test_is_told_with_its_message() -> None:
    seen = Page(page("held"))
    assert "Lab.Smoke.TradeTests.TheSpreadIsPositive on n1" in seen.text
    assert "EURUSD Expected: greater than 1.085334m But was: 1.085226m" in seen.text


def test_results_that_somebody_changed_are_not_believed() -> None:
    entries = changed(recorded("held")[2], Step.NUNIT, results_sha256="0" * 64)
    seen = Page(page("held", entries))
    assert "n1: the tests' results are not those that the ledger has the digest of" in seen.text
    assert "Lab.Smoke.TradeTests.TheSpreadIsPositive on n1" in seen.text


@pytest.mark.parametrize("name", ALL)
def test_whoever_hears_it_finds_the_way(name: str) -> None:
    seen = told(name)
    assert seen.texts["h2"] == HEADINGS
    assert next(seen.all("html")) == {"lang": "en"}
    levels = [int(tag[1]) for tag, _ in seen.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1 and all(after - before <= 1 for before, after in pairwise(levels))
    shown = [attributes for attributes in seen.all("table") if attributes.get("role") != "presentation"]
    assert len(shown) == len(seen.texts["caption"]) and all(seen.texts["caption"])
    assert all(attributes.get("scope") in ("row", "col") for attributes in seen.all("th"))
    pictures = [attributes for attributes in seen.all("svg") if attributes.get("aria-hidden") != "true"]
    assert len(pictures) == len(seen.texts["desc"]) and all(each["role"] == "img" for each in pictures)
    assert all(seen.texts["desc"])
    # Each picture is followed by its numbers.
    assert seen.texts["summary"].count("The picture in numbers") == len(pictures)


@pytest.mark.parametrize("name", ALL)
def test_nothing_is_on_it_that_jenkins_policy_forbids(name: str) -> None:
    seen = told(name)
    assert not {"script", "style", "link", "iframe", "object", "img", "form"} & {tag for tag, _ in seen.tags}
    attributes = [(key, value or "") for _, each in seen.tags for key, value in each.items()]
    assert not [key for key, _ in attributes if key == "style" or key.startswith("on")]
    assert not [value for key, value in attributes if key in ("src", "href", "xlink:href", "background")]
    assert not [value for _, value in attributes if "data:" in value.lower() or "javascript:" in value.lower()]


@pytest.mark.parametrize("evil", HOSTILE)
def test_what_comes_from_outside_stays_text(evil: str) -> None:
    html = hostile_page(evil)
    seen = Page(html)
    assert seen.texts["h2"] == HEADINGS
    assert not {"script", "style", "img"} & {tag for tag, _ in seen.tags}
    assert not [key for _, each in seen.tags for key in each if key.startswith("on")]
    assert not set(html) & {"\u202e", "\u2066", "\x1b", "\x07", "\x00"}
    assert "49{" not in seen.text
    # A word without an end can't widen the page: there is a place to break it.
    assert max(len(word) for word in _shown(html).split()) < 80


def _shown(html: str) -> str:
    return re.sub(r"<title.*?</title>|<desc.*?</desc>|<[^>]*>", " ", html, flags=re.DOTALL)


def test_the_largest_deployment_stays_small() -> None:
    nodes = tuple(f"web-{number:03}.dc1.example.com" for number in range(300))
    waves: list[dict[str, Any]] = [
        {"number": number + 1, "site": "dc1", "nodes": list(nodes[30 * number : 30 * number + 30])}
        for number in range(10)
    ]
    deployment = Deployment(
        id="big", kind=Kind.DEPLOY, service="big", environment="prod", version="2.0.0", state=State.HELD, nodes=nodes
    )
    events = []
    failing = [f"T{number}: {'x' * 80}" for number in range(150)]
    for wave in waves:
        for step, outcome in (
            (Step.WAVE, "begun"),
            (Step.LEAVE, ""),
            (Step.PUPPET, ""),
            (Step.NUNIT, ""),
            (Step.JOIN, ""),
        ):
            for node in wave["nodes"]:
                minute = 5 * wave["number"] + [Step.WAVE, Step.LEAVE, Step.PUPPET, Step.NUNIT, Step.JOIN].index(step)
                events.append(
                    Event(
                        service="big", environment="prod", deployment="big", attempt=1, step=step,
                        outcome=Outcome.FAILED if step is Step.NUNIT else Outcome.OK,
                        nodes=(node,), wave=wave["number"],
                        at=f"2026-01-31T14:{minute:02}:00.000Z", duration_ms=20_000, by="ann",
                        details={"outcome": outcome, "msg": "m" * 2_000, "failing": failing},
                    )
                )  # fmt: skip
    tests = AllTests(
        tuple(NodeTests(1, 1, "big", node, False, "s" * 2_000, 10_000, 10_000, 1.0) for node in nodes),
        tuple(FailedTest(f"A.B.C{number}", "m" * 4_000, nodes) for number in range(40)),
        9_960,
    )
    puppet = [
        PuppetRun(1, node, "changed", "", 1.0, "", tuple(f"File[/{node}/{n}]" for n in range(100)), 200)
        for node in nodes
    ]
    html = render(make(deployment, numbered(events), {"waves": waves}, tests=tests, puppet=puppet))
    assert "9,960 more failed tests are in junit.xml" in Page(html).text
    assert len(html.encode()) < 1_000_000


def test_a_deployment_of_which_there_is_only_its_record_has_a_page() -> None:
    bare = Deployment(id="s-1", kind=Kind.HAND, service="s", environment="lab", nodes=("n1",))
    seen = Page(render(make(bare, [], {})))
    assert seen.texts["h1"] == ["▸ Under way: s in lab, by hand"]
    assert "No node was moved." in seen.text


def test_a_service_without_load_balancers_has_no_customers_to_ask_for() -> None:
    deployment, _plan, entries = recorded("done")
    seen = Page(render(make(deployment, entries, {"waves": [{"number": 1, "nodes": ["n1"], "load_balancers": []}]})))
    assert "No customers come to this service through a load balancer." in seen.text


def test_customers_that_failed_are_told_at_a_glance() -> None:
    entries = with_customers(recorded("done")[2])
    last = [entry for entry in entries if entry.event.step is Step.CUSTOMERS][-1]
    last.event.details["failed"] = 7  # type: ignore[index]
    told = report("done", entries)
    assert told.customers is not None and told.customers.failed == 7
    assert "Customers were affected: 7 of" in Page(render(told)).text
