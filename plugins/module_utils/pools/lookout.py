# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a move sees: load balancers read until their deadline, nodes' cells, and what one run alone can know of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import (
    BadInput,
    DomainError,
    Refused,
    Unreachable,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.refusal_kinds import RefusalKind
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.runtime import Admin
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import LoadBalancerState
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.arrivals import Arrivals
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import (
    Cell,
    Pool,
    Seen,
    Spot,
    as_saved,
    look,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.leaving_out import with_way_on
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.move_report import MoveReport
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.move_surroundings import (
    POLL,
    Limits,
    Surroundings,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.state_machine import Refuse

States = dict[str, LoadBalancerState]


class Failed(Exception):
    """It can't go on as intended; `silent` are load balancers that no longer answer."""

    def __init__(self, refusal: Refuse, silent: Mapping[str, DomainError] | None = None) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal
        self.silent = dict(silent or {})


class Lookout:
    """Reads the load balancers of one move and recognises where its nodes are."""

    def __init__(
        self,
        admins: Mapping[str, Admin],
        pools: Sequence[Pool],
        limits: Limits,
        around: Surroundings,
        report: MoveReport,
        look_for_stop: Callable[[], None],
    ) -> None:
        self._admins = admins
        self._pools = pools
        self._limits = limits
        self._around = around
        self._report = report
        self._look_for_stop = look_for_stop
        self._backends = list(dict.fromkeys(name for pool in pools for name in pool.backends))
        # What was seen last, where servers are gone, and where only a drain of ours keeps customers away.
        self.last: dict[Spot, Seen] = {}
        self.gone: set[Spot] = set()
        self.drained_by_us: set[Spot] = set()
        self.arrivals = Arrivals()
        self.giving_up = False
        # The spots that a leave which is given up brings back, when it must not be all of them.
        self.returning: frozenset[Spot] | None = None

    def first_look(self) -> States:
        """The whole state of every load balancer. Raises Refused when one of them can't be asked."""
        answers = dict(self._around.parallel(lambda name: self._admins[name].read(), sorted(self._admins)))
        # One that was just reloading answers the second time, and an old worker that was just ending is gone.
        again = [name for name, answer in answers.items() if _passing(answer)]
        if again:
            self._around.sleep(POLL)
        answers.update(self._around.parallel(lambda name: self._admins[name].read(), again))
        dead = {name: error for name, error in answers.items() if isinstance(error, DomainError)}
        if dead:
            name, error = next(iter(dead.items()))
            remedy = error.remedy or "All load balancers of a site move together: bring it back, then run again"
            why = Refused(f"{error.message}; nothing was touched", where=error.where, remedy=remedy)
            raise with_way_on(name, why, list(self._admins))
        states = {name: state for name, state in answers.items() if isinstance(state, LoadBalancerState)}
        self._tell_down(states)
        return states

    def read(self, names: Sequence[str], known: States) -> States:
        """The state of each name, asking again those that don't answer until their deadline."""
        states, deadline = dict(known), self._around.clock() + self._limits.silent
        while True:
            missing = [name for name in names if name not in states]
            answers = self._around.parallel(lambda name: self._admins[name].read(self._backends), missing)
            silent = {name: error for name, error in answers.items() if isinstance(error, DomainError)}
            states.update((name, state) for name, state in answers.items() if isinstance(state, LoadBalancerState))
            if not silent:
                self._tell_down(states)
                return states
            self._look_for_stop()
            if self._around.clock() >= deadline:
                name, error = next(iter(silent.items()))
                raise Failed(Refuse.of(RefusalKind.GONE_SILENT, host=name, why=error.message), silent)
            self._around.sleep(min(1.0, self._limits.silent / 10))

    def _tell_down(self, states: Mapping[str, LoadBalancerState]) -> None:
        back = self._report.proved_down({name: state.proof for name, state in states.items()})
        for name in back:
            self._around.progress(f"{name} is back: its HAProxy answers, and its servers are looked at and moved again")

    def see(self, states: Mapping[str, LoadBalancerState]) -> dict[Spot, Seen]:
        """Where the nodes are. Raises Failed when a server is gone, unless the move is being given up already."""
        seen: dict[Spot, Seen] = {}
        for spot in self._spots(states):
            if self.returning is not None and spot not in self.returning:
                continue
            state = states[spot.load_balancer]
            lost = [name for name in spot.pool.backends if (name, spot.node) not in state.servers]
            if lost:
                self._lost(spot, lost)
                continue
            what = look(state, spot.pool, spot.node)
            if state.down:
                seen[spot] = self._recognise(spot, as_saved(what))
                continue
            row = state.servers[spot.pool.online, spot.node]
            seen[spot] = self.arrivals.told(spot, self._recognise(spot, what), row)
        self.last.update(seen)
        self._report.seen(seen)
        return seen

    def _lost(self, spot: Spot, backends: Sequence[str]) -> None:
        """A reload has taken a server away: then the move can't end, and its undoing goes on with the rest."""
        if spot.pool.online in backends:
            self.gone.add(spot)
        if not self.giving_up:
            names = {"node": spot.node, "backend": backends[0], "host": spot.load_balancer}
            raise Failed(Refuse.of(RefusalKind.SERVER_GONE, **names))

    def _recognise(self, spot: Spot, what: Seen) -> Seen:
        ours = self.drained_by_us
        if what.cell is Cell.ON:
            ours.add(spot)
        elif what.cell in (Cell.OUT, Cell.TEST, Cell.ODD):
            ours.discard(spot)
        return replace(what, drained_by_us=spot in ours)

    def _spots(self, names: Iterable[str]) -> list[Spot]:
        return [Spot(name, pool, node) for name in names for pool in self._pools for node in pool.nodes]


def _passing(answer: LoadBalancerState | DomainError) -> bool:
    if isinstance(answer, DomainError):
        return isinstance(answer, Unreachable | BadInput)
    return bool(answer.silent_workers)
