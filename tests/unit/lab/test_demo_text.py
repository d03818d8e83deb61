"""The demo's result in words."""

from __future__ import annotations

import io
from typing import Any

import pytest

from lab.demo_text import Paint, sentence, table, verdict

PLAIN = Paint(on=False)


def part(outcome: str = "done", **changed: Any) -> dict[str, Any]:
    afterwards = {
        "maintenance": {"lb1": ["n1"], "lb2": ["n1"]} if outcome == "held" else {"lb1": [], "lb2": []},
        "serving": {"n1": "1.1.0", "n2": "1.1.0"},
        "failures": [("nunit", "n1: of 14 tests 12 passed. Fix it.")] if outcome == "held" else [],
    }
    return {
        "requests_total": 24312,
        "requests_failed": 0,
        "retried": 0,
        "redispatched": 0,
        "p99_ms": 9.5,
        "p99_ms_before": 7.1,
        "seconds": 61.2,
        "versions_served_to_customers": ["1.0.0", "1.1.0"],
        "min_online_seen": 4,
        "min_online_allowed": 4,
        "outcome": outcome,
        "details": {"afterwards": afterwards},
    } | changed


def test_the_table_has_a_line_for_each_part_in_columns() -> None:
    lines = table({"a": part(), "b": part("held")}, {"a": "deploy 1.1.0", "b": "deploy 1.2.0"}, PLAIN).splitlines()
    assert len(lines) == 3
    assert lines[0].split()[:3] == ["requests", "failed", "retried"]
    assert lines[1].startswith("(a) deploy 1.1.0")
    for word in ("24,312", "9.5", "4 (floor 4)", "1.0.0, 1.1.0", "61.2"):
        assert word in lines[1]
    assert lines[0].index("outcome") == lines[1].index("done") == lines[2].index("held")


def test_a_sentence_for_what_is_done() -> None:
    text = sentence("a", part(), "1.1.0", 6)
    assert text == (
        "(a) done after 61 s; the nodes serve 1.1.0. 24,312 requests, none failed. "
        "At least 4 of 6 nodes were online (allowed: 4)."
    )


def test_a_sentence_for_what_is_held() -> None:
    text = sentence("b", part("held"), "1.2.0", 6)
    assert (
        "1.2.0 is held (n1: of 14 tests 12 passed): n1 stays in the maintenance pool, no customer reached it." in text
    )
    reached = part("held", versions_served_to_customers=["1.2.0"])
    assert "customers reached it" in sentence("b", reached, "1.2.0", 6).replace("no customer", "")


def test_the_verdict_names_what_broke() -> None:
    assert verdict({"a": [], "b": []}, PLAIN).startswith("Everything held")
    told = verdict({"a": [], "b": ["3 requests failed"]}, PLAIN)
    assert told == "NOT everything held:\n  (b) 3 requests failed"


def test_colours_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    assert not Paint.for_stream(io.StringIO()).on
    assert Paint.for_stream(Terminal()).on
    monkeypatch.setenv("NO_COLOR", "1")
    assert not Paint.for_stream(Terminal()).on
    assert Paint(on=True).bad("x") == "\033[31mx\033[0m"
