from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Locked, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger import lock
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.lock import (
    Claim,
    Held,
    Holder,
    Liveness,
    Process,
    Takeover,
    claim,
    liveness,
    locked,
    lost,
    node_lock,
    service_lock,
    this_process,
    this_user,
)

HERE = Process(host="ctl1", boot_id="boot-a", pid_ns="pid:[1]", pid=100, pid_start="5000")
OTHER = replace(HERE, pid=200)
ALICE = Holder(user="alice", process=HERE, deployment="d1", doing="wave 1")
BOB = Holder(user="bob", process=OTHER, deployment="d2")
HELD = Held(
    name="service:lab/tradeapi",
    holder=ALICE,
    first_fence=5,
    fence=8,
    since_ms=1_769_853_600_000,
    until_ms=1_769_853_660_000,
    doing="puppet on n1",
)
BEFORE, AFTER = HELD.until_ms - 1, HELD.until_ms


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


@pytest.mark.parametrize(
    ("asking", "alive", "now", "verdict"),
    [
        (ALICE, Liveness.ALIVE, BEFORE, Claim.OURS),
        (ALICE, Liveness.ALIVE, AFTER, Claim.OURS),
        (replace(ALICE, doing="wave 2"), Liveness.ALIVE, BEFORE, Claim.OURS),
        # The same deployment, run a second time while the first run lives; the same process with another deployment.
        (replace(ALICE, process=OTHER), Liveness.ALIVE, BEFORE, Claim.REFUSED),
        (replace(ALICE, deployment="d2"), Liveness.ALIVE, BEFORE, Claim.REFUSED),
        (replace(ALICE, process=OTHER), Liveness.GONE, BEFORE, Claim.HOLDER_GONE),
        (replace(ALICE, process=replace(HERE, pid_start="9")), Liveness.GONE, BEFORE, Claim.HOLDER_GONE),
        (BOB, Liveness.ALIVE, BEFORE, Claim.REFUSED),
        (BOB, Liveness.UNKNOWN, BEFORE, Claim.REFUSED),
        (BOB, Liveness.GONE, BEFORE, Claim.HOLDER_GONE),
        (BOB, Liveness.ALIVE, AFTER, Claim.EXPIRED),
        (BOB, Liveness.UNKNOWN, AFTER, Claim.EXPIRED),
    ],
)
def test_who_may_have_a_held_lock(asking: Holder, alive: Liveness, now: int, verdict: Claim) -> None:
    assert claim(HELD, asking, alive, now) is verdict


def test_only_a_lock_taken_from_another_is_a_takeover() -> None:
    assert [verdict for verdict in Claim if verdict.takeover] == [Claim.EXPIRED, Claim.HOLDER_GONE]


@pytest.mark.parametrize(
    ("verdict", "why"), [(Claim.EXPIRED, "its lease ran out"), (Claim.HOLDER_GONE, "its process is gone")]
)
def test_a_takeover_tells_from_whom_and_why(verdict: Claim, why: str) -> None:
    told = f"service:lab/tradeapi taken over from alice on ctl1 (process 100), d1: {why}"
    assert str(Takeover(held=HELD, claim=verdict)) == told


def test_the_refusal_has_holder_since_doing_until_and_what_to_run() -> None:
    refusal = locked(HELD, BOB)
    assert isinstance(refusal, Locked)
    assert refusal.message == (
        "service:lab/tradeapi is locked by alice on ctl1 (process 100) for deployment d1 since 2026-01-31T10:00:00Z, "
        "doing puppet on n1; its lease ends at 2026-01-31T10:01:00Z unless it is renewed"
    )
    assert "See how it stands with ansible-playbook playbooks/status.yml and run again" in refusal.remedy
    assert "end process 100 on ctl1" in refusal.remedy


def test_the_refusal_says_when_it_is_the_same_deployment() -> None:
    assert "d1 (the same deployment, in another run)" in locked(HELD, replace(ALICE, process=OTHER)).message


@pytest.mark.parametrize(
    ("held", "fence", "deployment", "now", "told"),
    [
        (HELD, 5, "d1", BEFORE, ""),
        (HELD, 8, "d1", BEFORE, ""),
        (HELD, 4, "d1", BEFORE, "is now held by alice on ctl1 (process 100) for deployment d1"),
        (HELD, 9, "d1", BEFORE, "is now held by alice"),
        (HELD, 8, "d2", BEFORE, "is now held by alice"),
        (HELD, 8, "d1", AFTER, "ran out at 2026-01-31T10:01:00Z, while puppet on n1 was under way"),
        (None, 8, "d1", BEFORE, "is not held by anyone"),
    ],
)
def test_a_lock_is_ours_under_the_numbers_of_its_tenure_until_its_lease_ends(
    held: Held | None, fence: int, deployment: str, now: int, told: str
) -> None:
    refusal = lost("service:lab/tradeapi", held, fence, deployment, now)
    assert told in str(refusal) if told else refusal is None
    assert refusal is None or "Run the playbook again" in str(refusal)


def test_this_process_is_alive_to_itself() -> None:
    me = this_process()
    assert me.pid == os.getpid()
    assert liveness(me, me) is Liveness.ALIVE


def test_a_running_child_is_alive_and_gone_once_killed(child: subprocess.Popen[bytes]) -> None:
    process = this_process(child.pid)
    assert liveness(process, this_process()) is Liveness.ALIVE
    child.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead and not yet reaped: a zombie
    assert liveness(process, this_process()) is Liveness.GONE
    child.wait()
    assert liveness(process, this_process()) is Liveness.GONE


def test_a_pid_that_was_reused_counts_as_gone(child: subprocess.Popen[bytes]) -> None:
    reused = replace(this_process(child.pid), pid_start="1")
    assert liveness(reused, this_process()) is Liveness.GONE


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({"host": "elsewhere"}, Liveness.UNKNOWN),
        ({"host": "elsewhere", "boot_id": "other"}, Liveness.UNKNOWN),
        ({"boot_id": "other"}, Liveness.GONE),
        ({"pid_ns": "pid:[2]"}, Liveness.UNKNOWN),
        ({"pid": 2**22 + 1}, Liveness.GONE),  # above the kernel's highest pid
    ],
)
def test_what_can_be_told_about_other_places(change: dict[str, object], verdict: Liveness) -> None:
    me = this_process()
    assert liveness(replace(me, **change), me) is verdict  # type: ignore[arg-type]


def test_a_process_hidden_from_this_user_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """With hidepid, proc(5), /proc has no folder for another user's process, and kill(2) answers EPERM."""

    def denied(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(lock, "_start_time", lambda pid: None)
    monkeypatch.setattr(os, "kill", denied)
    assert liveness(OTHER, HERE) is Liveness.UNKNOWN


def test_a_command_with_blanks_and_brackets_does_not_shift_the_fields() -> None:
    script = 'printf ") S 1 (" > /proc/$$/comm; echo renamed; read -r _'
    with subprocess.Popen(["bash", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as odd:
        assert odd.stdout is not None
        assert odd.stdout.readline() == b"renamed\n"
        assert Path(f"/proc/{odd.pid}/comm").read_text() == ") S 1 (\n"
        started = int(this_process(odd.pid).pid_start)
        odd.kill()
    assert (
        int(this_process().pid_start) <= started <= time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK")
    )


def test_no_process_is_refused_with_its_number() -> None:
    with pytest.raises(Refused, match="process 4194305 is not there"):
        this_process(2**22 + 1)


def test_the_user_behind_sudo_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "alice")
    assert this_user() == "alice"


def test_lock_names() -> None:
    assert service_lock("lab", "tradeapi") == "service:lab/tradeapi"
    assert node_lock("lab", "n1") == "node:lab/n1"
