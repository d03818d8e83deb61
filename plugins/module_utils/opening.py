# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which deployment a request means: a new one, the next attempt of an open one, or the end of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.tidegate.delivery.plugins.module_utils import advice
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger import Deployment, Kind


@dataclass(frozen=True, slots=True)
class Opening:
    """What a request comes to: the release that nodes shall serve, and what becomes of an open deployment."""

    kind: Kind
    version: str
    resumes: str = ""
    supersedes: str = ""
    # Nodes that the attempt before left out, when this one goes on with it.
    excluded: tuple[str, ...] = ()
    # Load balancers without which that attempt went on.
    without: tuple[str, ...] = ()


def decide_deploy(version: str, under_way: Deployment | None) -> Opening:
    """A deployment to `version`: the next attempt when just that is open, else it supersedes what is open."""
    if under_way is None:
        return Opening(Kind.DEPLOY, version)
    if under_way.kind is Kind.DEPLOY and under_way.version == version:
        return Opening(Kind.DEPLOY, version, resumes=under_way.id)
    return Opening(Kind.DEPLOY, version, supersedes=under_way.id)


def decide_rollback(service: str, under_way: Deployment | None, last_done: Deployment | None) -> Opening:
    """Back to what was served before the open deployment, or else before the one that was done last.

    An open deployment that doesn't tell gives way to the release of the one that was done last.
    Going back twice stays where the first time went: it never leads forward again. Raises BadInput when the
    ledger knows nothing to go back to.
    """
    if under_way is not None and under_way.kind is Kind.ROLLBACK:
        return Opening(Kind.ROLLBACK, under_way.version, resumes=under_way.id)
    if under_way is not None and under_way.previous_version:
        return Opening(Kind.ROLLBACK, under_way.previous_version, supersedes=under_way.id)
    if under_way is not None and last_done is not None and last_done.version:
        return Opening(Kind.ROLLBACK, last_done.version, supersedes=under_way.id)
    if under_way is None and last_done is not None:
        return _before(service, last_done)
    raise _no_way_back(service)


def decide_resume(
    service: str,
    under_way: Deployment | None,
    last_done: Deployment | None,
    excluded: Sequence[str] = (),
    without: Sequence[str] = (),
) -> Opening:
    """The next attempt of what is open or held, as it was: kind, version, and what it left out.

    Raises BadInput, naming the last one that was done, when nothing is open.
    """
    if under_way is not None:
        kind, version = under_way.kind, under_way.version
        return Opening(kind, version, resumes=under_way.id, excluded=tuple(excluded), without=tuple(without))
    raise BadInput(
        f"no deployment of {service} is open; {_told(last_done)}",
        where=service,
        remedy=f"Nothing needs to go on. Start one: {advice.deploy(service, 'VERSION')}",
    )


def _before(service: str, last_done: Deployment) -> Opening:
    if last_done.kind is Kind.ROLLBACK:
        return Opening(Kind.ROLLBACK, last_done.version)
    if last_done.previous_version:
        return Opening(Kind.ROLLBACK, last_done.previous_version)
    raise _no_way_back(service)


def _told(last_done: Deployment | None) -> str:
    if last_done is None:
        return "none was ever done"
    what = f"{last_done.kind} to {last_done.version} ({last_done.id})"
    return f"the last one, {what}, was done at {last_done.closed_at}"


def _no_way_back(service: str) -> BadInput:
    return BadInput(
        f"the ledger knows no release of {service} to go back to",
        where=service,
        remedy=f"Name one: {advice.deploy(service, 'VERSION')}",
    )
