"""The witness's own reading of HAProxy's statistics."""

from __future__ import annotations

import json

import pytest

from lab.sampler import BalancerSeen, Pool, PoolSeen, Row, SamplerResult, in_both, parse, usable

POOL = Pool("tradeapi", "t_online", "t_maintenance")
HEAD = "# pxname,svname,qcur,status,weight,act,bck,desc,"


def stat(*rows: str) -> str:
    return "\n".join([HEAD, *rows, "", ""])


def row(status: str, weight: int = 1, backup: bool = False, backend: str = "t_online", server: str = "n1") -> Row:
    return Row(backend, server, status, weight, backup)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (row("UP"), True),
        (row("UP", weight=0), False),
        (row("UP", backup=True), False),
        (row("UP 1/2"), False),
        (row("DOWN 1/2"), False),
        (row("DOWN"), False),
        (row("DRAIN"), False),
        (row("MAINT"), False),
        (row("MAINT (via a/b)"), False),
        (row("NOLB"), False),
        (row("no check"), False),
    ],
)
def test_usable_for_customers(given: Row, expected: bool) -> None:
    assert given.usable is expected


def test_columns_are_found_by_name_and_quoted_text_is_one() -> None:
    text = stat('t_online,n2,0,UP,1,1,0,"a,b ""c""",', "t_online,n1,0,DRAIN,1,1,0,,", "other,n1,0,UP,5,0,1,,")
    rows = parse(text)
    assert rows == [row("UP", server="n2"), row("DRAIN"), Row("other", "n1", "UP", 5, backup=True)]
    assert usable(rows, "t_online") == ("n2",)


@pytest.mark.parametrize(
    "text", ["", "Permission denied\n", "# pxname,svname,status,\nt,n1,UP,\n", stat("t_online,n1,0,UP,,1,0,,")]
)
def test_what_is_no_statistics_is_no_sample(text: str) -> None:
    with pytest.raises(ValueError, match=r"statistics|invalid literal"):
        parse(text)


@pytest.mark.parametrize(
    ("online", "maintenance", "both"),
    [
        ("UP", "MAINT", ()),
        ("MAINT", "UP", ()),
        ("DRAIN", "UP", ()),
        ("UP", "UP", ("n1",)),
        ("UP 1/2", "UP", ("n1",)),
        ("UP", "UP 1/2", ("n1",)),
        ("DOWN", "UP", ()),
    ],
)
def test_a_node_in_both_pools(online: str, maintenance: str, both: tuple[str, ...]) -> None:
    rows = [row(online), row(maintenance, backend="t_maintenance"), row("UP", backend="t_maintenance", server="n2")]
    assert in_both(rows, POOL) == both


def test_minimum_changes_and_violations_are_kept() -> None:
    seen = PoolSeen()
    for when, names in ((1.0, ("n1", "n2")), (2.0, ("n1",)), (3.0, ("n1",)), (4.0, ("n1", "n2"))):
        seen.add(when, names, ())
    seen.add(5.0, ("n1", "n2"), ("n2",))
    assert (seen.min_online, seen.min_online_at) == (1, 2.0)
    assert seen.changes == [(1.0, ["n1", "n2"]), (2.0, ["n1"]), (4.0, ["n1", "n2"])]
    assert (seen.both_pools, seen.both_pools_first) == (1, [(5.0, ["n2"])])


def test_half_a_second_without_a_sample_is_a_gap() -> None:
    seen = BalancerSeen()
    seen.begin(100.0)
    for now in (100.1, 100.6, 101.2):
        seen.add(now, [], [POOL])
    seen.note_gap(105.0)
    assert seen.gaps == [(100.6, 0.6), (101.2, 3.8)]
    assert seen.samples == 3


def balancer(least: int | None) -> BalancerSeen:
    return BalancerSeen(services={} if least is None else {"tradeapi": PoolSeen(min_online=least)})


@pytest.mark.parametrize(("first", "second", "expected"), [(4, 5, 4), (6, 6, 6), (0, 3, 0), (4, None, None)])
def test_the_minimum_is_the_lowest_of_all_and_none_if_one_was_not_seen(
    first: int, second: int | None, expected: int | None
) -> None:
    assert SamplerResult(1.0, {"lb1": balancer(first), "lb2": balancer(second)}).min_online("tradeapi") == expected


def test_a_result_survives_json() -> None:
    seen = BalancerSeen(samples=1, gaps=[(1.0, 0.7)])
    seen.services["tradeapi"] = PoolSeen(min_online=4, both_pools=2)
    back = SamplerResult.from_json(json.loads(json.dumps(SamplerResult(1.0, {"lb1": seen}).to_json())))
    assert (back.min_online("tradeapi"), back.both_pools, back.gaps) == (4, 2, 1)
