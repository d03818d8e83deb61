# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holding a node's periodic Puppet run off, with our name in the reason, and only ever ending our own freeze."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DeadlineExceeded, DomainError, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import excerpt
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Node
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.agent import Agent, look
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import NEVER, Stopping

_OURS = re.compile(r"tidegate: deployment (\S+)")
_ODD = re.compile(r"[^A-Za-z0-9_./\\:+@~=, -]")
_COMMAND_TIMEOUT = 60
_LOOK_AGAIN = 1.0
_REASON_SHOWN = 300


@dataclass(frozen=True, slots=True)
class Freeze:
    """An agent that is disabled, and what its lock gives as the reason."""

    reason: str

    @property
    def deployment(self) -> str:
        """The deployment of ours that froze it; empty when it was someone else."""
        ours = _OURS.match(self.reason)
        return ours[1] if ours else ""

    @property
    def ours(self) -> bool:
        """Whether Tidegate froze it, for whichever deployment."""
        return bool(self.deployment)

    def __str__(self) -> str:
        return excerpt(" ".join(self.reason.split()), _REASON_SHOWN) or "no reason given"


@dataclass(frozen=True, slots=True)
class Change:
    """What a freeze or a thaw did: the lock before and after."""

    before: Freeze | None
    after: Freeze | None

    @property
    def changed(self) -> bool:
        """Whether the lock is another one now."""
        return self.before != self.after


def reason_text(deployment: str, service: str, user: str) -> str:
    """The reason of a freeze of ours: for whoever finds the agent disabled.

    Of characters that a batch file on Windows takes (`through_cmd`).
    """
    return _ODD.sub("_", f"tidegate: deployment {deployment} of {service}, by {user}")


def freeze_of(agent: Agent) -> Freeze | None:
    """The agent's freeze, if it has one."""
    return None if agent.disabled is None else Freeze(agent.disabled)


def would_freeze(agent: Agent, reason: str, where: str, known: Callable[[str], bool] = lambda _id: True) -> Change:
    """The change that a freeze would be. Refused when someone else froze the node.

    `known`: whether our ledger has a deployment. Another ledger's may be under way there, and is somebody else's too.
    """
    before, wanted = freeze_of(agent), Freeze(reason)
    if before and before.ours and before.deployment != wanted.deployment and not known(before.deployment):
        raise Refused(
            f"Puppet is disabled by a deployment that this ledger doesn't know: {before}",
            where=where,
            remedy="Ask who runs it. When it is over: tidegate frozen SERVICE --thaw --node NODE, then run the same "
            "deployment again",
        )
    if before and not before.ours:
        raise Refused(
            f"Puppet is disabled by someone else: {before}",
            where=where,
            remedy="Ask them. When they agree: puppet agent --enable, then run the same deployment again",
        )
    return Change(before, before if before and before.deployment == wanted.deployment else wanted)


def would_thaw(agent: Agent, deployment: str) -> Change:
    """The change that a thaw would be: only the freeze of that deployment ends.

    Another deployment's may be of a service beside ours, which is draining there right now.
    """
    before = freeze_of(agent)
    return Change(before, None if before and before.deployment == deployment else before)


def freeze(
    node: Node,
    confdir: str,
    reason: str,
    *,
    settings_cache: str = "",
    known: Callable[[str], bool] = lambda _id: True,
) -> Change:
    """Disable the agent with `reason`, and read back that it is ours. One that was ours before is taken over.

    A run that is under way goes on: see `wait_for_run`. Raises Refused when someone else has it (see `would_freeze`).
    """
    agent = look(node, confdir, settings_cache=settings_cache)
    change = would_freeze(agent, reason, node.name, known)
    if not change.changed:
        return change
    if change.before is None:
        _puppet(node, agent, ["--disable", reason])
    else:
        # Replaced in one rename: enable and disable would leave a gap for a periodic run.
        node.write(agent.disabled_lock, json.dumps({"disabled_message": reason}).encode())
    # A second --disable exits 0 and keeps the first reason: only the lock tells whose it is.
    now = look(node, confdir, settings_cache=settings_cache)
    if freeze_of(now) != change.after:
        would_freeze(now, reason, node.name, known)
        raise _not_so(node, agent, "frozen")
    return change


def thaw(node: Node, confdir: str, deployment: str, *, settings_cache: str = "") -> Change:
    """Enable the agent if the freeze is that deployment's, and read back; every other freeze stays."""
    agent = look(node, confdir, settings_cache=settings_cache)
    change = would_thaw(agent, deployment)
    if change.changed:
        _puppet(node, agent, ["--enable"])
        now = freeze_of(look(node, confdir, settings_cache=settings_cache))
        if now is not None and now.deployment == deployment:
            raise _not_so(node, agent, "thawed")
    return change


def wait_for_run(
    node: Node,
    confdir: str,
    deadline_s: float,
    tell: Callable[[int], None],
    *,
    settings_cache: str = "",
    stopping: Stopping = NEVER,
    own: Callable[[int], bool] = lambda _pid: False,
) -> float:
    """Wait until no run holds the agent's lock; the seconds that took. `tell` gets the pid that is waited for.

    An `own` run, left by an attempt that was killed, is not waited for: it is adopted later.
    A run takes the lock and only then looks whether it is disabled: once the agent is frozen and the lock is
    free, no run begins (Puppet::Agent#run, 7.23). Raises DeadlineExceeded or Stopped; the freeze stays.
    """
    began, told = time.monotonic(), 0
    while pid := look(node, confdir, settings_cache=settings_cache).running:
        if pid != told:
            if own(pid):
                break
            tell(pid)
            told = pid
        if time.monotonic() - began >= deadline_s:
            raise DeadlineExceeded(
                f"Puppet run {pid} still goes on after {deadline_s:.0f} s",
                where=node.name,
                remedy="Look why it takes so long; the node stays frozen. Then run the same deployment again",
            )
        stopping.pause(_LOOK_AGAIN, f"while Puppet run {pid} went on there")
    return time.monotonic() - began


def _puppet(node: Node, agent: Agent, action: Sequence[str]) -> None:
    confdir = ["--confdir", agent.confdir] if agent.confdir else []
    done = node.run([agent.program, "agent", *action, *confdir], timeout=_COMMAND_TIMEOUT)
    if done.rc != 0:
        raise DomainError(
            f"puppet agent {action[0]} ended with {done.rc}: {done.said}",
            where=node.name,
            remedy="Check that the connection's user may change Puppet's state (become)",
        )


def _not_so(node: Node, agent: Agent, wanted: str) -> DomainError:
    return DomainError(
        f"the node is not {wanted} although Puppet said so",
        where=f"{node.name}: {agent.disabled_lock}",
        remedy="Look at that file",
    )
