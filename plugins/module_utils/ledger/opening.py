# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which deployment a request means: a new one, the next attempt of an open one, or the end of another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from ansible_collections.tidegate.delivery.plugins.module_utils import advice
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Kind, State
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.plan import Served
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.revision import short, with_configuration


@dataclass(frozen=True, slots=True)
class Opening:
    """What a request comes to: the release that nodes shall serve, and what becomes of an open deployment.

    `revision`: the configuration's that goes on with an open deployment; None for what the compile servers serve.
    `away_from`: the release that a rollback undoes; `undone`: those that it superseded before they came to all nodes.
    """

    kind: Kind
    version: str
    revision: str | None = None
    away_from: Served | None = None
    undone: tuple[Served, ...] = ()
    resumes: str = ""
    supersedes: str = ""
    # Nodes that the attempt before left out, when this one goes on with it.
    excluded: tuple[str, ...] = ()
    # Load balancers without which that attempt went on.
    without: tuple[str, ...] = ()


def decide_deploy(
    version: str,
    under_way: Deployment | None,
    served: Callable[[], str] = str,
    all_moved: Callable[[], bool] = bool,
) -> Opening:
    """A deployment to `version`: the next attempt when just that is open, else it supersedes what is open.

    `served` tells the configuration's revision that the compile servers serve: the same version with another one is
    another release. `all_moved` tells whether the open one has only to be settled, which no configuration changes.
    """
    if under_way is None:
        return Opening(Kind.DEPLOY, version)
    if under_way.kind is Kind.DEPLOY and under_way.version == version:
        revision = under_way.revision
        if not revision or served() == revision or all_moved():
            return Opening(Kind.DEPLOY, version, revision, resumes=under_way.id)
    return Opening(Kind.DEPLOY, version, supersedes=under_way.id)


def decide_rollback(
    service: str,
    under_way: Deployment | None,
    last_done: Deployment | None,
    served: Callable[[], str] = str,
    past: Sequence[Deployment] = (),
) -> Opening:
    """Back to what was served before the open deployment, or else before the one that was done last.

    The configuration is what the compile servers serve, as `served` tells. Raises Refused when only the configuration
    was deployed and they still serve that, or one that was superseded on the way. `past`: the service's deployments,
    newest first.

    An open deployment that doesn't tell gives way to the release of the one that was done last.
    Going back twice stays where the first time went: it never leads forward again. Raises BadInput when the
    ledger knows nothing to go back to.
    """
    if under_way is not None and under_way.kind is Kind.ROLLBACK:
        away = Served(under_way.previous_version, revision=under_way.previous_revision)
        undone = _undone(under_way, past)
        return Opening(Kind.ROLLBACK, under_way.version, away_from=away, undone=undone, resumes=under_way.id)
    if under_way is not None and under_way.previous_version:
        return _undoing(under_way, served, past, supersedes=under_way.id)
    if under_way is not None and last_done is not None and last_done.version:
        away = Served(under_way.version, revision=under_way.revision)
        undone = _undone(under_way, past)
        return Opening(Kind.ROLLBACK, last_done.version, away_from=away, undone=undone, supersedes=under_way.id)
    if under_way is None and last_done is not None:
        return _before(service, last_done, served, past)
    raise _no_way_back(service)


def decide_resume(
    service: str,
    under_way: Deployment | None,
    last_done: Deployment | None,
    excluded: Sequence[str] = (),
    without: Sequence[str] = (),
    past: Sequence[Deployment] = (),
) -> Opening:
    """The next attempt of what is open or held, as it was: kind, version, and what it left out.

    `past`: the service's deployments, newest first.

    Raises BadInput, naming the last one that was done, when nothing is open.
    """
    if under_way is not None:
        kind, version = under_way.kind, under_way.version
        going_back = kind is Kind.ROLLBACK
        return Opening(
            kind,
            version,
            None if going_back else under_way.revision,
            Served(under_way.previous_version, revision=under_way.previous_revision) if going_back else None,
            _undone(under_way, past) if going_back else (),
            resumes=under_way.id,
            excluded=tuple(excluded),
            without=tuple(without),
        )
    raise BadInput(
        f"no deployment of {service} is open; {_told(last_done)}",
        where=service,
        remedy=f"Nothing needs to go on. Start one: {advice.deploy(service, 'VERSION')}",
    )


def only_settles(opening: Opening, served: str, all_moved: Callable[[], bool]) -> bool:
    """Whether what goes on has only to be settled: its waves have joined, and another configuration is served by now.

    No node that it left out, and that is back, can be moved by it then: it would mix what no wave was tested with.
    """
    brings = opening.revision if opening.kind is Kind.DEPLOY and opening.resumes else ""
    return bool(brings) and served != brings and all_moved()


def require_configuration(deployment: Deployment, served: str) -> None:
    """Refused when the compile servers don't serve what the deployment is to bring: nodes would get something else.

    A rollback takes whatever they serve, except what it is to undo.
    """
    if deployment.kind is Kind.ROLLBACK:
        away = Served(deployment.previous_version, revision=deployment.previous_revision)
        _require_undone(deployment.service, deployment.version, away, served)
        return
    if deployment.revision and served != deployment.revision:
        raise Refused(
            f"this deployment brings configuration {short(deployment.revision)}, and the compile servers serve "
            f"{short(served) or 'none that has a revision'} by now",
            where=f"{deployment.service} {deployment.version} in {deployment.environment}",
            remedy=f"Bring {short(deployment.revision)} back to them, then go on: {advice.resume(deployment.service)}. "
            f"Or deploy what they serve, a release of its own: {advice.deploy(deployment.service, deployment.version)}",
        )


def _before(service: str, last_done: Deployment, served: Callable[[], str], past: Sequence[Deployment]) -> Opening:
    if last_done.kind is Kind.ROLLBACK:
        away = Served(last_done.previous_version, revision=last_done.previous_revision)
        return Opening(Kind.ROLLBACK, last_done.version, away_from=away, undone=_undone(last_done, past))
    if last_done.previous_version:
        return _undoing(last_done, served, past)
    raise _no_way_back(service)


def _undone(deployment: Deployment, past: Sequence[Deployment]) -> tuple[Served, ...]:
    """The releases that were superseded, one after the other, right before this deployment: nodes may still have them.

    Not what was served before all of them, which a deployment may have brought once more.
    """
    own = [each for each in past if each.kind is not Kind.HAND]
    older = own[1 + next((at for at, each in enumerate(own) if each.id == deployment.id), len(own)) :]
    superseded = [each for each in takewhile(_came_to_nothing, older) if each.kind is Kind.DEPLOY]
    before = {(each.previous_version, each.previous_revision) for each in (deployment, *superseded) if _deploys(each)}
    found = {(each.version, each.revision): None for each in superseded if each.revision}
    return tuple(Served(version, revision=revision) for version, revision in found if (version, revision) not in before)


def _came_to_nothing(deployment: Deployment) -> bool:
    return deployment.state is State.SUPERSEDED


def _deploys(deployment: Deployment) -> bool:
    return deployment.kind is Kind.DEPLOY


def _undoing(
    deployment: Deployment, served: Callable[[], str], past: Sequence[Deployment], supersedes: str = ""
) -> Opening:
    away, undone = Served(deployment.version, revision=deployment.revision), _undone(deployment, past)
    if deployment.previous_version == deployment.version:
        _require_undone(deployment.service, deployment.previous_version, away, served(), undone)
    return Opening(Kind.ROLLBACK, deployment.previous_version, away_from=away, undone=undone, supersedes=supersedes)


def _require_undone(service: str, back: str, away_from: Served, served: str, undone: Sequence[Served] = ()) -> None:
    revisions = {"", *(each.revision for each in (away_from, *undone) if each.version == back)}
    if back == away_from.version and away_from.revision and served in revisions:
        raise Refused(
            f"only the configuration was deployed, and the compile servers still serve {short(served)}: "
            "there is nothing else to go back to"
            if served
            else "only the configuration was deployed, and the compile servers tell no revision: nobody could say "
            "whether nodes get another one",
            where=f"{service} {with_configuration(back, away_from.revision)}",
            remedy="Revert it in the control repository, bring that to the compile servers, and run "
            f"{advice.rollback(service)} again",
        )


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
