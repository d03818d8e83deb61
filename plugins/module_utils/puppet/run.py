# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One Puppet run of a deployment on a node: started once, detached, found again, judged by its report.

On Windows it is not detached: see `puppet_run_attached`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import (
    DeadlineExceeded,
    DomainError,
    NotLetIn,
    Unreachable,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.node import jobs
from ansible_collections.tidegate.delivery.plugins.module_utils.node.jobs import JobState, Limits, Phase
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Node
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.agent import Agent, look_with_runs
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.freeze import freeze_of
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.judge import (
    AGENT_ENV,
    NO_LOCK_FILE,
    NO_LOCK_FILE_ON_WINDOWS,
    Verdict,
    agent_argv,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.no_agent import NoAgent
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.outcome import PuppetOutcome
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.remains import (
    at_end,
    look_for_remains,
    read_remains,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.result import (
    Ended,
    Request,
    Result,
    Started,
    judged,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.run_attached import (
    again_when_back,
    run_attached,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.silence import LOG_IN_AGAIN_S, Silence
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import NEVER, Stopping
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.node import SHELL_IDLE_S, WindowsNode

# How long a node may be out of reach while its run goes on there.
PATIENCE = 60.0
_RETRY = 2.0
# To a question about it: also of a node that is too busy to answer in time. The run itself goes on.
_NO_ANSWER = (Unreachable, DeadlineExceeded)
# The node itself ends a run at its limit; beyond that its watch is gone too, and we end it.
_OVERDUE = 60.0
# A process in the kernel (a dead disk or NFS server) outlives even KILL: so long after that we wait no more.
_STUCK = 60.0
# What an attempt that was killed left on Windows ends with its shell.
_LEFT_RUN = SHELL_IDLE_S + 30.0
_GOES_ON = "Its Puppet run goes on there, unless the node went down"
_PERHAPS = "Whether its Puppet run began is not known; if so, it goes on there"
_AGAIN = "Run the same deployment again: it adopts the run, or begins another"
_BEFORE = "before Puppet ran"
_AS_IT_BEGAN = "as Puppet was started; if it runs, it goes on there, and the next attempt adopts it"
_WHILE = "while Puppet ran; the run goes on there, and the next attempt adopts it"


def run(node: Node, request: Request, tell: Callable[[str], None], stopping: Stopping = NEVER) -> Result:
    """Run Puppet on the node, or adopt the run of this deployment that is there, and judge it.

    A freeze of ours is passed, anyone else's is respected (outcome `disabled`). Raises Unreachable when the node
    can't be reached for a minute: the run goes on there and is adopted by the next call. Raises DeadlineExceeded
    when a run beyond its time can't be ended, Stopped when somebody asked to stop: then, too, the run goes on there.
    Over WinRM a run ends with its shell, and the next call runs again.
    """
    try:
        agent, runs = look_with_runs(
            node,
            request.confdir,
            settings_cache=request.settings_cache,
            folder=request.folder,
            family=request.family,
        )
    except NoAgent as none:
        verdict = Verdict(none.outcome, none.detail)
        return Result(verdict=verdict, job_id=request.run_id, adopted=False, report_path="")
    if isinstance(node, WindowsNode):
        return _run_attached(node, agent, request, tell, stopping)
    there = to_adopt(runs, request)
    freeze = freeze_of(agent)
    if freeze and not freeze.ours and not there:
        return _disabled(agent, request)
    asked = _Job(node, agent, request, there)
    if there:
        tell(f"the Puppet run {there} was started before: it is adopted")
    ended = _await_end(asked, tell, stopping)
    return judged(request, Started(asked.id, asked.adopted), ended, read_remains(node.name, agent, ended.state))


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
    argv = run_argv(agent, request, NO_LOCK_FILE_ON_WINDOWS)
    tell("Puppet runs, and WinRM tells of it when it has ended")
    with again_when_back():
        state = run_attached(node, argv, limit=request.limit, patience=PATIENCE)
        silence = Silence(PATIENCE)
        while True:
            try:
                remains = look_for_remains(node, agent, request.reboot)
                return judged(request, Started(request.run_id, adopted=False), Ended(state), remains, in_shell=True)
            except Unreachable as error:
                # What ended the shell may still be starting anew.
                silence.bear(error)
            except DeadlineExceeded as error:
                silence.bear(_not_read(error))
            except NotLetIn as error:
                silence.bear(_not_read(error), LOG_IN_AGAIN_S)


def _not_read(error: DomainError) -> Unreachable:
    """Of a run that has ended: how it went nobody could be told."""
    return Unreachable(
        f"what the Puppet run came to can't be read ({error.message})", where=error.where, remedy=error.remedy
    )


def live_runs(node: Node, folder: str, family: str) -> list[int]:
    """The pids of this deployment's runs that go on there and can be adopted: on Windows none."""
    if isinstance(node, WindowsNode):
        return []
    found = jobs.find(node, folder, family).values()
    return [state.pid for state in found if state.phase is Phase.RUNNING and state.pid is not None]


def to_adopt(runs: Mapping[str, JobState], request: Request) -> str:
    """The id of a live run of this deployment, else this very one's if it is there; else empty."""
    live = [id for id, state in runs.items() if state.phase is Phase.RUNNING]
    return live[0] if live else (request.run_id if request.run_id in runs else "")


def run_argv(agent: Agent, request: Request, no_lock_file: str = NO_LOCK_FILE) -> list[str]:
    """The command line of the run that is asked for."""
    return agent_argv(
        agent.program,
        request.run_id,
        confdir=request.confdir,
        environment=request.environment,
        wait_for_lock=request.wait_for_lock,
        pass_freeze=freeze_of(agent) is not None,
        no_lock_file=no_lock_file,
    )


class _Job:
    """The run on the node. The first question starts it, unless it is there; so does the next, if that got no answer:
    under one id it is one job."""

    def __init__(self, node: Node, agent: Agent, request: Request, there: str) -> None:
        self.node = node
        self.request = request
        self.id = there or request.run_id
        self.adopted = bool(there)
        self.known = bool(there)
        self._agent = agent
        self._asked = False

    def ask(self) -> JobState:
        """Its state at its end, or when the interval is over. Raises _NO_ANSWER."""
        folder, wait, ending = self.request.folder, self.request.interval, at_end(self._agent)
        if self.known:
            return jobs.poll(self.node, folder, self.id, wait=wait, at_end=ending)
        first, self._asked = not self._asked, True
        argv = run_argv(self._agent, self.request)
        limits = Limits(self.request.limit, keep=self._agent.report)
        started, state = jobs.begin(self.node, folder, self.id, argv, limits, AGENT_ENV, wait=wait, at_end=ending)
        # What is there after a lost answer is ours.
        self.known, self.adopted = True, first and not started
        return state

    @property
    def stopped_where(self) -> str:
        """Where a stop finds it."""
        if self.known:
            return _WHILE
        return _AS_IT_BEGAN if self._asked else _BEFORE


def _await_end(job: _Job, tell: Callable[[str], None], stopping: Stopping) -> Ended:
    began = reached = time.monotonic()
    stopped = 0.0
    reconnected, cut_off = 0, False
    while True:
        try:
            stopping.look(job.stopped_where)
            with stopping.cut_short():
                state = job.ask()
            reached = time.monotonic()
        except _NO_ANSWER as error:
            cut_off = True
            _bear(error, time.monotonic() - reached, job, stopping)
            continue
        reconnected, cut_off = reconnected + cut_off, False
        if state.phase is not Phase.RUNNING:
            return Ended(state, reconnected)
        elapsed = time.monotonic() - began
        tell(f"Puppet runs (process {state.pid}, {elapsed:.0f} s)")
        if elapsed <= job.request.limit + _OVERDUE:
            continue
        stopped = stopped or reached
        if reached - stopped > _STUCK:
            raise _unending(job, state, elapsed)
        _stop(job)


def _stop(job: _Job) -> None:
    try:
        jobs.stop(job.node, job.request.folder, job.id)
    except _NO_ANSWER:
        return  # The next poll tells, and knows since when the node is out of reach.


def _unending(job: _Job, state: JobState, elapsed_s: float) -> DeadlineExceeded:
    return DeadlineExceeded(
        f"the Puppet run {job.id} (process {state.pid}) still runs after {elapsed_s:.0f} s and can't be ended",
        where=job.node.name,
        remedy="Look at what that process waits for (a disk, a network file system). When it is gone, run the same "
        "deployment again",
    )


def _bear(error: DomainError, silent_s: float, job: _Job, stopping: Stopping) -> None:
    stopping.look(job.stopped_where)
    if silent_s >= PATIENCE:
        raise Unreachable(
            f"the node can't be reached since {silent_s:.0f} s ({error.message})",
            where=error.where,
            remedy=f"{_GOES_ON if job.known else _PERHAPS}. {_AGAIN}",
        ) from error
    stopping.pause(_RETRY, job.stopped_where)
