# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One Puppet run of a deployment on a node: started once, detached, found again, judged by its report.

On Windows it is not detached: see `puppet_run_attached`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from ansible_collections.tidegate.delivery.plugins.module_utils import jobs
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import (
    DeadlineExceeded,
    Unreachable,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.jobs import JobState, Limits, Phase
from ansible_collections.tidegate.delivery.plugins.module_utils.no_agent import NoAgent
from ansible_collections.tidegate.delivery.plugins.module_utils.node import Node
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet import (
    AGENT_ENV,
    NO_LOCK_FILE,
    NO_LOCK_FILE_ON_WINDOWS,
    Verdict,
    agent_argv,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet_agent import Agent, look
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet_freeze import freeze_of
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet_outcome import PuppetOutcome
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet_result import (
    Ended,
    Request,
    Result,
    Started,
    judged,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet_run_attached import run_attached
from ansible_collections.tidegate.delivery.plugins.module_utils.silence import Silence
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import NEVER, Stopping
from ansible_collections.tidegate.delivery.plugins.module_utils.windows_node import SHELL_IDLE_S, WindowsNode

# How long a node may be out of reach while its run goes on there.
PATIENCE = 60.0
_RETRY = 2.0
# The node itself ends a run at its limit; beyond that its watch is gone too, and we end it.
_OVERDUE = 60.0
# A process in the kernel (a dead disk or NFS server) outlives even KILL: so long after that we wait no more.
_STUCK = 60.0
# What an attempt that was killed left on Windows ends with its shell.
_LEFT_RUN = SHELL_IDLE_S + 30.0
_WHILE = "while Puppet ran; the run goes on there, and the next attempt adopts it"


def run(node: Node, request: Request, tell: Callable[[str], None], stopping: Stopping = NEVER) -> Result:
    """Run Puppet on the node, or adopt the run of this deployment that is there, and judge it.

    A freeze of ours is passed, anyone else's is respected (outcome `disabled`). Raises Unreachable when the node
    can't be reached for a minute: the run goes on there and is adopted by the next call. Raises DeadlineExceeded
    when a run beyond its time can't be ended, Stopped when somebody asked to stop: then, too, the run goes on there.
    Over WinRM a run ends with its shell, and the next call runs again.
    """
    try:
        agent = look(node, request.confdir, settings_cache=request.settings_cache)
    except NoAgent as none:
        verdict = Verdict(none.outcome, none.detail)
        return Result(verdict=verdict, job_id=request.run_id, adopted=False, report_path="")
    if isinstance(node, WindowsNode):
        return _run_attached(node, agent, request, tell, stopping)
    started = start_or_adopt(node, agent, request)
    if not started.id:
        return _disabled(agent, request)
    if started.adopted:
        tell(f"the Puppet run {started.id} was started before: it is adopted")
    ended = _await_end(node, request, started.id, tell, stopping)
    return judged(node, agent, request, started, ended)


def _disabled(agent: Agent, request: Request) -> Result:
    verdict = Verdict(PuppetOutcome.DISABLED, f"reason: {freeze_of(agent)}")
    return Result(verdict=verdict, job_id=request.run_id, adopted=False, report_path=agent.report)


def _run_attached(
    node: WindowsNode, agent: Agent, request: Request, tell: Callable[[str], None], stopping: Stopping
) -> Result:
    """Run Puppet where nothing runs detached: the shell owns the run, and a run of another attempt is waited for."""
    freeze = freeze_of(agent)
    if freeze and not freeze.ours:
        return _disabled(agent, request)
    stopping.look("before Puppet ran")
    request = replace(request, wait_for_lock=max(request.wait_for_lock, _LEFT_RUN))
    argv = _argv(agent, request, NO_LOCK_FILE_ON_WINDOWS)
    tell("Puppet runs, and WinRM tells of it when it has ended")
    state = run_attached(node, argv, limit=request.limit, patience=PATIENCE)
    silence = Silence(PATIENCE)
    while True:
        try:
            return judged(node, agent, request, Started(request.run_id, adopted=False), Ended(state), in_shell=True)
        except Unreachable as error:
            # What ended the shell may still be starting anew.
            silence.bear(error)


def live_runs(node: Node, folder: str, family: str) -> list[int]:
    """The pids of this deployment's runs that go on there and can be adopted: on Windows none."""
    if isinstance(node, WindowsNode):
        return []
    found = jobs.find(node, folder, family).values()
    return [state.pid for state in found if state.phase is Phase.RUNNING and state.pid is not None]


def existing(node: Node, request: Request) -> str:
    """The id of the run that `run` would adopt: a live one of this deployment, else this very one; else empty."""
    found = jobs.find(node, request.folder, request.family)
    live = [id for id, state in found.items() if state.phase is Phase.RUNNING]
    return live[0] if live else (request.run_id if request.run_id in found else "")


def start_or_adopt(node: Node, agent: Agent, request: Request) -> Started:
    """Start the run, unless one of this deployment is there already."""
    there = existing(node, request)
    if there:
        return Started(there, adopted=True)
    freeze = freeze_of(agent)
    if freeze and not freeze.ours:
        return Started("", adopted=False)
    argv = _argv(agent, request, NO_LOCK_FILE)
    limits = Limits(request.limit, keep=agent.report)
    return Started(request.run_id, adopted=not _start(node, request, argv, limits))


def _argv(agent: Agent, request: Request, no_lock_file: str) -> list[str]:
    return agent_argv(
        agent.program,
        request.run_id,
        confdir=request.confdir,
        environment=request.environment,
        wait_for_lock=request.wait_for_lock,
        pass_freeze=freeze_of(agent) is not None,
        no_lock_file=no_lock_file,
    )


def _start(node: Node, request: Request, argv: list[str], limits: Limits) -> bool:
    try:
        return jobs.start(node, request.folder, request.run_id, argv, limits, AGENT_ENV)
    except Unreachable:
        # Lost on the way there or back: the node knows. Starting twice under one id is one job.
        time.sleep(_RETRY)
        return jobs.start(node, request.folder, request.run_id, argv, limits, AGENT_ENV) or True


def _await_end(node: Node, request: Request, id: str, tell: Callable[[str], None], stopping: Stopping) -> Ended:
    began = reached = time.monotonic()
    stopped = 0.0
    reconnected, cut_off = 0, False
    while True:
        try:
            stopping.look(_WHILE)
            with stopping.cut_short():
                state = jobs.poll(node, request.folder, id, wait=request.interval)
            reached = time.monotonic()
        except Unreachable as error:
            cut_off = True
            _bear(error, time.monotonic() - reached, stopping)
            continue
        reconnected, cut_off = reconnected + cut_off, False
        if state.phase is not Phase.RUNNING:
            return Ended(state, reconnected)
        elapsed = time.monotonic() - began
        tell(f"Puppet runs (process {state.pid}, {elapsed:.0f} s)")
        if elapsed <= request.limit + _OVERDUE:
            continue
        stopped = stopped or reached
        if reached - stopped > _STUCK:
            raise _unending(node, id, state, elapsed)
        _stop(node, request, id)


def _stop(node: Node, request: Request, id: str) -> None:
    try:
        jobs.stop(node, request.folder, id)
    except Unreachable:
        return  # The next poll tells, and knows since when the node is out of reach.


def _unending(node: Node, id: str, state: JobState, elapsed_s: float) -> DeadlineExceeded:
    return DeadlineExceeded(
        f"the Puppet run {id} (process {state.pid}) still runs after {elapsed_s:.0f} s and can't be ended",
        where=node.name,
        remedy="Look at what that process waits for (a disk, a network file system). When it is gone, run the same "
        "deployment again",
    )


def _bear(error: Unreachable, silent_s: float, stopping: Stopping) -> None:
    stopping.look(_WHILE)
    if silent_s >= PATIENCE:
        raise Unreachable(
            f"the node can't be reached since {silent_s:.0f} s ({error.message})",
            where=error.where,
            remedy="Its Puppet run goes on there, unless the node went down. Run the same deployment again: it adopts "
            "the run, or begins another",
        ) from error
    stopping.pause(_RETRY, _WHILE)
