"""Several processes want the same locks; one has them at a time."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tidegate.locks import SqlLocks
from tidegate.store import Store

Start = Callable[..., Any]
SERVICE = "service:lab/tradeapi"


def ready(workers: list[Any]) -> list[Any]:
    for worker in workers:
        assert worker.hear() == {"ready": True}
    for worker in workers:
        worker.tell()
    return workers


@pytest.mark.parametrize("same_deployment", [True, False])
def test_ten_processes_race_for_one_lock_and_one_wins(start: Start, url: str, same_deployment: bool) -> None:
    racers = ready([start("take", url, "d0" if same_deployment else f"d{n}", SERVICE) for n in range(10)])
    results = [racer.hear() for racer in racers]
    winners = [racer for racer, result in zip(racers, results, strict=True) if result["won"]]
    assert len(winners) == 1
    (held,) = SqlLocks(Store(url)).held()
    assert held.holder.process.pid == winners[0].process.pid
    told = [result["told"] for result in results if not result["won"]]
    assert all(f"is locked by worker on {held.holder.process.host}" in text for text in told)
    assert all(f"(process {winners[0].process.pid})" in text for text in told)


def test_overlapping_sets_are_had_whole_and_by_one_at_a_time(start: Start, url: str, tmp_path: Path) -> None:
    """A worker fails when a name that it holds is in use by another: its file is there already."""
    sets = [("n1", "n2", "n3"), ("n2", "n3", "n4"), ("n4", "n1"), ("n3", "n1")]
    workers = ready([start("meet", url, f"d{n}", str(tmp_path), "15", *names) for n, names in enumerate(sets)])
    results = [worker.end()[0] for worker in workers]
    assert [len(result["fences"]) for result in results] == [15] * len(sets)
    fences = [fence for result in results for fence in result["fences"]]
    assert len(set(fences)) == len(fences)
    assert all(result["fences"] == sorted(result["fences"]) for result in results)
    assert SqlLocks(Store(url)).held() == []


def test_a_killed_holder_is_followed_at_once_and_a_live_one_is_not(start: Start, url: str) -> None:
    (holder,) = ready([start("take", url, "d1", SERVICE, "node:lab/n1")])
    first = holder.hear()
    assert first["won"]
    (second,) = ready([start("take", url, "d2", "node:lab/n1")])
    assert not second.hear()["won"]
    holder.kill()
    (third,) = ready([start("take", url, "d3", "node:lab/n1")])
    told = third.hear()
    assert told["won"]
    assert told["fence"] > first["fence"]
    assert len(told["taken_over"]) == 1
    assert f"(process {holder.process.pid}), d1: its process is gone" in told["taken_over"][0]


def test_a_holder_killed_while_it_waits_to_be_reaped_is_gone_too(start: Start, url: str) -> None:
    """A zombie has its place in /proc still, but does nothing any more."""
    (holder,) = ready([start("take", url, "d1", SERVICE)])
    assert holder.hear()["won"]
    holder.process.kill()
    os.waitid(os.P_PID, holder.process.pid, os.WEXITED | os.WNOWAIT)
    assert ") Z " in Path(f"/proc/{holder.process.pid}/stat").read_text()
    (other,) = ready([start("take", url, "d2", SERVICE)])
    assert other.hear()["won"]


def test_a_holder_that_ended_by_itself_without_releasing_is_gone(start: Start, url: str) -> None:
    (holder,) = ready([start("take", url, "d1", SERVICE)])
    assert holder.hear()["won"]
    holder.end()
    (other,) = ready([start("take", url, "d1", SERVICE)])
    assert other.hear()["won"]
