from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Kind
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.plan import (
    Fate,
    NodeView,
    Served,
    SiteView,
    Standing,
    make_plan,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.table import (
    configuration_lines,
    plan_table,
    summary,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.waves import PoolView
from ansible_collections.tidegate.delivery.plugins.module_utils.values import Share

OLD, NEW = Served("1.0.0", "aa"), Served("1.1.0", "bb")
ON, OUT, ILL = Standing.ONLINE, Standing.OUT, Standing.UNUSABLE


def site(*nodes: NodeView, usable: list[str] | None = None) -> SiteView:
    names = [node.name for node in nodes if node.standing is ON] if usable is None else usable
    pool = PoolView("s", "s_online", "lb1", Share.parse(0), frozenset(node.name for node in nodes), frozenset(names))
    return SiteView("main", ("lb1",), nodes, (pool,))


def fate(node: NodeView, **excluded: str) -> tuple[Fate, str]:
    plan = make_plan(NEW, [site(node)], [Share.parse("100%")], excluded)
    return plan.nodes[0].fate, plan.nodes[0].why


@pytest.mark.parametrize(
    ("node", "expected", "why"),
    [
        (NodeView("n1", ON, OLD), Fate.MOVE, ""),
        (NodeView("n1", ON, NEW, joined=NEW), Fate.DONE, "serves it already"),
        (NodeView("n1", ON, NEW, joined=NEW, our_freeze="d0"), Fate.MOVE, "deployment d0 left Puppet disabled there"),
        (NodeView("n1", ON, NEW), Fate.MOVE, "without our evidence"),
        (NodeView("n1", ON, NEW, joined=OLD), Fate.MOVE, "without our evidence"),
        (NodeView("n1", ON, Served("1.1.0", "other"), joined=NEW), Fate.MOVE, ""),
        (NodeView("n1", ON), Fate.MOVE, ""),
        (NodeView("n1", ILL, OLD), Fate.MOVE, "can't use it"),
        (NodeView("n1", ILL, NEW, joined=NEW), Fate.MOVE, "can't use it"),
        (NodeView("n1", OUT, OLD, ours=True), Fate.MOVE, "held by us"),
        (NodeView("n1", OUT, OLD), Fate.SKIP, "taken out by somebody else"),
        (NodeView("n1", OUT, OLD, taken_by="alice by hand"), Fate.SKIP, "taken out by alice by hand"),
        (NodeView("n1", OUT, unreachable="no route"), Fate.SKIP, "taken out by somebody else"),
        (NodeView("n1", ON, OLD, foreign_freeze="patching"), Fate.SKIP, "patching"),
    ],
)
def test_every_node_has_its_fate(node: NodeView, expected: Fate, why: str) -> None:
    found, reason = fate(node)
    assert found is expected
    assert why in reason


@pytest.mark.parametrize(
    ("node", "expected", "why"),
    [
        (NodeView("n1", ON, OLD), Fate.SKIP, "settling"),
        (NodeView("n1", ON, NEW), Fate.SKIP, "settling"),
        (NodeView("n1", ILL, NEW, joined=NEW), Fate.SKIP, "settling"),
        (NodeView("n1", OUT, OLD, ours=True), Fate.SKIP, "settling"),
        (NodeView("n1", ON, NEW, joined=NEW), Fate.DONE, "serves it already"),
        (NodeView("n1", OUT, OLD, taken_by="alice by hand"), Fate.SKIP, "taken out by alice by hand"),
    ],
)
def test_where_only_settling_is_left_no_node_moves(node: NodeView, expected: Fate, why: str) -> None:
    plan = make_plan(NEW, [site(node)], [Share.parse("100%")], settling="only settling is left")
    assert (plan.nodes[0].fate, plan.waves) == (expected, ())
    assert why in plan.nodes[0].why


A, B = "a" * 40, "b" * 40


@pytest.mark.parametrize(
    ("joined", "target", "away_from", "expected", "why"),
    [
        (A, A, None, Fate.DONE, "serves it already"),
        (A, B, None, Fate.MOVE, "configuration aaaaaaaaaaaa -> bbbbbbbbbbbb"),
        ("", B, None, Fate.MOVE, "configuration not known -> bbbbbbbbbbbb"),
        # Nobody tells a revision: as if there were none.
        (A, "", None, Fate.DONE, "serves it already"),
        ("", "", None, Fate.DONE, "serves it already"),
        # A rollback of a version leaves those alone that never had the version, whatever is served by now.
        (A, B, Served("1.2.0", revision=B), Fate.DONE, "serves it already"),
        # One of the configuration alone moves those that got it.
        (A, B, Served("1.1.0", revision=A), Fate.MOVE, "configuration aaaaaaaaaaaa -> bbbbbbbbbbbb"),
        ("c" * 40, B, Served("1.1.0", revision=A), Fate.DONE, "serves it already"),
    ],
)
def test_a_configuration_is_part_of_the_release(
    joined: str, target: str, away_from: Served | None, expected: Fate, why: str
) -> None:
    node = NodeView("n1", ON, NEW, joined=replace(NEW, revision=joined))
    sizes = [Share.parse("100%")]
    plan = make_plan(replace(NEW, revision=target), [site(node)], sizes, away_from=away_from)
    assert plan.nodes[0].fate is expected
    assert why in plan.nodes[0].why


@pytest.mark.parametrize(
    ("joined", "undone", "expected"),
    [
        (A, (), Fate.DONE),
        (A, (Served("1.1.0", revision=A),), Fate.MOVE),
        (A, (Served("1.2.0", revision=A),), Fate.DONE),
        (B, (Served("1.1.0", revision=B),), Fate.DONE),
        ("", (Served("1.1.0", revision=A),), Fate.DONE),
    ],
)
def test_a_rollback_moves_what_was_superseded_on_the_way_too(
    joined: str, undone: tuple[Served, ...], expected: Fate
) -> None:
    node = NodeView("n1", ON, NEW, joined=replace(NEW, revision=joined))
    away = Served("1.1.0", revision="c" * 40)
    sizes = [Share.parse("100%")]
    plan = make_plan(replace(NEW, revision=B), [site(node)], sizes, away_from=away, undone=undone)
    assert plan.nodes[0].fate is expected


@pytest.mark.parametrize(
    ("kind", "revision", "before", "why", "line"),
    [
        (Kind.DEPLOY, A, "", "", "configuration: aaaaaaaaaaaa"),
        (Kind.DEPLOY, A, A, "", "configuration: aaaaaaaaaaaa"),
        (Kind.DEPLOY, B, A, "", "configuration: bbbbbbbbbbbb; before aaaaaaaaaaaa"),
        (Kind.DEPLOY, "", "", "it is ignored", "configuration: no part of the release, it is ignored"),
        (
            Kind.ROLLBACK,
            B,
            B,
            "",
            "configuration: bbbbbbbbbbbb, what the compile servers serve. Deployed with 1.1.0, it stays",
        ),
        (
            Kind.ROLLBACK,
            B,
            A,
            "",
            "configuration: bbbbbbbbbbbb, what the compile servers serve; aaaaaaaaaaaa was deployed with 1.1.0",
        ),
    ],
)
def test_the_configuration_is_told(kind: Kind, revision: str, before: str, why: str, line: str) -> None:
    deployment = Deployment(
        id="d1",
        kind=kind,
        service="s",
        environment="lab",
        version="1.0.0",
        revision=revision,
        previous_version="1.1.0",
        previous_revision=before,
    )
    assert configuration_lines(deployment, why) == [line]


def test_an_excluded_node_stays_even_when_it_cannot_be_reached() -> None:
    assert fate(NodeView("n1", ON, OLD, unreachable="no route"), n1="excluded") == (Fate.SKIP, "excluded")


def test_an_unreachable_node_refuses_the_plan_and_names_the_way_around() -> None:
    with pytest.raises(Refused) as refused:
        fate(NodeView("n1", ON, OLD, unreachable="connection refused"))
    assert "n1 can't be reached: connection refused" in str(refused.value)
    assert 'exclude": ["n1"]' in refused.value.remedy


def test_nodes_that_customers_cannot_reach_go_first_and_the_rest_keep_their_order() -> None:
    nodes = (NodeView("n1", ON, OLD), NodeView("n2", OUT, OLD, ours=True), NodeView("n3", ON, OLD), NodeView("n4", ILL))
    plan = make_plan(NEW, [site(*nodes)], [Share.parse(1)])
    assert [wave.nodes for wave in plan.waves] == [("n2",), ("n4",), ("n1",), ("n3",)]


def test_sites_follow_each_other() -> None:
    east, west = site(NodeView("e1", ON, OLD), NodeView("e2", ON, OLD)), site(NodeView("w1", ON, OLD))
    plan = make_plan(NEW, [east, west], [Share.parse(1)])
    assert [wave.nodes for wave in plan.waves] == [("e1",), ("e2",), ("w1",)]


def test_the_plan_is_shown_with_versions_waves_and_reasons() -> None:
    sites = [site(NodeView("n1", ON, OLD), NodeView("n2", OUT, OLD, taken_by="alice"))]
    plan = make_plan(NEW, sites, [Share.parse(1)])
    assert summary("s", "1.1.0", "lab", plan) == "s 1.1.0 to lab: 1 node in 1 wave (1), 1 skipped"
    assert plan_table(plan, sites) == [
        "n1  online  1.0.0 -> 1.1.0  wave 1",
        "n2  out     1.0.0 -> 1.1.0  skipped: taken out by alice",
        "wave 1 (main): n1",
        "s_online  on lb1  1 of 2 usable  at least 0 stay (min_online 0)",
    ]
