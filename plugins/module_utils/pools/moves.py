# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving a wave between its pools on all load balancers of a site, or on none.

Decisions are pools.py's. Here they are sent, confirmed by reading back, retried, and undone where they took.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import (
    DomainError,
    Refused,
    Stopped,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.refusal_kinds import RefusalKind
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.runtime import Admin, Applied, Batch
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import (
    LoadBalancerState,
    ServerRow,
    carrying,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import (
    TAKES_CUSTOMERS,
    Pool,
    Seen,
    Spot,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.checks import problems
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.floors import Floors
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.lookout import Failed, Lookout, States
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.move_report import (
    MoveReport,
    Trace,
    failed,
    refused,
    stopped,
    waiting,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.move_surroundings import (
    POLL,
    Limits,
    Surroundings,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.saved import marked_up, unsaved
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.state_machine import (
    REENTRIES,
    Action,
    Change,
    Clock,
    Done,
    Intent,
    Phase,
    Refuse,
    Send,
    Wait,
    decide,
    unexplained,
)

_PROGRESS = 2.0
# What a cut leaves behind is gone at once, unless an old worker holds it.
_CUT_GRACE = 5.0


@dataclass(slots=True)
class _Memory:
    """What one run knows beyond what can be read back."""

    proved: set[str] = field(default_factory=set)
    tried: dict[Change, float] = field(default_factory=dict)
    unsaved_since: float | None = None
    reasons: dict[str, str] = field(default_factory=dict)
    cut: set[Spot] = field(default_factory=set)
    actions: dict[Spot, list[Action]] = field(default_factory=dict)


class Move:
    """One wave's move; made for one leave or one join."""

    def __init__(
        self, admins: Mapping[str, Admin], pools: Sequence[Pool], limits: Limits, around: Surroundings
    ) -> None:
        self._admins = admins
        self._pools = pools
        self._limits = limits
        self._around = around
        self._backends = list(dict.fromkeys(name for pool in pools for name in pool.backends))
        self._floors = Floors(pools)
        self._memory = _Memory()
        # A leave can be given up until its last session has ended; what brings a wave back never is.
        self._stoppable = False
        self.report = MoveReport()
        self._lookout = Lookout(admins, pools, limits, around, self.report, lambda: self._look_for_stop(Phase.TAKE))

    def preview(self, intent: Intent, ours: Iterable[str]) -> bool:
        """Whether the move would change anything. Raises Refused for every reason not to begin; touches nothing."""
        states = self._lookout.first_look()
        running = carrying(states)
        found = problems(running, self._pools) if running else [Refuse.of(RefusalKind.NONE_RUNS)]
        found += unsaved(states, self._pools)
        if found:
            raise refused(found)
        seen = self._lookout.see(states)
        foreign = unexplained(seen, set(ours))
        if foreign:
            raise refused([foreign])
        step = decide(seen, intent, Clock())
        if isinstance(step, Refuse):
            raise refused([step])
        if isinstance(step, Done):
            return False
        broken = self._floors.broken(states) if intent is Intent.LEAVE else None
        if broken:
            raise refused([broken])
        return True

    def run(self, intent: Intent, kept_out: Collection[str] = ()) -> None:
        """Make the move, or bring back what it had moved. Call it after `preview` said that there is something to do.

        `kept_out` are nodes that were out before and that nothing proves fit: a leave that is given up brings them back
        only where customers reached them when it began, since more would be a join.
        Raises Refused when nothing was sent, Undone when all was brought back, Stuck with the commands for the rest,
        Stopped for the first two when somebody asked to stop.
        """
        self._stoppable = intent is Intent.LEAVE
        try:
            self._drive(intent, sorted(self._admins))
        except Failed as why:
            raise self._give_up(intent, why, kept_out) from None
        except Stopped as stop:
            raise stopped(self._give_up(intent, Failed(Refuse(stop.message)), kept_out)) from None

    def keep(self) -> None:
        """Save the state of load balancers where nothing is to be done: a run that was killed may not have.

        Call it after `preview` said so. Raises Refused when a state can't be saved.
        """
        try:
            names = sorted(name for name, admin in self._admins.items() if admin.access.state_dir)
            while not self._save(self._lookout.read(names, States())):
                pass
        except Failed as why:
            raise Refused(why.refusal.reason, remedy=why.refusal.remedy) from None

    # Deciding and sending

    def _drive(self, intent: Intent, names: Sequence[str]) -> None:
        began = since = self._around.clock()
        phase, states, told = Phase.TAKE, States(), began
        while True:
            states = self._lookout.read(names, states)
            seen = self._lookout.see(states)
            clock = self._clock_at(began, since, phase)
            step = decide(seen, intent, clock)
            now = self._around.clock()
            if step.phase != phase:
                phase, since = step.phase, now
            self._look_for_stop(phase)
            if intent is Intent.LEAVE:
                self._watch(states, seen, phase, now - began, clock)
            match step:
                case Refuse():
                    raise Failed(step)
                case Send():
                    states = self._send(step, states, seen)
                case Wait():
                    told = self._tell(step, seen, clock, now, told)
                    self._around.sleep(POLL)
                    states = States()
                case Done():
                    if self._save(states):
                        return
                    states = States()

    def _look_for_stop(self, phase: Phase) -> None:
        if self._stoppable and phase <= Phase.EMPTYING:
            self._around.stopping.look("while the wave left the online pool")

    def _send(self, step: Send, states: States, seen: Mapping[Spot, Seen]) -> States:
        self._remember(step, seen)
        by_name: dict[str, list[Change]] = {}
        for change in step.changes:
            by_name.setdefault(change.spot.load_balancer, []).append(change)

        def apply(name: str) -> Applied:
            return self._admins[name].apply(self._batch(by_name[name], states[name]), self._backends)

        answers = self._around.parallel(apply, sorted(by_name))
        fresh = {name: state for name, state in states.items() if name not in by_name}
        fresh.update((name, answer.state) for name, answer in answers.items() if isinstance(answer, Applied))
        rejections = [found for name, answer in answers.items() if (found := self._note(name, by_name[name], answer))]
        if rejections:
            raise Failed(rejections[0])
        return fresh

    def _batch(self, changes: Sequence[Change], state: LoadBalancerState) -> Batch:
        rows: dict[tuple[str, str], ServerRow] = {}
        for online in dict.fromkeys(each.spot.pool.online for each in changes if each.action is Action.DRAIN):
            # The floor was judged by the whole pool: nobody may have taken others out since.
            rows.update((row.key, row) for row in state.rows(online))
        for change in changes:
            pool, node = change.spot.pool, change.spot.node
            rows.update((state.servers[backend, node].key, state.servers[backend, node]) for backend in pool.backends)
        commands = tuple(command for change in changes for command in change.commands)
        touched = dict.fromkeys(name for change in changes for name in change.spot.pool.backends)
        cut = tuple((each.spot.pool.online, each.spot.node) for each in changes if each.action is Action.CUT)
        return Batch(commands, state.pid, tuple(rows.values()), tuple(touched), cut)

    def _note(self, name: str, changes: Sequence[Change], answer: Applied | DomainError) -> Refuse | None:
        reasons = self._memory.reasons
        if isinstance(answer, DomainError):
            # A lost answer is neither failure nor success: the next reading tells.
            reasons[name] = answer.message
        elif answer.changed:
            reasons[name] = f"it changed while we looked: {answer.changed}"
        elif not answer.complete:
            reasons[name] = "HAProxy answered only a part of the batch"
        nothing_sent = isinstance(answer, Refused) or (isinstance(answer, Applied) and bool(answer.changed))
        if nothing_sent:
            return None
        for change in changes:
            self._memory.actions.setdefault(change.spot, []).append(change.action)
        self.report.sent(name, [command for change in changes for command in change.commands])
        if not isinstance(answer, Applied) or not answer.rejected:
            return None
        command, text = answer.rejected[0]
        said = " ".join(text.split())[:200]
        return Refuse.of(RefusalKind.REJECTED, command=command, host=name, said=said)

    def _remember(self, step: Send, seen: Mapping[Spot, Seen]) -> None:
        now, memory, wanted = self._around.clock(), self._memory, set(step.changes)
        memory.tried = {change: first for change, first in memory.tried.items() if change in wanted}
        if memory.tried:
            self._around.sleep(POLL)
        for change in step.changes:
            if now - memory.tried.setdefault(change, now) > self._limits.silent:
                name = change.spot.load_balancer
                why = memory.reasons.get(name, "the state read back stays the same")
                command = change.commands[-1]
                raise Failed(Refuse.of(RefusalKind.NO_EFFECT, command=command, host=name, why=why))
            if change.action in (Action.MAINT, *REENTRIES):
                self._lookout.drained_by_us.discard(change.spot)
            if change.action is Action.CUT and change.spot not in memory.cut:
                memory.cut.add(change.spot)
                self.report.cut(change.spot.node, seen[change.spot].sessions)
            if step.phase is Phase.CLOSE:
                memory.proved.add(change.spot.node)

    def _save(self, states: States) -> bool:
        """Save the settled state; a server that was saved DOWN would come back DOWN after a crash.

        It is settled when the worker that was saved is still the master's only one: see haproxy_script.
        """

        def save(name: str) -> Applied:
            commands = marked_up(states, self._pools) if states[name].down else ()
            batch = Batch(commands, states[name].pid, save=tuple(self._backends))
            return self._admins[name].apply(batch, self._backends)

        answers = self._around.parallel(save, sorted(states))
        trouble = {name: text for name, answer in answers.items() if (text := _unsaved(answer, states[name].pid))}
        if not trouble:
            return True
        now, memory = self._around.clock(), self._memory
        memory.unsaved_since = now if memory.unsaved_since is None else memory.unsaved_since
        if now - memory.unsaved_since > self._limits.silent:
            name, text = next(iter(trouble.items()))
            folder = self._admins[name].access.state_dir
            raise Failed(Refuse.of(RefusalKind.UNSAVED, host=name, folder=folder, why=text))
        self._around.sleep(POLL)
        return False

    def _watch(self, states: States, seen: Mapping[Spot, Seen], phase: Phase, elapsed: float, clock: Clock) -> None:
        self.report.drained(seen, elapsed, more_may_come=clock.cookies_stay)
        broken = self._floors.broken(states) if phase <= Phase.DRAINING else None
        if broken:
            raise Failed(broken)

    def _clock_at(self, began: float, since: float, phase: Phase) -> Clock:
        now, limits = self._around.clock(), self._limits
        elapsed = now - began
        return Clock(
            soft_over=elapsed >= limits.soft,
            hard_over=elapsed >= limits.hard,
            cut=limits.cut,
            cookies_stay=limits.cookies_stay and elapsed < limits.soft,
            cut_over=elapsed >= limits.hard + _CUT_GRACE,
            wait_over=phase in (Phase.TESTING, Phase.RISING) and now - since >= limits.join,
            proved=frozenset(self._memory.proved),
        )

    def _tell(self, step: Wait, seen: Mapping[Spot, Seen], clock: Clock, now: float, told: float) -> float:
        if now - told < _PROGRESS:
            return told
        self._around.progress(waiting(step, seen, cookies_stay=step.phase is Phase.DRAINING and clock.cookies_stay))
        return now

    # Giving up

    def _give_up(self, intent: Intent, why: Failed, kept_out: Collection[str]) -> DomainError:
        if not self._memory.actions:
            return refused([why.refusal])
        self._stoppable, self._lookout.giving_up = False, True
        if intent is Intent.LEAVE and kept_out:
            began = self.report.before.items()
            self._lookout.returning = frozenset(
                spot for spot, cell in began if spot.node not in kept_out or cell in TAKES_CUSTOMERS
            )
        back = Intent.UNDO if intent is Intent.LEAVE else Intent.LEAVE
        silent, trouble = dict(why.silent), ""
        names = sorted(self._admins.keys() - silent.keys())
        self._around.progress(f"{intent} given up ({why.refusal.reason}): {back}")
        while names:
            try:
                self._memory.tried.clear()
                self._memory.unsaved_since = None
                self._drive(back, names)
                break
            except Failed as again:
                trouble = again.refusal.reason
                silent |= again.silent
                names = sorted(set(names) - again.silent.keys()) if again.silent else []
        accesses = {name: admin.access for name, admin in self._admins.items()}
        return failed(intent, why.refusal, self._traces(silent), accesses, trouble)

    def _traces(self, silent: Iterable[str]) -> dict[Spot, Trace]:
        actions, lookout, unheard = self._memory.actions, self._lookout, set(silent)
        return {
            spot: Trace(what, tuple(actions.get(spot, ())), spot.load_balancer in unheard)
            for spot, what in lookout.last.items()
            if (lookout.returning is None or spot in lookout.returning) and spot not in lookout.gone
        }


def _unsaved(answer: Applied | DomainError, pid: int) -> str:
    if isinstance(answer, DomainError):
        return answer.message
    replaced = f"worker {pid} was replaced meanwhile" if answer.state.pid != pid else ""
    return ", ".join(answer.unsaved) or answer.changed or replaced
