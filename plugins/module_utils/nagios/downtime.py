# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Downtimes in Nagios that carry their deployment in the comment: opened, prolonged, found again, and only ours ended.

Nothing is ever ended by its number: Nagios 4.4.6 gives numbers anew after a crash, and then one of ours is somebody
else's. DEL_DOWNTIME_BY_HOST_NAME ends what has exactly our comment, on one host.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, DomainError
from ansible_collections.tidegate.delivery.plugins.module_utils.nagios.server import (
    ANSWER_S,
    Downtime,
    Nagios,
    State,
    ask,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Node
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import NEVER, Stopping

_OURS = re.compile(r"tidegate: deployment ([^\s;]+) \(([^\s;()]+)\)")
_LOOK_AGAIN = 0.1


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose downtimes are ours: those of this service's deployments, of which one may be open at a time."""

    deployment: str
    service: str

    @property
    def comment(self) -> str:
        """The whole comment of a downtime, always the same for a deployment: by it they are found and ended."""
        return f"tidegate: deployment {self.deployment} ({self.service})"

    def owns(self, downtime: Downtime) -> bool:
        """Whether a deployment of our service opened it: this one, or one that it superseded."""
        owner = owner_of(downtime)
        return owner is not None and owner.service == self.service


@dataclass(frozen=True, slots=True)
class Covered:
    """What of a node shall be in downtime: its host in Nagios, with all of its services there or these."""

    host: str
    services: tuple[str, ...] | None = None


class Open(NamedTuple):
    """One downtime of ours: of a service, or of the host itself; until when, in Nagios' Unix seconds; whose."""

    service: str
    until: int
    deployment: str

    def __str__(self) -> str:
        return f"{self.service or 'host'} until {told(self.until)}, {self.deployment}"


@dataclass(frozen=True, slots=True)
class Change:
    """What came of it on one host: our downtimes before and after."""

    before: tuple[Open, ...]
    after: tuple[Open, ...]

    @property
    def changed(self) -> bool:
        """Whether they are others now."""
        return self.before != self.after

    @property
    def until(self) -> int:
        """When the first of them ends, in Nagios' Unix seconds; 0 without any."""
        return min((each.until for each in self.after), default=0)


def owner_of(downtime: Downtime) -> Owner | None:
    """Who of Tidegate's opened it; None for somebody else's."""
    ours = _OURS.fullmatch(downtime.comment)
    return Owner(ours[1], ours[2]) if ours else None


def told(end: int) -> str:
    """A time for people, in UTC; its seconds since 1970 where no calendar has it, as people may write it in Nagios."""
    try:
        return datetime.fromtimestamp(end, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return f"{end} s since 1970"


def to_open(state: State, covered: Covered, owner: Owner, length_s: int, author: str) -> list[str]:
    """The commands that bring a host into downtime for `length_s` from now, of which half must be left at least.

    What is to be replaced is ended only by a later call, when the new ones are in effect: Nagios begins one a moment
    after it was told, and would alert in between. None when there is nothing to do now. Raises BadInput when Nagios
    doesn't have the host or a service.
    """
    wanted, now = _wanted(state, covered), state.now
    ours = [each for each in state.of(covered.host) if owner.owns(each)]
    kept = _kept(ours, owner, now + length_s // 2)
    if not all(service in kept for service in wanted):
        # A start of its own tells it from the old ones, which are ended by theirs.
        start = max([now, *(each.start + 1 for each in ours)])
        return [_schedule(covered.host, service, start, now + length_s, author, owner.comment) for service in wanted]
    if not all(kept[service].in_effect for service in wanted):
        return []
    # By start and comment: what shares them with one that stays, stays until all are closed.
    stays = {(each.start, each.comment) for each in kept.values()}
    return list(dict.fromkeys(_end(each) for each in ours if (each.start, each.comment) not in stays))


def is_open(state: State, covered: Covered, owner: Owner, length_s: int) -> bool:
    """Whether the host is in downtime as `to_open` has it, and nothing is left to be replaced."""
    kept = _kept(state.of(covered.host), owner, state.now + length_s // 2)
    begun = all(service in kept and kept[service].in_effect for service in _wanted(state, covered))
    return begun and not to_open(state, covered, owner, length_s, "")


def _kept(downtimes: Sequence[Downtime], owner: Owner, until: int) -> dict[str, Downtime]:
    """By service, the last to end of this deployment's own that last until then."""
    good = [each for each in downtimes if each.comment == owner.comment and each.end >= until]
    return {each.service: each for each in sorted(good, key=lambda each: (each.end, each.start))}


def to_close(state: State, host: str, owner: Owner) -> list[str]:
    """The commands that end all our downtimes of a host and its services.

    This deployment's own are ended whether they are seen or not: what a killed attempt had asked for may still be on
    its way, and comes before this in the FIFO.
    """
    if host not in state.services:
        return []
    comments = [owner.comment, *(each.comment for each in state.of(host) if owner.owns(each))]
    return [_end_all(state, host, comment) for comment in dict.fromkeys(comments)]


def preview(state: State, covered: Covered, owner: Owner, length_s: int) -> Change:
    """What opening would do. Raises BadInput like `to_open`."""
    before = _ours(state, covered.host, owner)
    if is_open(state, covered, owner, length_s):
        return Change(before, before)
    until = state.now + length_s
    return Change(before, tuple(Open(service, until, owner.deployment) for service in _wanted(state, covered)))


def preview_close(state: State, host: str, owner: Owner) -> Change:
    """What closing would do."""
    return Change(_ours(state, host, owner), ())


def preview_end(state: State, host: str, service: str, deployments: Sequence[str]) -> Change:
    """What ending those of just these deployments would do."""
    before = _ours(state, host, Owner("", service))
    return Change(before, tuple(each for each in before if each.deployment not in deployments))


def open_downtimes(
    node: Node,
    nagios: Nagios,
    covered: Sequence[Covered],
    owner: Owner,
    length_s: int,
    author: str,
    stopping: Stopping = NEVER,
) -> dict[str, Change]:
    """Bring these hosts into downtime, and read back that they are: what changed, by host.

    Raises BadInput when Nagios doesn't have a host or service (it was told nothing then), DomainError when it did not
    open them, Stopped, and what `ask` raises.
    """
    hosts = [each.host for each in covered]
    first = ask(node, nagios, hosts)
    commands = [line for each in covered for line in to_open(first, each, owner, length_s, author)]

    def missing(state: State) -> list[str]:
        return [each.host for each in covered if not is_open(state, each, owner, length_s)]

    def more(state: State) -> list[str]:
        later = (line for each in covered for line in to_open(state, each, owner, length_s, author))
        return [line for line in later if "] SCHEDULE_" not in line]

    last = _told(node, nagios, hosts, commands, missing, more, stopping) if missing(first) else first
    return _changes(first, last, hosts, owner)


def close_downtimes(node: Node, nagios: Nagios, hosts: Sequence[str], owner: Owner) -> dict[str, Change]:
    """End our downtimes of these hosts, and read back that none is left: what changed, by host. Others' stay.

    Raises DomainError when Nagios did not end them, and what `ask` raises.
    """
    first = ask(node, nagios, hosts)
    commands = [line for host in hosts for line in to_close(first, host, owner)]

    def left(state: State) -> list[str]:
        return [host for host in hosts if _ours(state, host, owner)]

    last = _told(node, nagios, hosts, commands, left, lambda _state: []) if commands else first
    return _changes(first, last, hosts, owner)


def end_downtimes(
    node: Node, nagios: Nagios, service: str, deployments: Mapping[str, Sequence[str]]
) -> dict[str, Change]:
    """End what just these deployments of a service have on each host, and read back that none of it is left.

    Raises DomainError when Nagios did not end them, and what `ask` raises.
    """
    hosts = list(deployments)
    first = ask(node, nagios, hosts)

    def left(state: State) -> list[str]:
        return [host for host in hosts if any(each in deployments[host] for each in _deployments(state, host, service))]

    wanted = [(host, each) for host in left(first) for each in deployments[host]]
    commands = [_end_all(first, host, Owner(each, service).comment) for host, each in wanted]
    last = _told(node, nagios, hosts, commands, left, lambda _state: []) if commands else first
    return _changes(first, last, hosts, Owner("", service))


def _told(
    node: Node,
    nagios: Nagios,
    hosts: Sequence[str],
    commands: Sequence[str],
    otherwise: Callable[[State], list[str]],
    more: Callable[[State], list[str]],
    stopping: Stopping = NEVER,
) -> State:
    """Give the commands, and `more` that follow from what came of them, until no host is `otherwise`."""
    began = time.monotonic()
    state = ask(node, nagios, hosts, commands)
    while wrong := otherwise(state):
        if time.monotonic() - began > ANSWER_S:
            raise DomainError(
                f"Nagios took commands about the downtime of {', '.join(wrong)}, and it is not so",
                where=f"{node.name}: {nagios.state_file}",
                remedy="Its log says why (EXTERNAL COMMAND)",
            )
        # A file that was written for somebody else, just before Nagios came to our command; or not begun yet.
        stopping.pause(_LOOK_AGAIN, "while Nagios had not begun the downtime")
        state = ask(node, nagios, hosts, more(state))
    return state


def _changes(before: State, after: State, hosts: Sequence[str], owner: Owner) -> dict[str, Change]:
    return {host: Change(_ours(before, host, owner), _ours(after, host, owner)) for host in hosts}


def _ours(state: State, host: str, owner: Owner) -> tuple[Open, ...]:
    here = ((each, owner_of(each)) for each in state.of(host))
    ours = (Open(each.service, each.end, by.deployment) for each, by in here if by and by.service == owner.service)
    return tuple(sorted(ours))


def _deployments(state: State, host: str, service: str) -> set[str]:
    return {each.deployment for each in _ours(state, host, Owner("", service))}


def _wanted(state: State, covered: Covered) -> tuple[str, ...]:
    """The host itself, as an empty name, and the services of it that shall be in downtime."""
    known = state.services.get(covered.host)
    if known is None:
        raise BadInput(
            f"Nagios has no host {covered.host!r}",
            where=covered.host,
            remedy="Set the node's tidegate_nagios_host to what Nagios calls it, or add it there",
        )
    unknown = sorted(set(covered.services or ()) - set(known))
    if unknown:
        raise BadInput(
            f"Nagios has no service {unknown[0]!r} on {covered.host}",
            where=f"{covered.host}: nagios.services",
            remedy="Correct the descriptor; Nagios has " + (", ".join(sorted(known)[:10]) or "none there"),
        )
    return ("", *sorted(known if covered.services is None else covered.services))


def _schedule(host: str, service: str, start: int, end: int, author: str, comment: str) -> str:
    # Fixed, not flexible: a flexible one begins with the first problem, and counts from there.
    what = f"SCHEDULE_SVC_DOWNTIME;{host};{service}" if service else f"SCHEDULE_HOST_DOWNTIME;{host}"
    return f"[{start}] {what};{start};{end};1;0;0;{_plain(author)};{comment}"


def _end_all(state: State, host: str, comment: str) -> str:
    return f"[{state.now}] DEL_DOWNTIME_BY_HOST_NAME;{host};;;{comment}"


def _end(downtime: Downtime) -> str:
    return f"[{downtime.start}] DEL_DOWNTIME_BY_HOST_NAME;{downtime.host};;{downtime.start};{downtime.comment}"


def _plain(author: str) -> str:
    """A semicolon would end the field."""
    return re.sub(r"[^A-Za-z0-9._@-]", "_", author)[:60] or "tidegate"
