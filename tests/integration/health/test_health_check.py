"""The whole check, over sockets."""

from __future__ import annotations

import socket
import time
from dataclasses import replace

from ansible_collections.tidegate.delivery.plugins.module_utils.health.check import (
    HealthOutcome,
    NotRead,
    Pace,
    check,
    explain,
    read_release,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.health.expectation import (
    Expectation,
    Expected,
    Release,
    StartedAfter,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.health.http_answer import target
from ansible_collections.tidegate.delivery.plugins.module_utils.health.probes import http_probe
from ansible_collections.tidegate.delivery.plugins.module_utils.health.warmup import WarmupPlan, warm_up
from tests.integration.health.servers import NEVER_S, always, in_turn, never, respond, serving
from tests.waiting import PATIENCE_S

NEW = {"version": "1.1.0", "digest": "ab" * 32, "pid": 7, "started": "2026-01-31T12:00:00Z", "status": "ok"}
GOOD = respond(NEW)
OLD = respond(NEW | {"version": "1.0.0"})
WARMING = respond(NEW | {"status": "warming"}, "503 Service Unavailable")
EXPECTATION = Expectation(version=Expected("$.version", "1.1.0"), values=(Expected("$.status", "ok"),))
PATIENT = Pace(in_a_row=3, interval=0.02, timeout=PATIENCE_S, request_timeout=PATIENCE_S)
# For what is looked at until the end, and what never comes.
SHORT = replace(PATIENT, timeout=3.0, request_timeout=3.0)
HURRIED = replace(PATIENT, timeout=1.0, request_timeout=0.5)


def test_three_good_answers_need_three_connections() -> None:
    with serving(always(GOOD)) as node:
        result = check(http_probe(target(node.url), EXPECTATION), PATIENT)
    assert result.outcome is HealthOutcome.HEALTHY
    assert node.connections == 3
    assert result.release == Release("1.1.0", None, NEW["started"], "7")  # type: ignore[arg-type]


def test_a_node_that_becomes_healthy_is_waited_for() -> None:
    with serving(in_turn(b"", WARMING, GOOD, WARMING, GOOD)) as node:
        result = check(http_probe(target(node.url), EXPECTATION), PATIENT)
    assert result.outcome is HealthOutcome.HEALTHY
    assert [finding.good for finding in result.findings] == [False, False, True, False, True, True, True]


def test_the_old_release_behind_a_healthy_answer_is_caught() -> None:
    with serving(always(OLD)) as node:
        result = check(http_probe(target(node.url), EXPECTATION), SHORT)
    assert result.outcome is HealthOutcome.WRONG_RELEASE
    assert "serves version 1.0.0, expected 1.1.0" in explain(result, SHORT)


def test_a_process_from_before_is_caught() -> None:
    since = Expectation(started=StartedAfter("$.started", 1769860800.0))
    with serving(always(GOOD)) as node:
        assert check(http_probe(target(node.url), since), SHORT).outcome is HealthOutcome.NOT_STARTED_SINCE


def test_a_hanging_server_ends_the_check_at_its_deadline() -> None:
    began = time.monotonic()
    with serving(never) as node:
        result = check(http_probe(target(node.url), EXPECTATION), HURRIED)
    assert result.outcome is HealthOutcome.DEADLINE
    assert 0.9 < time.monotonic() - began < NEVER_S
    assert "it never answered in time" in explain(result, HURRIED)


def test_a_release_is_read_for_planning_from_an_unwell_node_too() -> None:
    with serving(always(WARMING)) as node:
        assert read_release(node.url, "$.version", "$.digest", PATIENCE_S) == Release(
            "1.1.0", "ab" * 32, "2026-01-31T12:00:00Z", "7"
        )


def test_a_release_that_can_not_be_read_is_a_value_with_its_reason() -> None:
    with serving(always(respond(b"<html>\x1b"))) as node:
        unread = read_release(node.url, "$.version", None, PATIENCE_S)
        assert isinstance(unread, NotRead)
        assert "the body is not JSON (status 200" in unread.why
        assert "\x1b" not in unread.why
    gone = read_release("http://127.0.0.1:1/health", "$.version", None, PATIENCE_S)
    assert isinstance(gone, NotRead)
    assert "refused" in gone.why


def test_a_cold_node_is_asked_until_it_is_warm() -> None:
    def behave(connection: socket.socket, _request: bytes, number: int) -> None:
        # Far more than a busy machine takes.
        time.sleep(2.0 if number <= 12 else 0.0)
        connection.sendall(GOOD)

    with serving(behave) as node:
        plan = WarmupPlan((target(node.url),), {"p95": 1.5}, batch=8, concurrency=4, timeout=PATIENCE_S)
        result = warm_up(plan)
    assert result.warm
    assert len(result.rounds) >= 2
    assert result.rounds[0].worst["p95"] > 1.5 >= result.rounds[-1].worst["p95"]
    assert node.connections == result.requests


def test_a_node_that_hangs_is_cold_at_the_deadline() -> None:
    with serving(never) as node:
        began = time.monotonic()
        result = warm_up(WarmupPlan((target(node.url),), {"p95": 0.1}, batch=4, timeout=0.5))
        assert not result.warm
        assert time.monotonic() - began < NEVER_S
