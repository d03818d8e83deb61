"""Permit and evidence, on a real ledger: what an effect must be able to show before it may happen."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.history import read_history
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Kind, State
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.lock import (
    Holder,
    node_lock,
    service_lock,
    this_process,
)
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.record import REMEMBERED, Record, plan_digest
from tidegate.store import Store

CHECKS = {"s": {"nunit": {"box": "testbox"}, "warmup": None}}
PLAN = {
    "waves": [{"number": 1, "site": "main", "nodes": ["n1"]}, {"number": 2, "site": "main", "nodes": ["n2"]}],
    "nodes": {"n1": {"checks": CHECKS}, "n2": {"checks": CHECKS}},
}


def opened(folder: Path, kind: Kind = Kind.DEPLOY, revision: str = "") -> Record:
    record = Record(f"sqlite:///{folder}/ledger.sqlite", "lab", "d1")
    plan = json.dumps(PLAN)
    deployment = Deployment(
        id="d1",
        kind=kind,
        service="s",
        environment="lab",
        nodes=("n1", "n2"),
        services=("s",),
        plan=plan,
        revision=revision,
    )
    record.ledger.open(deployment, event(Step.PLAN, plan_sha256=plan_digest(plan)))
    return record


def event(step: Step, outcome: Outcome = Outcome.OK, node: str = "", wave: int | None = None, **details: Any) -> Event:
    return Event(
        service="s",
        environment="lab",
        deployment="d1",
        attempt=1,
        step=step,
        outcome=outcome,
        nodes=(node,) if node else (),
        wave=wave,
        details=details,
    )


@pytest.fixture
def record(tmp_path: Path) -> Record:
    """A deployment of n1 and n2 that is open, with all its locks ours."""
    found = opened(tmp_path)
    names = [service_lock("lab", "s"), node_lock("lab", "n1"), node_lock("lab", "n2")]
    found.acquire(names, "d1", "test", 60)
    return found


def tell(record: Record, *events: Event) -> None:
    for each in events:
        record.ledger.append(each)


def proofs(node: str) -> list[Event]:
    return [event(step, node=node) for step in (Step.RELEASE, Step.HEALTH, Step.NUNIT)]


def test_all_that_is_asked_for_is_permitted(record: Record) -> None:
    record.require_permit(["n1", "n2"], 10, Step.LEAVE, in_wave=True)


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda r: r.require_permit(["n3"], 10, Step.LEAVE), "doesn't cover n3"),
        (lambda r: r.require_permit(["n1"], 10, Step.PUPPET), "n1 has not left the online pool"),
        (lambda r: r.require_permit([], 10, Step.RAISE), "wave 1 has not joined in this attempt"),
        (lambda r: r.require_permit(["n1"], 10, Step.SETTLE), "wave 1 has not joined in this attempt"),
        (lambda r: r.require_joined([2]), "wave 2 has not joined in this attempt"),
    ],
)
def test_what_is_not_permitted_is_refused_with_its_reason(
    record: Record, act: Callable[[Record], object], said: str
) -> None:
    with pytest.raises(Refused, match=said):
        act(record)


def test_nodes_are_told_by_the_configuration_of_their_last_good_run(tmp_path: Path) -> None:
    record = opened(tmp_path, revision="3f1c2ab")
    tell(
        record,
        event(Step.PUPPET, Outcome.CHANGED, "n1", configuration_version="ps1-production-1111111", revision="1111111"),
        event(Step.PUPPET, Outcome.FAILED, "n1", revision="2222222"),
        event(Step.PUPPET, Outcome.UNCHANGED, "n2", revision="3f1c2ab"),
        replace(event(Step.PUPPET, Outcome.CHANGED, "n2", revision="4444444"), attempt=9),
    )
    assert record.configured(["n1", "n2"]) == {"1111111": ["n1"], "3f1c2ab": ["n2"]}
    # Where the deployment has none, Puppet tells when the code was read.
    assert opened(tmp_path / "other").configured(["n1", "n2"]) == {"": ["n1", "n2"]}


def test_all_waves_have_joined_or_not(record: Record) -> None:
    tell(record, event(Step.WAVE, node="n1", wave=1, outcome=Outcome.OK))
    assert not record.all_joined()
    for number, node in ((1, "n1"), (2, "n2")):
        joined = event(Step.WAVE, node=node, wave=number)
        tell(record, replace(joined, details={"outcome": "joined"}))
    assert record.all_joined()


def test_an_unknown_deployment_permits_nothing(tmp_path: Path) -> None:
    stranger = Record(f"sqlite:///{tmp_path}/ledger.sqlite", "lab", "nobody")
    with pytest.raises(Refused, match="there is no deployment 'nobody' in environment lab"):
        stranger.require_permit(["n1"], 10, Step.LEAVE)


def test_another_environment_permits_nothing(record: Record, tmp_path: Path) -> None:
    other = Record(f"sqlite:///{tmp_path}/ledger.sqlite", "prod", "d1")
    with pytest.raises(Refused, match="in environment prod"):
        other.require_permit(["n1"], 10, Step.LEAVE)


@pytest.mark.parametrize("state", [State.HELD, State.DONE, State.SUPERSEDED])
def test_only_an_open_deployment_permits(record: Record, state: State) -> None:
    record.ledger.update_state("d1", state, event(Step.CLOSE))
    with pytest.raises(Refused, match=f"deployment d1 is {state}"):
        record.require_permit(["n1"], 10, Step.LEAVE)


def test_without_a_lock_of_our_own_nothing_is_permitted(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="holds no lock of deployment d1"):
        opened(tmp_path).require_permit(["n1"], 10, Step.LEAVE)


def test_a_step_of_a_wave_needs_the_nodes_own_locks(tmp_path: Path) -> None:
    record = opened(tmp_path)
    record.acquire([service_lock("lab", "s"), node_lock("lab", "n1")], "d1", "test", 60)
    record.require_permit(["n1"], 10, Step.LEAVE, in_wave=True)
    with pytest.raises(Refused, match="the wave of n2 has not begun"):
        record.require_permit(["n1", "n2"], 10, Step.LEAVE, in_wave=True)


def test_puppet_may_run_where_the_node_has_left(record: Record) -> None:
    tell(record, event(Step.LEAVE, Outcome.STARTED, "n1"), event(Step.LEAVE, Outcome.CHANGED, "n1"))
    record.require_permit(["n1"], 10, Step.PUPPET, in_wave=True)


@pytest.mark.parametrize(
    ("outcomes", "began"),
    [
        ("", False),
        ("started unchanged", False),
        ("started unchanged started unchanged", False),
        ("started changed", True),
        ("started failed started unchanged", True),
        ("started started unchanged", True),
        ("started", True),
    ],
)
def test_when_puppet_began_is_told_unless_every_run_left_the_node_as_it_was(
    record: Record, outcomes: str, began: bool
) -> None:
    tell(record, *(event(Step.PUPPET, Outcome(each), "n1") for each in outcomes.split()))
    assert ("n1" in record.puppet_began) is began


def test_the_release_becomes_common_when_every_wave_has_joined(record: Record) -> None:
    joined = {"outcome": "joined"}
    tell(record, replace(event(Step.WAVE, wave=1), details=joined))
    with pytest.raises(Refused, match="wave 2 has not joined"):
        record.require_permit([], 10, Step.RAISE)
    tell(record, replace(event(Step.WAVE, wave=2), details=joined))
    record.require_permit([], 10, Step.RAISE)


def test_a_node_joins_with_all_of_its_proof(record: Record) -> None:
    tell(record, event(Step.LEAVE, Outcome.CHANGED, "n1"), event(Step.PUPPET, Outcome.CHANGED, "n1"))
    with pytest.raises(Refused, match="n1 may not join: the ledger has no good release, health, nunit of s"):
        record.require_evidence(["n1"])
    tell(record, *proofs("n1"))
    record.require_evidence(["n1"])


def test_a_leave_before_anything_was_deployed_is_undone_without_proof_but_confirms_nothing(record: Record) -> None:
    tell(record, event(Step.LEAVE, Outcome.STARTED, "n1"), event(Step.LEAVE, Outcome.CHANGED, "n1"))
    record.require_evidence(["n1"])
    with pytest.raises(Refused, match="may not join"):
        record.require_evidence(["n1"], undo=False)


def test_a_move_by_hand_is_proved_without_a_puppet_run_of_ours(tmp_path: Path) -> None:
    record = opened(tmp_path, Kind.HAND)
    tell(record, event(Step.LEAVE, Outcome.CHANGED, "n1"))
    with pytest.raises(Refused, match="no good release, health, nunit of s"):
        record.require_evidence(["n1"])
    tell(record, *proofs("n1"))
    record.require_evidence(["n1"])


def test_a_plan_that_was_changed_beside_the_chain_is_refused(record: Record, tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/ledger.sqlite")
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE deployments SET plan = '{\"nodes\": {}}'")
    changed = Record(f"sqlite:///{tmp_path}/ledger.sqlite", "lab", "d1")
    with pytest.raises(Refused, match="is not the one that was recorded"):
        _ = changed.plan


def test_a_run_whose_locks_were_taken_over_sets_no_state(record: Record) -> None:
    record.require_not_taken_over()
    record.release_ours()
    record.require_not_taken_over()
    other = subprocess.Popen(["sleep", "60"])
    try:
        theirs = Holder(user="alice", process=this_process(other.pid), deployment="d1", doing="wave 1")
        record.locks.acquire([service_lock("lab", "s")], theirs, 60)
        with pytest.raises(Refused, match="is now held by alice"):
            record.require_not_taken_over()
    finally:
        other.kill()
        other.wait()
    record.require_not_taken_over()


def test_a_takeover_is_in_the_ledger(record: Record) -> None:
    record.release_ours()
    gone = subprocess.Popen(["sleep", "60"])
    theirs = Holder(user="alice", process=this_process(gone.pid), deployment="d0", doing="wave 1")
    record.locks.acquire([service_lock("lab", "s")], theirs, 60)
    gone.kill()
    gone.wait()
    record.acquire([service_lock("lab", "s")], "d1", "test", 60)
    last = list(record.ledger.entries("lab"))[-1].event
    assert last.step is Step.LOCK
    assert "taken over from alice" in str(last.details["msg"])


def test_events_say_wave_and_site_of_their_nodes(record: Record) -> None:
    made = record.event(Step.LEAVE, Outcome.STARTED, ["n2"])
    assert (made.wave, made.site, made.service, made.attempt) == (2, "main", "s", 1)
    assert record.event(Step.PLAN, Outcome.OK, ["n1", "n2"]).wave is None


def test_who_took_a_node_out_stays_known_however_many_deployments_pass_it_by(tmp_path: Path) -> None:
    record = opened(tmp_path, Kind.HAND)
    record.ledger.append(event(Step.LEAVE, Outcome.CHANGED, "n1"))
    for number in range(REMEMBERED + 5):
        name = f"later{number}"
        deployment = Deployment(id=name, kind=Kind.HAND, service="s", environment="lab", nodes=("n2",))
        record.ledger.open(deployment, replace(event(Step.PLAN), deployment=name))
        moved = replace(event(Step.LEAVE, Outcome.CHANGED, "n2"), deployment=name)
        record.ledger.append_all([moved, replace(moved, id=f"{name}j", step=Step.JOIN)])
    known, events = record.moves_of(["s"], ["n1", "n2", "n3"])
    history = read_history("s", known, events)
    assert history.absent.keys() == {"n1"}
    assert (history.absent["n1"].deployment, history.absent["n1"].kind) == ("d1", Kind.HAND)
    assert history.named == {"n1", "n2"}
    assert [each.deployment for each in events if "n1" in each.nodes] == ["d1"]


def test_a_lock_of_a_process_that_is_gone_is_not_live(record: Record) -> None:
    names = {service_lock("lab", "s"), node_lock("lab", "n1"), node_lock("lab", "n2")}
    assert record.live_locks() == names
    child = subprocess.Popen(["sleep", "60"])
    gone = Holder(user="bob", process=this_process(child.pid), deployment="d9")
    record.locks.acquire([node_lock("lab", "n9")], gone, 300)
    assert node_lock("lab", "n9") in record.live_locks()
    child.kill()
    child.wait()
    assert record.live_locks() == names


def adoption(record: Record, name: str, *nodes: str) -> None:
    """An adoption that is open, of nodes that were in somebody else's hands."""
    plan = json.dumps({"intent": "adopt", "adopted": True})
    deployment = Deployment(id=name, kind=Kind.HAND, service="s", environment="lab", nodes=nodes, plan=plan)
    record.ledger.open(deployment, replace(event(Step.PLAN), deployment=name))


def test_what_was_adopted_and_joined_with_a_deployment_needs_nobody_to_bring_it_back(record: Record) -> None:
    adoption(record, "a1", "n1")
    adoption(record, "a2", "n2")
    left = Deployment(
        id="h1", kind=Kind.HAND, service="s", environment="lab", nodes=("n1",), plan='{"intent": "leave"}'
    )
    record.ledger.open(left, replace(event(Step.PLAN), deployment="h1"))
    record.ledger.append(replace(event(Step.WAVE, Outcome.OK, "n1", wave=1), details={"outcome": "joined"}))
    record.close_adoptions()
    states = {name: found.state for name in ("a1", "a2", "h1") if (found := record.ledger.deployment(name))}
    assert states == {"a1": State.DONE, "a2": State.OPEN, "h1": State.OPEN}
    closing = [entry.event for entry in record.ledger.entries("lab", deployment="a1")][-1]
    assert (closing.step, closing.details["msg"]) == (Step.CLOSE, "n1 joined with deployment d1")
    record.close_adoptions()
