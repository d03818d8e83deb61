from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DeadlineExceeded, DomainError, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.agent import look
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.freeze import (
    Freeze,
    freeze,
    freeze_of,
    reason_text,
    thaw,
    wait_for_run,
)
from tests.unit.plugins.module_utils.puppet_double import PuppetDouble

OURS = reason_text("d1", "tradeapi", "ann")


@pytest.fixture
def puppet(tmp_path: Path) -> PuppetDouble:
    return PuppetDouble(tmp_path / "node")


@pytest.mark.parametrize(
    ("reason", "deployment"),
    [
        (OURS, "d1"),
        ("tidegate: deployment d1", "d1"),
        ("see tidegate: deployment d1", ""),
        ("tidegate: something", ""),
        ("", ""),
    ],
)
def test_whose_a_freeze_is(reason: str, deployment: str) -> None:
    assert Freeze(reason).deployment == deployment
    assert Freeze(reason).ours == bool(deployment)


def test_a_reason_says_who_and_why() -> None:
    assert OURS == "tidegate: deployment d1 of tradeapi, by ann"


def test_freeze_and_thaw(puppet: PuppetDouble) -> None:
    change = freeze(puppet.node, "/etc/p", OURS)
    assert (change.before, change.after, change.changed) == (None, Freeze(OURS), True)
    assert json.loads(puppet.lock.read_text()) == {"disabled_message": OURS}
    assert puppet.calls("--disable") == [f"agent --disable {OURS} --confdir /etc/p"]
    assert thaw(puppet.node, "/etc/p", "d1").after is None
    assert not puppet.lock.exists()
    assert puppet.calls("--enable") == ["agent --enable --confdir /etc/p"]


def test_both_are_idempotent(puppet: PuppetDouble) -> None:
    assert not thaw(puppet.node, "", "d1").changed
    freeze(puppet.node, "", OURS)
    assert not freeze(puppet.node, "", OURS).changed
    assert len(puppet.calls("--disable")) == 1
    assert puppet.calls("--enable") == []


def test_a_strangers_freeze_is_respected(puppet: PuppetDouble) -> None:
    puppet.freeze("disk swap, Ann")
    with pytest.raises(Refused, match=r"disabled by someone else: disk swap, Ann \(n1\)") as error:
        freeze(puppet.node, "", OURS)
    assert "Ask them" in error.value.remedy
    change = thaw(puppet.node, "", "d1")
    assert (change.changed, str(change.after)) == (False, "disk swap, Ann")
    assert puppet.lock.exists()
    assert puppet.calls("agent --") == []


def test_a_stranger_who_was_quicker_is_noticed(puppet: PuppetDouble) -> None:
    (puppet.home / "meanwhile").write_text('{"disabled_message":"Ann was here"}')
    with pytest.raises(Refused, match="Ann was here"):
        freeze(puppet.node, "", OURS)


def test_a_freeze_left_by_an_earlier_deployment_is_taken_over_without_a_gap(puppet: PuppetDouble) -> None:
    puppet.freeze(reason_text("d0", "tradeapi", "bob"))
    change = freeze(puppet.node, "", OURS)
    assert change.changed
    assert json.loads(puppet.lock.read_text()) == {"disabled_message": OURS}
    assert puppet.calls("agent --") == []


def test_another_deployments_freeze_is_not_thawed(puppet: PuppetDouble) -> None:
    """On a node that two services share it may be draining right now."""
    puppet.freeze(reason_text("d2", "pricefeed", "bob"))
    change = thaw(puppet.node, "", "d1")
    assert (change.changed, change.after and change.after.deployment) == (False, "d2")
    assert puppet.calls("agent --") == []


def test_a_freeze_that_did_not_happen_is_an_error(puppet: PuppetDouble) -> None:
    program = puppet.home / "bin" / "puppet"
    program.write_text(program.read_text().replace('[ -e "$home/disabled.lock" ] ||', "true ||"))
    with pytest.raises(DomainError, match="not frozen although Puppet said so"):
        freeze(puppet.node, "", OURS)


def test_puppets_own_words_are_in_the_error(puppet: PuppetDouble) -> None:
    program = puppet.home / "bin" / "puppet"
    program.write_text(program.read_text().replace("*--disable*)", "*--disable*) echo 'Permission denied' >&2; exit 1"))
    with pytest.raises(DomainError, match="--disable ended with 1: Permission denied"):
        freeze(puppet.node, "", OURS)


def test_what_the_plan_asks(puppet: PuppetDouble) -> None:
    def seen() -> tuple[str, bool]:
        found = freeze_of(look(puppet.node, "", keep=False))
        return (str(found), found.ours) if found else ("", False)

    assert seen() == ("", False)
    puppet.freeze(OURS)
    assert seen() == (OURS, True)
    puppet.freeze("Ann")
    assert seen() == ("Ann", False)
    puppet.lock.write_text("")
    assert seen() == ("no reason given", False)


def test_a_reason_is_shown_on_one_line_that_no_terminal_obeys() -> None:
    assert str(Freeze("mainten\x1b[2Jance\r\nn2: fine")) == r"mainten\x1b[2Jance n2: fine"


def test_a_run_in_progress_is_waited_for(puppet: PuppetDouble) -> None:
    told: list[int] = []

    def tell(pid: int) -> None:
        told.append(pid)
        # It ends because it is told: how long a look takes doesn't matter then.
        os.killpg(pid, signal.SIGKILL)

    with puppet.run_in_progress() as process:
        assert wait_for_run(puppet.node, "", 60, tell) > 0
    assert told == [process.pid]


def test_a_run_of_our_own_is_not_waited_for(puppet: PuppetDouble) -> None:
    told: list[int] = []
    with puppet.run_in_progress() as process:
        wait_for_run(puppet.node, "", 30, told.append, own=lambda pid: pid == process.pid)
        assert process.poll() is None
    assert told == []


def test_one_that_does_not_end_is_told_and_the_freeze_stays(puppet: PuppetDouble) -> None:
    freeze(puppet.node, "", OURS)
    with (
        puppet.run_in_progress() as process,
        pytest.raises(DeadlineExceeded, match=rf"Puppet run {process.pid} still goes on.*stays frozen"),
    ):
        wait_for_run(puppet.node, "", 0.5, lambda _pid: None)
    assert puppet.lock.exists()
