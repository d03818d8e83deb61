from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.catalog import Survey, load_catalog
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.catalog_placement import (
    place_catalog,
    placement_problems,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.service import Nagios, Service

LAB = Path(__file__).resolve().parents[5] / "services"
CATALOG = load_catalog(str(LAB), "lab")
GROUPS: dict[str, Sequence[str]] = {
    "tradeapi": [f"n{number}" for number in range(1, 7)],
    "pricefeed": ["n6", "p1"],
    "edge": ["lb1", "lb2"],
    "west": ["lb3"],
    "puppetservers": ["puppet"],
    "all": ["testbox"],
}
TRADEAPI, PRICEFEED = CATALOG["tradeapi"], CATALOG["pricefeed"]
Changes = Mapping[str, Any]


def told(tradeapi: Changes, pricefeed: Changes, groups: Changes) -> list[tuple[str, str, str]]:
    services: dict[str, Service] = {
        "tradeapi": TRADEAPI.model_copy(update=tradeapi),
        "pricefeed": PRICEFEED.model_copy(update=pricefeed),
    }
    survey = Survey({name: LAB / f"{name}.yml" for name in services}, services, ())
    problems = placement_problems(place_catalog(survey, {**GROUPS, **groups}))
    return [(Path(problem.file).stem, problem.key, problem.problem) for problem in problems]


def _site(**changes: str) -> Any:
    return TRADEAPI.sites[0].model_copy(update=changes)


def _puppet(**changes: str) -> Any:
    puppet = PRICEFEED.deploy.puppet.model_copy(update=changes)
    return PRICEFEED.deploy.model_copy(update={"puppet": puppet})


def test_the_labs_catalog_fits_its_inventory() -> None:
    assert told({}, {}, {}) == []


@pytest.mark.parametrize(
    ("tradeapi", "pricefeed", "groups", "expected"),
    [
        (
            {"sites": [_site(load_balancers="nowhere")]},
            {},
            {},
            [("tradeapi", "sites.0.load_balancers", "inventory group 'nowhere' is unknown or empty")],
        ),
        (
            {},
            {},
            {"puppetservers": []},
            [
                (name, "deploy.puppet.servers", "inventory group 'puppetservers' is unknown or empty")
                for name in ("tradeapi", "pricefeed")
            ],
        ),
        (
            {"nagios": Nagios(server="monitoring")},
            {},
            {},
            [("tradeapi", "nagios.server", "inventory group 'monitoring' is unknown or empty")],
        ),
        (
            {},
            {},
            {"all": []},
            [
                (name, "verify.nunit.box", "inventory group 'testbox' is unknown or empty")
                for name in ("tradeapi", "pricefeed")
            ],
        ),
        (
            {"sites": [_site(), _site(name="west", nodes="one")]},
            {},
            {"one": ["n1", "x1", "x2"]},
            [("tradeapi", "sites.1.nodes", "n1 is in site lab already")],
        ),
        (
            {"moves_with": []},
            {},
            {},
            [("tradeapi", "moves_with", "n6 also hosts pricefeed, which a Puppet run there would touch")],
        ),
        (
            {},
            {"moves_with": []},
            {},
            [("pricefeed", "moves_with", "n6 also hosts tradeapi, which a Puppet run there would touch")],
        ),
        (
            {"moves_with": ["pricefeed", "pricefed"]},
            {},
            {},
            [("tradeapi", "moves_with.1", "there is no service 'pricefed'")],
        ),
        (
            {},
            {"sites": [_site(nodes="pricefeed", load_balancers="west")]},
            {},
            [
                ("tradeapi", "sites.0.load_balancers", "pricefeed shares n6 but not the load balancers"),
                ("pricefeed", "sites.0.load_balancers", "tradeapi shares n6 but not the load balancers"),
            ],
        ),
        (
            {},
            {"pools": TRADEAPI.pools},
            {},
            [
                (name, f"pools.0.{part}", f"tradeapi_{part} is also a backend of {other}")
                for part in ("online", "maintenance")
                for name, other in (("tradeapi", "pricefeed"), ("pricefeed", "tradeapi"))
            ],
        ),
        # The same backends behind other load balancers are others.
        (
            {"moves_with": []},
            {
                "pools": TRADEAPI.pools,
                "moves_with": [],
                "sites": [_site(nodes="pricefeed", load_balancers="west")],
            },
            {"pricefeed": ["p1", "p2"]},
            [],
        ),
        (
            {},
            {"deploy": _puppet(digest_key="tradeapi::version")},
            {},
            [
                ("tradeapi", "deploy.puppet.key", "tradeapi::version is also a Hiera key of pricefeed"),
                ("pricefeed", "deploy.puppet.digest_key", "tradeapi::version is also a Hiera key of tradeapi"),
            ],
        ),
        (
            {},
            {},
            {"tradeapi": ["n6"]},
            [("tradeapi", "min_online", "60% of 1 at site lab is 1: no node could ever leave")],
        ),
    ],
)
def test_what_does_not_fit_is_told_at_its_key(
    tradeapi: Changes, pricefeed: Changes, groups: Changes, expected: list[tuple[str, str, str]]
) -> None:
    assert told(tradeapi, pricefeed, groups) == expected


def test_many_shared_nodes_are_one_problem() -> None:
    nodes = [f"n{number}" for number in range(1, 13)]
    found = told({}, {"moves_with": []}, {"tradeapi": nodes, "pricefeed": nodes})
    assert [problem for *_, problem in found] == [
        "n1, n2, n3, n4, n5 and 7 more also hosts tradeapi, which a Puppet run there would touch"
    ]
