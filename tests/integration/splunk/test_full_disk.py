"""A full disk under the spool while a playbook writes to its ledger: all of the ledger arrives, then and afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from lab.layout import PROJECT
from tests.integration.splunk.collecting import Collecting, collecting
from tests.small_disk import SmallDisk, small_disk
from tests.waiting import DEPLOYMENT_S, PATIENCE_S, until
from tidegate.ledger import SqlLedger
from tidegate.shipping.shipper import taken
from tidegate.store import Store

PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - name: On a full disk
      ansible.builtin.debug: {msg: lost}
    - name: Until there is room
      ansible.builtin.command: sh -c 'until [ -e "{{ room }}" ]; do sleep 0.1; done'
      changed_when: false
    - name: With room
      ansible.builtin.debug: {msg: kept}
"""


@pytest.fixture
def shipped(tmp_path: Path) -> Iterator[Collecting]:
    with collecting(tmp_path) as made:
        made.spool.mkdir()
        yield made


@pytest.fixture
def disk(shipped: Collecting) -> Iterator[SmallDisk]:
    with small_disk(shipped.spool, "512k") as made:
        yield made


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Path]:
    """The file that the play waits for: whatever becomes of the test, the play ends."""
    yield tmp_path / "room"
    (tmp_path / "room").touch()


def start(shipped: Collecting, disk: SmallDisk, program: str, *options: str) -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "TIDEGATE_"))}
    return subprocess.Popen(
        [*disk.inside, str(Path(sys.executable).with_name(program)), *options],
        env={**kept, **shipped.environment},
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def append(ledger: SqlLedger, count: int) -> None:
    ledger.append_all(
        Event(service="tradeapi", environment="lab", deployment="d1", attempt=1, step=Step.HEALTH, outcome=Outcome.OK)
        for _ in range(count)
    )


def of_kind(shipped: Collecting, kind: str) -> Sequence[dict[str, object]]:
    return [one.event for one in shipped.receiver.arrivals.events() if one.sourcetype == f"tidegate:{kind}"]


def test_all_of_the_ledger_arrives_and_what_was_not_kept_is_told(
    shipped: Collecting, disk: SmallDisk, room: Path, tmp_path: Path
) -> None:
    url, text = f"sqlite:///{tmp_path}/ledger.sqlite", tmp_path / "play.yml"
    ledger = SqlLedger(Store(url))

    def ids() -> set[str]:
        return {entry.event.id for entry in ledger.entries("lab")}

    append(ledger, 40)
    text.write_text(PLAY)
    known = {"tidegate_ledger": url, "tidegate_environment": "lab", "room": str(room)}
    disk.fill()
    options = ("-i", "localhost,", "-c", "local", "-e", f"ansible_python_interpreter={sys.executable}")
    play = start(shipped, disk, "ansible-playbook", *options, "-e", json.dumps(known), str(text))
    until(lambda: ids() <= shipped.acknowledged(), "the ledger has arrived without a cursor", of=play)
    append(ledger, 5)
    until(lambda: ids() <= shipped.acknowledged(), "so has what was written since", of=play)
    assert play.poll() is None
    assert not list(disk.seen.glob("cursors/*.json"))

    disk.clear()
    append(ledger, 5)
    room.touch()
    said, told = play.communicate(timeout=DEPLOYMENT_S)
    assert play.returncode == 0, said + told
    assert "1 task results were not kept for Splunk: No space left on device" in " ".join(told.split())
    until(lambda: ids() <= shipped.acknowledged() and len(of_kind(shipped, "task")) == 2, "the rest has arrived")
    assert {each["task"] for each in of_kind(shipped, "task")} == {"Until there is room", "With room"}

    with taken(disk.seen, PATIENCE_S):
        pass  # the playbook's process has ended
    flush = start(shipped, disk, "tidegate", "events", "flush", "--ledger", url, "--environment", "lab", "--json")
    said, told = flush.communicate(timeout=DEPLOYMENT_S)
    assert (flush.returncode, json.loads(said)["sinks"][0]["shipped"]) == (0, 0), said + told
    # Each once: the process itself knew how far it was, and its cursor was written as soon as there was room.
    assert sorted(str(each["id"]) for each in of_kind(shipped, "event")) == sorted(ids())
