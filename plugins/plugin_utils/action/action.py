# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The base of every action: guard, arguments, permit, the call, the record, the result."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Sequence
from traceback import format_exception
from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError, Stopped
from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import printable_value
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event
from ansible_collections.tidegate.delivery.plugins.module_utils.parallel import rounds
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import AtStop, before
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.arguments import argument_spec, read_ahead
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call, plain
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.parts import together
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.shown import redacted
from ansible_collections.tidegate.delivery.plugins.plugin_utils.stopping.controller import end_with_controller
from ansible_collections.tidegate.delivery.plugins.plugin_utils.stopping.signals import hear_in_worker, hear_no_more
from ansible_collections.tidegate.delivery.plugins.plugin_utils.stopping.stop import (
    explained,
    require_going_on,
    signalled_since,
    stop_requested,
)


class DomainAction(ActionBase):  # type: ignore[misc]  # ansible-core ships no type information
    """Arguments → a domain call → a result. A plugin states what it is and writes `act`.

    An action with `EFFECT` needs a permit: an open deployment (option `deployment`) that covers its nodes
    and whose lock is held by this very ansible-playbook. With a deployment named, start and end are in the
    ledger before the next task begins.
    """

    TRANSFERS_FILES = False
    # Whether it changes something outside the controller. Reading actions need no permit.
    EFFECT: ClassVar[bool] = False
    # Whether it belongs to a wave: then the lock of each of its nodes must be ours as well.
    IN_WAVE: ClassVar[bool] = False
    # The ledger's name for the step (see module_utils/ledger/events.py).
    STEP: ClassVar[str] = ""
    # The keys of a result that go into the ledger. Chosen, never dumped: secrets can't get in.
    RECORDED: ClassVar[tuple[str, ...]] = ("outcome", "msg")
    # How long a step may take at most when its options don't say: the lock's lease covers it.
    DEADLINE: ClassVar[float] = 300.0
    # What it does when somebody asks to stop.
    AT_STOP: ClassVar[AtStop] = AtStop.FINISH
    # Whether option `nodes` may be left out, and then the task's host is meant.
    NODES_OR_HOST: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:  # noqa: ANN401
        """Ansible's linear strategy loads an action before it forks: what is read here, no worker reads again."""
        super().__init_subclass__(**kwargs)
        read_ahead(cls.__module__)

    @abstractmethod
    def act(self, call: Call) -> dict[str, Any]:
        """Do it and return the result. DomainErrors become failed results."""

    def step(self, call: Call) -> str:  # noqa: ARG002 (some steps depend on the options)
        """The step under which this call is recorded."""
        return self.STEP

    def in_wave(self, call: Call) -> bool:  # noqa: ARG002
        """Whether this call belongs to a wave."""
        return self.IN_WAVE

    def complete(self, call: Call) -> None:
        """Fill in options that were not given. Raises DomainErrors."""

    def require_planned(self, call: Call) -> None:
        """Raise Refused when the options are not what the recorded plan says."""

    def begun_with(self, call: Call) -> dict[str, Any] | None:  # noqa: ARG002
        """What is recorded with the beginning of an effect, for whoever goes on after a kill. Raises nothing."""
        return None

    def parts(self, call: Call) -> list[Call] | None:  # noqa: ARG002
        """The calls for one node each that this one stands for; None when it is acted as a whole.

        All nodes are acted at once, a node's parts in turn up to the first that fails; each end is an event of its own.
        A task for each node would cost the controller a process for each.
        """
        return None

    def deadline(self, call: Call) -> float:  # noqa: ARG002
        """The most seconds that this call may take."""
        return self.DEADLINE

    def at_stop(self, call: Call) -> AtStop:  # noqa: ARG002
        """What this call does when somebody asks to stop."""
        return self.AT_STOP

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ansible's entry point."""
        try:
            return self._run(tmp, task_vars)
        finally:
            hear_no_more()

    def _run(self, tmp: str | None, task_vars: dict[str, Any] | None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        call: Call | None = None
        try:
            end_with_controller()
            hear_in_worker()
            call = Call(self, task_vars or {}, self._validated())
            with redacted(call.redact):
                parts = self._divided(call)
                self._completed([call] if parts is None else parts)
                outcome = self._permitted(call, parts)
        except _NotPermitted as refusal:
            outcome = _cleaned(call, _failure(refusal.error))
            self._record_refusal(call, outcome)
        except DomainError as error:
            outcome = _cleaned(call, _failure(error))
            self._record_end(call, outcome)
        except Exception as error:
            # A fault of ours: the ledger says that the step ended badly, and Ansible says the rest.
            fault = f"internal error: {type(error).__name__}: {error}"
            self._record_end(call, _cleaned(call, {"failed": True, "msg": fault}))
            if call is not None and call.redact("".join(format_exception(error))) != "".join(format_exception(error)):
                # Ansible would print the secret, in the message or in the traceback.
                raise AnsibleActionFail(call.redact(fault)) from None
            raise
        finally:
            if call is not None:
                call.close()
        return {**result, **outcome}

    def _divided(self, call: Call) -> list[Call] | None:
        try:
            return self.parts(call)
        except DomainError as error:
            # Nothing has begun: it must not pass for the end of what another call did.
            raise _NotPermitted(error) from error

    def _permitted(self, call: Call, parts: Sequence[Call] | None = None) -> dict[str, Any]:
        if stop_requested() and self.at_stop(call) is not AtStop.FINISH:
            self._require_going_on(call)
        if parts == []:
            return together([])
        deadline = self.deadline(call) if parts is None else self._longest(parts)
        if self.EFFECT and not call.check:
            self._require_permit(call, deadline)
            call.record(self.step(call), "started", details=self.begun_with(call))
        elif call.deployment_id and not call.check:
            call.ledger.renew(deadline, self.step(call))
        if parts is not None:
            return self._all(call, parts)
        outcome = _cleaned(call, dict(plain(self._acted(call))))
        # Some record their end themselves, in one transaction with what they change.
        if not outcome.pop("recorded", False):
            self._record_end(call, outcome)
        return outcome

    def _longest(self, parts: Sequence[Call]) -> float:
        """Seconds: of the node that may take the longest, for as many rounds as the nodes need."""
        seconds: defaultdict[str, float] = defaultdict(float)
        for part in parts:
            seconds[part.host] += self.deadline(part)
        return max(seconds.values()) * rounds(len(seconds))

    def _all(self, call: Call, parts: Sequence[Call]) -> dict[str, Any]:
        """All parts' ends in one result. They are recorded together, as they came: one transaction, by one thread."""
        by_node: dict[str, list[Call]] = {}
        for part in parts:
            by_node.setdefault(part.host, []).append(part)
        # Made here, since Ansible's templates are not made for threads.
        _ = call.redactor
        answers = call.in_parallel(lambda node: self._in_turn(by_node[node]), list(by_node))
        ended: list[tuple[Call, dict[str, Any]]] = []
        for node, own in answers.items():
            ended += [(by_node[node][0], _failure(own))] if isinstance(own, DomainError) else own
        ended.sort(key=lambda pair: pair[0].started + (pair[0].elapsed_s or 0.0))
        outcome = together([(part.host, result) for part, result in ended])
        if call.deployment_id and not call.check:
            try:
                call.ledger.append(self._end_event(part, result) for part, result in ended)
            except DomainError as error:
                outcome.update(_failure(error))
        return outcome

    def _in_turn(self, parts: Sequence[Call]) -> list[tuple[Call, dict[str, Any]]]:
        ended: list[tuple[Call, dict[str, Any]]] = []
        for part in parts:
            ended.append((part, self._part(part)))
            if ended[-1][1].get("failed"):
                break
        return ended

    def _part(self, part: Call) -> dict[str, Any]:
        part.started = time.monotonic()
        try:
            if part.unfit is not None:
                raise part.unfit
            if stop_requested() and self.at_stop(part) is not AtStop.FINISH:
                # Of many nodes some begin only when others have ended.
                require_going_on(before(self.step(part)))
            return _cleaned(part, dict(plain(self._acted(part))))
        except DomainError as error:
            return _cleaned(part, _failure(error))
        except Exception as error:  # noqa: BLE001 (a fault of ours: the other nodes' ends are recorded all the same)
            fault = f"{part.host}: internal error: {type(error).__name__}: {error}"
            return _cleaned(part, {"failed": True, "msg": fault, "exception": "".join(format_exception(error))})
        finally:
            part.elapsed_s = time.monotonic() - part.started

    def _end_event(self, part: Call, result: dict[str, Any]) -> Event:
        return part.end_event(self.step(part), result, self.RECORDED, effect=self.EFFECT)

    def _require_going_on(self, call: Call) -> None:
        try:
            require_going_on(before(self.step(call)))
        except Stopped as stop:
            if self.EFFECT and call.deployment_id and not call.check:
                raise _NotPermitted(stop) from stop
            raise

    def _acted(self, call: Call) -> dict[str, Any]:
        """`act`. A signal to every process ends our ssh clients too: that is no failure of the step's own."""
        try:
            return self.act(call)
        except DomainError as error:
            if self.at_stop(call) is AtStop.GIVE_UP:
                raise explained(error, f"in step {self.step(call)}") from error
            if not signalled_since(call.started):
                raise
        return self.act(call)

    def _completed(self, calls: Sequence[Call]) -> None:
        try:
            for call in calls:
                self.complete(call)
        except DomainError as error:
            # An effect that can't even be told what to do has not begun.
            raise (_NotPermitted(error) if self.EFFECT else error) from error

    def _require_permit(self, call: Call, deadline: float) -> None:
        try:
            call.require_permit(deadline, self.step(call), in_wave=self.in_wave(call))
            self.require_planned(call)
        except DomainError as error:
            raise _NotPermitted(error) from error

    def _record_refusal(self, call: Call | None, outcome: dict[str, Any]) -> None:
        """Under a step of its own: it must not pass for the end of the step that another call has begun."""
        if call is None:
            return
        try:
            call.record_refusal(self.step(call), outcome)
        except DomainError as error:
            outcome.update(_failure(error))

    def _record_end(self, call: Call | None, outcome: dict[str, Any]) -> None:
        if call is None or call.check or not call.deployment_id:
            return
        try:
            call.record_end(self.step(call), outcome, self.RECORDED, effect=self.EFFECT)
        except DomainError as error:
            outcome.update(_failure(error))

    def _validated(self) -> dict[str, Any]:
        module = self._task.action.rpartition(".")[2]
        _result, arguments = self.validate_argument_spec(argument_spec(module))
        return dict(plain(arguments))


class _NotPermitted(Exception):
    """The permit was refused: nothing has begun."""

    def __init__(self, error: DomainError) -> None:
        super().__init__(str(error))
        self.error = error


def _cleaned(call: Call | None, outcome: dict[str, Any]) -> dict[str, Any]:
    """The result without secrets, and without what a terminal would obey: parts of it were written by others.

    Facts are what later tasks work with: a plan with a secret in it was refused.
    """
    facts = {key: outcome[key] for key in ("ansible_facts",) if key in outcome}
    told = {key: value for key, value in outcome.items() if key not in facts}
    return {**printable_value(told if call is None else call.redact(told)), **facts}


def _failure(error: DomainError) -> dict[str, Any]:
    return {
        "failed": True,
        "changed": False,
        "msg": str(error),
        "reason": error.reason,
        "where": error.where,
        "remedy": error.remedy,
    }
