from __future__ import annotations

from typing import Any

from ansible_collections.tidegate.delivery.plugins.plugin_utils.plan_facts import for_plays

PLAN: dict[str, Any] = {
    "deployment": "d1",
    "order": ["n1"],
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


def test_plays_get_which_checks_there_are_and_not_what_is_asked() -> None:
    assert for_plays(PLAN) == {
        "deployment": "d1",
        "order": ["n1"],
        "puppet": {"pin": {"s::version": "1.1.0"}},
        "nodes": {
            "n1": {"checks": {"s": {"nunit": True, "warmup": False}, "beside": {"nunit": False, "warmup": True}}}
        },
    }


def test_the_plan_that_is_recorded_stays_whole() -> None:
    for_plays(PLAN)
    assert PLAN["nodes"]["n1"]["checks"]["s"]["nunit"] == {"box": "b"}
    assert "releases" in PLAN
