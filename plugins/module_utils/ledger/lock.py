# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks: who holds one, for how long, and when another may take it over."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Protocol

from ansible_collections.tidegate.delivery.plugins.module_utils import advice
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Locked, Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process that no other can be taken for: a pid is reused, a pid with its start time and boot isn't."""

    host: str
    boot_id: str
    pid_ns: str
    pid: int
    pid_start: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who asks for a lock: a person, the process that lives as long as the deployment runs, and why."""

    user: str
    process: Process
    deployment: str
    doing: str = ""

    @property
    def who(self) -> str:
        """For people: `alice on ctl1 (process 4711)`."""
        return f"{self.user} on {self.process.host} (process {self.process.pid})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One lock as the store has it; times are epoch milliseconds of the database's clock.

    `first_fence` to `fence` are the numbers given out in this uninterrupted tenure.
    """

    name: str
    holder: Holder
    first_fence: int
    fence: int
    since_ms: int
    until_ms: int
    doing: str


class Liveness(Enum):
    """What this machine can tell about a process."""

    ALIVE = "alive"
    GONE = "gone"
    UNKNOWN = "unknown"


class Claim(Enum):
    """What may become of a lock that somebody asks for."""

    OURS = "ours"
    EXPIRED = "expired"
    HOLDER_GONE = "holder gone"
    REFUSED = "refused"

    @property
    def takeover(self) -> bool:
        """Whether it is taken from another holder, which the caller records."""
        return self in (Claim.EXPIRED, Claim.HOLDER_GONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Takeover:
    """A lock that was taken from its holder, and why."""

    held: Held
    claim: Claim

    def __str__(self) -> str:
        why = "its lease ran out" if self.claim is Claim.EXPIRED else "its process is gone"
        return f"{self.held.name} taken over from {self.held.holder.who}, {self.held.holder.deployment}: {why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """What acquire gave: these names under this fence number, for this deployment, until then."""

    names: tuple[str, ...]
    fence: int
    deployment: str
    until_ms: int
    taken_over: tuple[Takeover, ...] = ()


class Locks(Protocol):
    """Locks with leases; each method is one transaction, its clock is the database's."""

    def acquire(self, names: Sequence[str], holder: Holder, lease_s: float) -> Lease:
        """Take all names or none; raises Locked with holder, reason and remedy.

        What this process holds for this deployment already stays held, and its lease never gets shorter.
        """

    def renew(self, lease: Lease, doing: str, lease_s: float) -> Lease:
        """Extend to the database's clock + `lease_s`, never shorter than it was. Raises Refused when it is lost."""

    def keep(self, holder: Holder, doing: str, lease_s: float, slack_s: float = 0.0) -> Lease | None:
        """All that this process holds for its deployment, as one lease; None when it holds nothing.

        Extended as by `renew`, unless all of it lasts for `lease_s` - `slack_s` more and is said to be for `doing`: so
        only the first of many nodes in a step writes. Raises Refused when it is lost.
        """

    def check(self, names: Sequence[str], fence: int, deployment: str) -> None:
        """Raise Refused when one of the names is not held by this deployment under this fence, or its lease ran out."""

    def lease_of(self, holder: Holder) -> Lease | None:
        """All that this process holds for its deployment, as one lease: what a worker process checks and renews."""

    def release(self, lease: Lease) -> tuple[str, ...]:
        """Give back what is still ours and say which that was; a lost or released lock is left alone."""

    def release_all(self, deployment: str, *, process: Process | None = None) -> tuple[str, ...]:
        """Give back all of a deployment's locks; with `process` only those that this process holds."""

    def held(self) -> list[Held]:
        """All locks that are held, expired ones included, by name."""


def service_lock(environment: str, service: str) -> str:
    """The lock that makes deployments of a service exclude each other."""
    return f"service:{environment}/{service}"


def node_lock(environment: str, node: str) -> str:
    """The lock that keeps two services from running Puppet on one node."""
    return f"node:{environment}/{node}"


def this_process(pid: int | None = None) -> Process:
    """The process of that pid (default: this one) on this machine. Raises Refused when there is none."""
    number = os.getpid() if pid is None else pid
    start = _start_time(number)
    if start is None:
        raise Refused(f"process {number} is not there or can't be looked at", where=f"/proc/{number}/stat")
    return Process(host=socket.gethostname(), boot_id=_boot_id(), pid_ns=_pid_ns(), pid=number, pid_start=start)


def this_user() -> str:
    """Who started this, as sudo and the password file know it."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def liveness(process: Process, here: Process) -> Liveness:
    """Whether a lock's holder still runs, as seen from `here`.

    A process of another host or of another container can't be seen: unknown, so only its lease ends it.
    """
    if process.host != here.host:
        return Liveness.UNKNOWN
    if process.boot_id != here.boot_id:
        return Liveness.GONE
    if process.pid_ns != here.pid_ns:
        return Liveness.UNKNOWN
    return _seen(process)


def claim(held: Held, asking: Holder, alive: Liveness, now_ms: int) -> Claim:
    """Decide about a held lock.

    The same deployment from another live process is refused too: two runs of it would move the same nodes.
    """
    if held.holder.deployment == asking.deployment and held.holder.process == asking.process:
        return Claim.OURS
    if alive is Liveness.GONE:
        return Claim.HOLDER_GONE
    return Claim.EXPIRED if now_ms >= held.until_ms else Claim.REFUSED


def locked(held: Held, asking: Holder) -> Locked:
    """The refusal for a lock that somebody else holds: who, since when, doing what, until when, what to run."""
    holder = held.holder
    doing = f", doing {held.doing}" if held.doing else ""
    same = " (the same deployment, in another run)" if holder.deployment == asking.deployment else ""
    return Locked(
        f"{held.name} is locked by {holder.who} for deployment {holder.deployment}{same} since {when(held.since_ms)}"
        f"{doing}; its lease ends at {when(held.until_ms)} unless it is renewed",
        where=held.name,
        remedy=f"See how it stands with {advice.status()} and run again when it has ended. "
        f"If it is stuck, end process {holder.process.pid} on {holder.process.host} and run again: "
        "the lock of a process that is gone is taken over on its own host at once, elsewhere when its lease ends.",
        deployment=holder.deployment,
    )


def lost(name: str, held: Held | None, fence: int, deployment: str, now_ms: int) -> Refused | None:
    """The refusal when a lock isn't ours any more or has run out; None when it is ours."""
    remedy = f"Nothing was touched by this step. Run the playbook again: deployment {deployment} continues."
    if held is None:
        return Refused(f"the lock {name} is not held by anyone", where=name, remedy=remedy)
    if held.holder.deployment != deployment or not held.first_fence <= fence <= held.fence:
        problem = f"the lock {name} is now held by {held.holder.who} for deployment {held.holder.deployment}"
        return Refused(problem, where=f"{name}, fence {held.fence}, ours {fence}", remedy=remedy)
    if now_ms >= held.until_ms:
        problem = f"the lease of {name} ran out at {when(held.until_ms)}, while {held.doing or 'nothing'} was under way"
        return Refused(problem, where=name, remedy=remedy)
    return None


def when(epoch_ms: int) -> str:
    """UTC, ISO 8601, to the second."""
    return f"{datetime.fromtimestamp(epoch_ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _seen(process: Process) -> Liveness:
    start = _start_time(process.pid)
    if start is not None:
        return Liveness.ALIVE if start == process.pid_start else Liveness.GONE
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return Liveness.GONE
    except OSError:
        return Liveness.UNKNOWN  # /proc mounted with hidepid: another user's process is there but not to be seen
    return Liveness.GONE  # a zombie


def _start_time(pid: int) -> str | None:
    """Field 22 of /proc/PID/stat, proc(5); None for no process and for a zombie, which does nothing any more."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZXx" else fields[19]


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _pid_ns() -> str:
    return str(Path("/proc/self/ns/pid").readlink())
