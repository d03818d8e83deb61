from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Locked, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.lock import (
    Claim,
    Holder,
    Locks,
    Process,
    this_process,
)
from tidegate.locks import SqlLocks
from tidegate.store import Store

SERVICE = "service:lab/tradeapi"
N1, N2, N3 = "node:lab/n1", "node:lab/n2", "node:lab/n3"


@pytest.fixture
def locks(tmp_path: Path) -> Locks:
    return SqlLocks(Store(f"sqlite:///{tmp_path / 'ledger.sqlite'}"))


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """Another live process on this machine."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def me(deployment: str = "d1", doing: str = "wave 1") -> Holder:
    return Holder(user="alice", process=this_process(), deployment=deployment, doing=doing)


def them(process: subprocess.Popen[bytes], deployment: str = "d2") -> Holder:
    return Holder(user="bob", process=this_process(process.pid), deployment=deployment, doing="wave 3")


def gone() -> Process:
    return replace(this_process(), pid=2**22 + 1)


def test_what_is_taken_is_held(locks: Locks) -> None:
    lease = locks.acquire([N2, N1, N2], me(), 60)
    assert lease.names == (N1, N2)
    assert lease.taken_over == ()
    held = locks.held()
    assert [lock.name for lock in held] == [N1, N2]
    assert held[0].holder == me()
    assert held[0].until_ms == held[0].since_ms + 60_000 == lease.until_ms
    locks.check(lease.names, lease.fence, "d1")


def test_a_lock_of_a_live_process_is_refused_with_all_that_helps(locks: Locks, other: subprocess.Popen[bytes]) -> None:
    locks.acquire([N1], them(other), 60)
    with pytest.raises(Locked) as refusal:
        locks.acquire([N1], me(), 60)
    told = str(refusal.value)
    assert f"{N1} is locked by bob on " in told
    assert f"(process {other.pid}) for deployment d2 since " in told
    assert "doing wave 3; its lease ends at " in told
    assert f"end process {other.pid} on " in told


def test_all_names_or_none(locks: Locks, other: subprocess.Popen[bytes]) -> None:
    locks.acquire([N2], them(other), 60)
    with pytest.raises(Locked, match=N2):
        locks.acquire([N1, N2, N3], me(), 60)
    assert [lock.name for lock in locks.held()] == [N2]


def test_the_same_deployment_from_another_live_process_is_refused(locks: Locks, other: subprocess.Popen[bytes]) -> None:
    locks.acquire([SERVICE], them(other, "d1"), 60)
    with pytest.raises(Locked, match="the same deployment, in another run"):
        locks.acquire([SERVICE], me(), 60)


def test_another_deployment_from_the_same_process_is_refused(locks: Locks) -> None:
    locks.acquire([SERVICE], me("d1"), 60)
    with pytest.raises(Locked):
        locks.acquire([SERVICE], me("d2"), 60)


def test_the_same_holder_takes_more_and_keeps_what_it_has(locks: Locks) -> None:
    first = locks.acquire([SERVICE], me(), 600)
    second = locks.acquire([SERVICE, N1], me(doing="wave 2"), 60)
    assert second.fence > first.fence
    assert second.taken_over == ()
    held = {lock.name: lock for lock in locks.held()}
    assert held[SERVICE].until_ms >= first.until_ms > held[N1].until_ms
    assert held[SERVICE].doing == "wave 2"
    for lease in (first, second):
        locks.check(lease.names, lease.fence, "d1")
    with pytest.raises(Refused, match="ours 1"):
        locks.check([N1], first.fence, "d1")


def test_one_lease_names_all_that_a_process_holds(locks: Locks, other: subprocess.Popen[bytes]) -> None:
    locks.acquire([SERVICE], me(), 600)
    wave = locks.acquire([N1, N2], me(), 60)
    locks.acquire([N3], them(other), 60)
    lease = locks.lease_of(me())
    assert lease is not None
    assert (lease.names, lease.fence, lease.until_ms) == ((N1, N2, SERVICE), wave.fence, wave.until_ms)
    locks.check(lease.names, lease.fence, "d1")
    assert locks.lease_of(me("d3")) is None
    assert locks.lease_of(replace(me(), process=gone())) is None


@pytest.mark.parametrize("change", [{"pid": 2**22 + 1}, {"pid_start": "1"}, {"boot_id": "before the reboot"}])
def test_a_dead_holders_lock_is_taken_over_at_once(locks: Locks, change: dict[str, object]) -> None:
    dead = Holder(user="bob", process=replace(this_process(), **change), deployment="d2")  # type: ignore[arg-type]
    old = locks.acquire([N1], dead, 3_600)
    lease = locks.acquire([N1, N2], me(), 60)
    assert [(taken.held.name, taken.claim) for taken in lease.taken_over] == [(N1, Claim.HOLDER_GONE)]
    with pytest.raises(Refused, match="is now held by alice"):
        locks.check(old.names, old.fence, "d2")


def test_a_killed_runs_own_deployment_goes_on_in_a_new_process(locks: Locks) -> None:
    locks.acquire([SERVICE], replace(me(), process=gone()), 3_600)
    lease = locks.acquire([SERVICE], me(), 60)
    assert [taken.claim for taken in lease.taken_over] == [Claim.HOLDER_GONE]


@pytest.mark.parametrize("change", [{"host": "elsewhere"}, {"pid_ns": "pid:[1]"}])
def test_a_holder_that_can_not_be_seen_keeps_its_lock_until_its_lease_ends(
    locks: Locks, change: dict[str, str]
) -> None:
    far = Holder(user="bob", process=replace(gone(), **change), deployment="d2")  # type: ignore[arg-type]
    locks.acquire([N1], far, 600)
    locks.acquire([N2], far, 0.05)
    with pytest.raises(Locked):
        locks.acquire([N1], me(), 60)
    time.sleep(0.1)
    assert [taken.claim for taken in locks.acquire([N2], me(), 60).taken_over] == [Claim.EXPIRED]


def test_a_lease_that_ran_out_is_not_ours_to_use_and_may_be_taken(locks: Locks, other: subprocess.Popen[bytes]) -> None:
    lease = locks.acquire([N1], me(), 0.05)
    time.sleep(0.1)
    with pytest.raises(Refused, match=f"the lease of {N1} ran out at .*, while wave 1 was under way"):
        locks.check(lease.names, lease.fence, "d1")
    with pytest.raises(Refused, match="ran out"):
        locks.renew(lease, "wave 2", 60)
    taken = locks.acquire([N1], them(other), 60)
    assert [takeover.claim for takeover in taken.taken_over] == [Claim.EXPIRED]
    assert taken.fence > lease.fence


def test_our_own_lock_that_ran_out_can_be_had_again(locks: Locks) -> None:
    lease = locks.acquire([N1], me(), 0.05)
    time.sleep(0.1)
    again = locks.acquire([N1], me(), 60)
    assert again.taken_over == ()
    locks.check(again.names, again.fence, "d1")
    locks.check(lease.names, lease.fence, "d1")


def test_renewing_extends_and_says_what_is_done(locks: Locks) -> None:
    lease = locks.acquire([N1, N2], me(), 10)
    renewed = locks.renew(lease, "puppet on n1", 600)
    assert renewed.until_ms >= lease.until_ms + 580_000
    assert renewed.fence == lease.fence
    assert {(lock.doing, lock.until_ms) for lock in locks.held()} == {("puppet on n1", renewed.until_ms)}


def test_a_short_step_does_not_shorten_the_lease_of_a_long_one_beside_it(locks: Locks) -> None:
    """Steps on several nodes renew side by side, each with its own deadline and an older lease in hand."""
    lease = locks.acquire([N1], me(), 10)
    long = locks.renew(lease, "puppet", 900)
    locks.renew(lease, "health", 20)
    assert locks.held()[0].until_ms == long.until_ms


def test_a_lock_taken_away_can_not_be_renewed(locks: Locks) -> None:
    lease = locks.acquire([N1, N2], replace(me("d2"), process=gone()), 60)
    locks.acquire([N2], me(), 60)
    before = locks.held()
    with pytest.raises(Refused, match="is now held by alice"):
        locks.renew(lease, "puppet", 900)
    assert locks.held() == before


def test_releasing_gives_back_only_what_is_ours(locks: Locks) -> None:
    lease = locks.acquire([N1, N2], replace(me("d2"), process=gone()), 60)
    locks.acquire([N2], me(), 60)
    assert locks.release(lease) == (N1,)
    assert [lock.name for lock in locks.held()] == [N2]
    assert locks.release(lease) == ()
    with pytest.raises(Refused, match=f"the lock {N1} is not held by anyone"):
        locks.check([N1], lease.fence, "d2")


def test_all_of_a_deployments_locks_are_released_by_its_name(locks: Locks, other: subprocess.Popen[bytes]) -> None:
    locks.acquire([SERVICE], me(), 60)
    locks.acquire([N2, N1], me(), 60)
    locks.acquire([N3], them(other), 60)
    assert locks.release_all("d1", process=gone()) == ()
    assert locks.release_all("d1", process=this_process()) == (N1, N2, SERVICE)
    assert locks.release_all("d2") == (N3,)
    assert locks.held() == []


def test_fences_grow_whatever_happens_in_between(locks: Locks) -> None:
    fences = []
    for _ in range(3):
        lease = locks.acquire([N1], me(), 60)
        fences.append(lease.fence)
        locks.release(lease)
        fences.append(locks.acquire([N1], replace(me("d2"), process=gone()), 60).fence)
    assert fences == sorted(set(fences))


@pytest.mark.parametrize("names", [[], [""], "node:lab/n1"])
def test_names_must_be_a_list_of_names(locks: Locks, names: list[str]) -> None:
    with pytest.raises(BadInput, match="is not a list of lock names"):
        locks.acquire(names, me(), 60)


@pytest.mark.parametrize("lease_s", [0, -1, 8 * 86_400, float("nan"), float("inf")])
def test_a_lease_has_bounds(locks: Locks, lease_s: float) -> None:
    with pytest.raises(BadInput, match="is not between 0 s and seven days"):
        locks.acquire([N1], me(), lease_s)
    assert locks.held() == []


def test_what_is_kept_is_all_that_the_process_holds_under_one_lease(
    locks: Locks, other: subprocess.Popen[bytes]
) -> None:
    locks.acquire([N1], me(), 60)
    last = locks.acquire([N2], me(), 60)
    locks.acquire([N3], them(other), 60)
    kept = locks.keep(me(), "puppet", 600)
    assert kept is not None
    assert (kept.names, kept.fence, kept.deployment) == ((N1, N2), last.fence, "d1")
    assert kept.until_ms >= last.until_ms + 500_000
    assert {lock.doing for lock in locks.held() if lock.holder == replace(me(), doing="puppet")} == {"puppet"}
    assert locks.keep(me("d3"), "puppet", 600) is None


def test_a_lease_that_lasts_long_enough_for_the_same_step_is_left_as_it_is(locks: Locks) -> None:
    locks.acquire([N1, N2], me(doing="puppet"), 600)
    before = locks.held()
    assert locks.keep(me(), "puppet", 620, slack_s=60) == locks.lease_of(me())
    assert locks.held() == before


@pytest.mark.parametrize(
    ("doing", "lease_s", "slack_s"), [("puppet", 700, 60), ("health", 500, 60), ("puppet", 601, 0)]
)
def test_a_shorter_lease_or_another_step_is_written(locks: Locks, doing: str, lease_s: float, slack_s: float) -> None:
    locks.acquire([N1, N2], me(doing="puppet"), 600)
    before = locks.held()
    kept = locks.keep(me(), doing, lease_s, slack_s=slack_s)
    assert kept is not None
    assert {lock.doing for lock in locks.held()} == {doing}
    assert all(now.until_ms >= then.until_ms for now, then in zip(locks.held(), before, strict=True))


def test_a_lease_that_ran_out_is_not_kept_however_great_the_slack(locks: Locks) -> None:
    locks.acquire([N1], me(doing="puppet"), 0.05)
    time.sleep(0.1)
    with pytest.raises(Refused, match=f"the lease of {N1} ran out"):
        locks.keep(me(), "puppet", 10, slack_s=60)
