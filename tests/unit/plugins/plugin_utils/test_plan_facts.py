from __future__ import annotations

from typing import Any

from ansible_collections.tidegate.delivery.plugins.plugin_utils.plan_facts import for_plays, for_wave

PLAN: dict[str, Any] = {
    "deployment": "d1",
    "order": ["n1"],
    "sizes": [1, 1],
    "waves": [{"number": 1, "nodes": ["n1"]}, {"number": 2, "nodes": ["n2"]}],
    "releases": {"n1": "1.0.0"},
    "puppet": {"pin": {"s::version": "1.1.0"}},
    "nodes": {
        "n1": {
            "checks": {
                "s": {"release": {"url": "u"}, "health": {"url": "u"}, "nunit": {"box": "b"}, "warmup": None},
                "beside": {"release": {"url": "u"}, "health": {"url": "u"}, "nunit": None, "warmup": {"urls": ["/"]}},
            }
        }
    },
}


def test_plays_get_nothing_about_single_nodes() -> None:
    assert for_plays(PLAN) == {
        "deployment": "d1",
        "order": ["n1"],
        "sizes": [1, 1],
        "puppet": {"pin": {"s::version": "1.1.0"}},
        "waves": PLAN["waves"],
    }


def test_a_waves_plays_get_their_wave_alone() -> None:
    assert for_wave(PLAN, 2) == {
        "deployment": "d1",
        "puppet": {"pin": {"s::version": "1.1.0"}},
        "waves": [{"number": 2, "nodes": ["n2"]}],
    }


def test_the_plan_that_is_recorded_stays_whole() -> None:
    for_plays(PLAN)
    assert PLAN["nodes"]["n1"]["checks"]["s"]["nunit"] == {"box": "b"}
    assert "releases" in PLAN
