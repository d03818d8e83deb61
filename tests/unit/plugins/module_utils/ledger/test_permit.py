from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Kind, State
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.permit import (
    covers,
    evidence_missing,
    undo_refused,
    waves_missing,
)

DEPLOYMENT = Deployment(
    id="d1", kind=Kind.DEPLOY, service="tradeapi", environment="lab", version="1.1.0", nodes=("n1", "n2")
)


def history(text: str) -> list[Event]:
    """`puppet:ok health:failed@2` → events of n1, in that order; @2 is the attempt; /n2 is another node."""
    made = []
    for word in text.split():
        said, _, node = word.partition("/")
        said, _, attempt = said.partition("@")
        step, _, outcome = said.partition(":")
        made.append(
            Event(
                service="tradeapi",
                environment="lab",
                deployment="d1",
                attempt=int(attempt or 1),
                step=Step(step),
                outcome=Outcome(outcome),
                nodes=(node or "n1",),
                at="2026-01-31T10:00:00.000Z",
            )
        )
    return made


@pytest.mark.parametrize(
    ("changes", "node", "permitted"),
    [
        ({}, "n1", True),
        ({}, "n3", False),
        ({"state": State.HELD}, "n1", False),
        ({"state": State.DONE}, "n1", False),
        ({"state": State.SUPERSEDED}, "n1", False),
        ({"nodes": ()}, "n1", False),
    ],
)
def test_a_deployment_covers_its_own_nodes_while_it_is_open(
    changes: dict[str, object], node: str, permitted: bool
) -> None:
    assert covers(replace(DEPLOYMENT, **changes), node) is permitted  # type: ignore[arg-type]


def test_no_deployment_covers_nothing() -> None:
    assert not covers(None, "n1")


VERIFIED = "release:ok health:ok nunit:ok warmup:ok"
DEPLOYED = "leave:changed pin:changed puppet:changed"


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        (f"{DEPLOYED} {VERIFIED}", ""),
        ("", "puppet release health nunit warmup"),
        (f"leave:changed {VERIFIED}", "puppet release health nunit warmup"),
        (DEPLOYED, "release health nunit warmup"),
        (f"{DEPLOYED} release:ok health:ok nunit:failed warmup:ok", "nunit"),
        (f"{DEPLOYED} release:ok health:ok nunit:skipped warmup:ok", "nunit"),
        (f"{DEPLOYED} release:ok health:inconclusive nunit:ok", "health warmup"),
        # Proof from before the Puppet run says nothing about what runs after it.
        (f"{VERIFIED} {DEPLOYED}", "release health nunit warmup"),
        (f"{DEPLOYED} {VERIFIED} puppet:unchanged", "release health nunit warmup"),
        # A Puppet run that failed, or that nobody knows the end of, voids an earlier good one.
        (f"{DEPLOYED} puppet:failed {VERIFIED}", "puppet release health nunit warmup"),
        (f"{DEPLOYED} puppet:started {VERIFIED}", "puppet release health nunit warmup"),
        (f"{DEPLOYED} puppet:unreachable {VERIFIED}", "puppet release health nunit warmup"),
        # A pin that moved after the run was not applied.
        (f"{DEPLOYED} pin:changed {VERIFIED}", "puppet release health nunit warmup"),
        (f"{DEPLOYED} pin:unchanged {VERIFIED}", ""),
        # The newest answer counts.
        (f"{DEPLOYED} {VERIFIED} health:failed", "health"),
        (f"{DEPLOYED} health:failed {VERIFIED}", ""),
        # Each attempt proves anew; the deployed release may be older.
        (f"{DEPLOYED} {VERIFIED} health:ok@2 release:ok@2", "nunit warmup"),
        (f"{DEPLOYED} nunit:failed pin:unchanged@2 puppet:skipped@2 " + VERIFIED.replace(":ok", ":ok@2"), ""),
        # It was online in between.
        (f"{DEPLOYED} {VERIFIED} join:changed leave:changed", "release health nunit warmup"),
        (f"{DEPLOYED} {VERIFIED} join:changed leave:changed {VERIFIED}", ""),
        # Start and end of each step, as actions write them, and an attempt that skipped what was done.
        (f"leave:started leave:changed pin:started pin:changed puppet:started puppet:changed {VERIFIED}", ""),
        (f"{DEPLOYED} pin:started pin:unchanged {VERIFIED}", ""),
        (f"{DEPLOYED} puppet:started puppet:skipped {VERIFIED}", ""),
        # A killed attempt's start is not ended by another attempt's word, nor by a refusal.
        (f"{DEPLOYED} pin:started {VERIFIED} pin:unchanged@2", "puppet release health nunit warmup"),
        (f"{DEPLOYED} puppet:started puppet:refused {VERIFIED}", "puppet release health nunit warmup"),
        # Another node's proof.
        (f"{DEPLOYED} release:ok/n2 health:ok nunit:ok warmup:ok", "release"),
        (f"{DEPLOYED} {VERIFIED} puppet:failed/n2", ""),
    ],
)
def test_a_node_joins_only_with_proof_of_what_it_runs_now(text: str, missing: str) -> None:
    events = history(text)
    attempt = max((event.attempt for event in events), default=1)
    assert " ".join(evidence_missing(events, "n1", attempt, (Step.NUNIT, Step.WARMUP))) == missing


def test_release_and_health_are_required_of_every_service() -> None:
    assert evidence_missing(history("puppet:ok"), "n1", 1) == [Step.RELEASE, Step.HEALTH]
    assert evidence_missing(history("puppet:ok health:ok release:ok"), "n1", 1, [Step.HEALTH]) == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("leave:changed", ""),
        ("leave:started", ""),
        ("leave:started leave:failed", ""),
        ("leave:changed leave:unchanged@2", ""),
        ("leave:changed pin:unchanged puppet:skipped", ""),
        ("leave:changed pin:refused puppet:refused", ""),
        ("leave:changed puppet:changed/n2", ""),
        ("leave:changed pin:started pin:unchanged", ""),
        ("", "n1 was not taken out by this deployment"),
        ("leave:unchanged", "n1 was not taken out by this deployment"),
        ("leave:refused", "n1 was not taken out by this deployment"),
        ("leave:changed/n2", "n1 was not taken out by this deployment"),
        ("leave:changed join:changed", "n1 was not taken out by this deployment"),
        ("leave:changed pin:changed", "pin (changed) touched n1"),
        ("leave:changed pin:started", "pin (started) touched n1"),
        ("leave:changed puppet:started", "puppet (started) touched n1"),
        ("leave:changed puppet:failed leave:changed@2", "puppet (failed) touched n1"),
        ("leave:changed pin:changed puppet:changed join:failed", "pin (changed) touched n1"),
        ("leave:changed pin:changed puppet:changed join:changed leave:changed", ""),
    ],
)
def test_a_leave_is_undone_only_while_nothing_was_deployed_since(text: str, why: str) -> None:
    refused = undo_refused(history(text), "n1")
    assert refused.startswith(why) if why else refused == ""


def test_a_wave_counts_once_it_was_confirmed_in_this_attempt() -> None:
    def wave(number: int, outcome: str, attempt: int = 2) -> Event:
        return replace(history(f"wave:ok@{attempt}")[0], wave=number, details={"outcome": outcome})

    events = [wave(1, "joined"), wave(2, "begun"), wave(3, "joined", attempt=1)]
    assert waves_missing(events, 2, [1, 2, 3]) == [2, 3]
    assert waves_missing(events, 2, [1]) == []
    assert waves_missing(events, 2, []) == []
