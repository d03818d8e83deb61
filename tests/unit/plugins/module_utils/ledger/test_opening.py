from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Kind, State
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.opening import (
    Opening,
    decide_deploy,
    decide_resume,
    decide_rollback,
    only_settles,
    require_configuration,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.plan.plan import Served


def deployment(kind: Kind = Kind.DEPLOY, version: str = "1.2.0", previous: str = "1.1.0") -> Deployment:
    return Deployment(id="d1", kind=kind, service="s", environment="lab", version=version, previous_version=previous)


def test_a_deployment_is_new_resumed_or_supersedes() -> None:
    assert decide_deploy("1.2.0", None) == Opening(Kind.DEPLOY, "1.2.0")
    assert decide_deploy("1.2.0", deployment()) == Opening(Kind.DEPLOY, "1.2.0", "", resumes="d1")
    assert decide_deploy("1.3.0", deployment()) == Opening(Kind.DEPLOY, "1.3.0", supersedes="d1")
    assert decide_deploy("1.1.0", deployment(Kind.ROLLBACK, "1.1.0")) == Opening(Kind.DEPLOY, "1.1.0", supersedes="d1")


def test_a_rollback_goes_to_what_was_served_before() -> None:
    away = Served("1.2.0")
    superseding = Opening(Kind.ROLLBACK, "1.1.0", away_from=away, supersedes="d1")
    assert decide_rollback("s", deployment(), None) == superseding
    assert decide_rollback("s", None, deployment()) == Opening(Kind.ROLLBACK, "1.1.0", away_from=away)


def test_a_rollback_that_was_stopped_goes_on() -> None:
    under_way = deployment(Kind.ROLLBACK, "1.1.0", "1.2.0")
    expected = Opening(Kind.ROLLBACK, "1.1.0", away_from=Served("1.2.0"), resumes="d1")
    assert decide_rollback("s", under_way, None) == expected


def test_an_open_deployment_that_tells_no_release_gives_way_to_the_one_done_last() -> None:
    done = Deployment(
        id="d0", kind=Kind.DEPLOY, service="s", environment="lab", version="1.0.0", previous_version="0.9"
    )
    expected = Opening(Kind.ROLLBACK, "1.0.0", away_from=Served("1.2.0"), supersedes="d1")
    assert decide_rollback("s", deployment(previous=""), done) == expected
    with pytest.raises(BadInput, match="no release of s to go back to"):
        decide_rollback("s", deployment(previous=""), None)


def test_rolling_back_twice_never_leads_forward() -> None:
    done = deployment(Kind.ROLLBACK, "1.1.0", "1.2.0")
    assert decide_rollback("s", None, done) == Opening(Kind.ROLLBACK, "1.1.0", away_from=Served("1.2.0"))


def test_without_a_past_there_is_no_way_back() -> None:
    with pytest.raises(BadInput, match="no release of s to go back to"):
        decide_rollback("s", None, None)


@pytest.mark.parametrize(("kind", "version"), [(Kind.DEPLOY, "1.2.0"), (Kind.ROLLBACK, "1.1.0")])
def test_what_is_open_goes_on_as_it_was(kind: Kind, version: str) -> None:
    opening = decide_resume("s", deployment(kind, version), None, ["n5"], ["lb2"])
    going_back = kind is Kind.ROLLBACK
    revision, away_from = (None, Served("1.1.0")) if going_back else ("", None)
    assert opening == Opening(kind, version, revision, away_from, resumes="d1", excluded=("n5",), without=("lb2",))


A, B, C = "a" * 40, "b" * 40, "c" * 40


def configured(revision: str = A, version: str = "1.2.0", kind: Kind = Kind.DEPLOY) -> Deployment:
    """What brings only another configuration, unless it is told another version."""
    return replace(deployment(kind, version, "1.2.0"), revision=revision, previous_revision=C)


@pytest.mark.parametrize(
    ("recorded", "served", "all_moved", "resumes"),
    [
        (A, A, False, True),
        (A, B, False, False),
        (A, "", False, False),
        # Only settling is left: what was merged since, the raised value included, changes nothing about it.
        (A, B, True, True),
        # It was begun when nobody told a revision.
        ("", B, False, True),
    ],
)
def test_the_same_version_with_another_configuration_is_another_release(
    recorded: str, served: str, all_moved: bool, resumes: bool
) -> None:
    found = decide_deploy("1.2.0", configured(recorded), lambda: served, lambda: all_moved)
    going_on = Opening(Kind.DEPLOY, "1.2.0", recorded, resumes="d1")
    assert found == (going_on if resumes else Opening(Kind.DEPLOY, "1.2.0", supersedes="d1"))


def test_what_goes_on_keeps_its_configuration() -> None:
    assert decide_resume("s", configured(), None).revision == A


@pytest.mark.parametrize(
    ("going_on", "served", "all_moved", "only"),
    [
        (configured(), B, True, True),
        (configured(), "", True, True),
        # What is served is what it brings: a node that is back gets it like the others.
        (configured(), A, True, False),
        # A wave is still to come: it is held until the configuration is back, or superseded.
        (configured(), B, False, False),
        (configured(""), B, True, False),
        (configured(kind=Kind.ROLLBACK), B, True, False),
        (None, B, True, False),
    ],
)
def test_what_has_joined_is_settled_whatever_is_served(
    going_on: Deployment | None, served: str, all_moved: bool, only: bool
) -> None:
    opening = decide_resume("s", going_on, None) if going_on else decide_deploy("1.2.0", None)
    assert only_settles(opening, served, lambda: all_moved) is only
    again = decide_deploy("1.2.0", going_on, lambda: served, lambda: all_moved)
    if only:
        assert only_settles(again, served, lambda: all_moved), "deploy is the same way out"


@pytest.mark.parametrize("served", [A, ""])
def test_a_configuration_is_not_rolled_back_while_it_is_served(served: str) -> None:
    for under_way, done in ((configured(), None), (None, configured())):
        with pytest.raises(Refused, match="only the configuration was deployed") as refused:
            decide_rollback("s", under_way, done, lambda: served)
        assert "Revert it in the control repository" in refused.value.remedy


def test_a_configuration_that_was_reverted_is_rolled_back() -> None:
    expected = Opening(Kind.ROLLBACK, "1.2.0", away_from=Served("1.2.0", revision=A))
    assert decide_rollback("s", None, configured(), lambda: B) == expected


def chain(*deployments: tuple[str, Kind, str, State]) -> list[Deployment]:
    """Of one version, newest first: id, kind, revision, state. C was served before all of them."""
    found = []
    for id_, kind, revision, state in deployments:
        made = configured(revision, kind=kind)
        # What a rollback undoes is its previous release.
        made = replace(made, revision=D, previous_revision=revision) if kind is Kind.ROLLBACK else made
        found.append(replace(made, id=id_, state=state))
    return found


D = "d" * 40
OPEN, GONE, DONE = State.HELD, State.SUPERSEDED, State.DONE


@pytest.mark.parametrize(
    ("past", "undone"),
    [
        (chain(("d2", Kind.DEPLOY, B, OPEN)), []),
        (chain(("d2", Kind.DEPLOY, B, OPEN), ("d1", Kind.DEPLOY, A, GONE)), [A]),
        (chain(("d2", Kind.DEPLOY, B, DONE), ("d1", Kind.DEPLOY, A, GONE)), [A]),
        (chain(("d2", Kind.ROLLBACK, B, OPEN), ("d1", Kind.DEPLOY, B, GONE), ("d0", Kind.DEPLOY, A, GONE)), [B, A]),
        # What it goes back to may have been deployed once more.
        (chain(("d2", Kind.DEPLOY, B, OPEN), ("d1", Kind.DEPLOY, C, GONE)), []),
        # A rollback that was superseded led back; what it undid may still be somewhere.
        (chain(("d2", Kind.DEPLOY, B, OPEN), ("r", Kind.ROLLBACK, A, GONE), ("d1", Kind.DEPLOY, A, GONE)), [A]),
        # Before one that was done, all is over.
        (chain(("d2", Kind.DEPLOY, B, OPEN), ("d1", Kind.DEPLOY, C, DONE), ("d0", Kind.DEPLOY, A, GONE)), []),
        (chain(("d2", Kind.DEPLOY, B, OPEN), ("h", Kind.HAND, "", DONE), ("d1", Kind.DEPLOY, A, GONE)), [A]),
        (chain(("d2", Kind.DEPLOY, B, OPEN), ("d1", Kind.DEPLOY, "", GONE)), []),
    ],
)
def test_a_rollback_undoes_what_was_superseded_on_the_way(past: list[Deployment], undone: list[str]) -> None:
    newest = past[0]
    under_way, last_done = (None, newest) if newest.state is DONE else (newest, None)
    expected = tuple(Served("1.2.0", revision=revision) for revision in undone)
    assert decide_rollback("s", under_way, last_done, lambda: D, past).undone == expected
    if newest.kind is Kind.ROLLBACK:
        assert decide_resume("s", newest, None, past=past).undone == expected


def test_what_was_superseded_is_no_way_back_either() -> None:
    past = chain(("d2", Kind.DEPLOY, B, OPEN), ("d1", Kind.DEPLOY, A, GONE))
    with pytest.raises(Refused, match=f"the compile servers still serve {A[:12]}"):
        decide_rollback("s", past[0], None, lambda: A, past)


@pytest.mark.parametrize(
    ("open_one", "served", "refused"),
    [
        (configured(), A, ""),
        (configured(), B, "this deployment brings configuration aaaaaaaaaaaa, and the compile servers serve b"),
        (configured(), "", "the compile servers serve none that has a revision by now"),
        (configured(""), B, ""),
        # A rollback takes what is served, unless that is what it undoes.
        (configured(kind=Kind.ROLLBACK, version="1.1.0"), B, ""),
        (configured(kind=Kind.ROLLBACK), B, ""),
        (configured(kind=Kind.ROLLBACK), C, "only the configuration was deployed"),
    ],
)
def test_a_wave_gets_the_configuration_that_was_planned_or_does_not_leave(
    open_one: Deployment, served: str, refused: str
) -> None:
    if not refused:
        require_configuration(open_one, served)
        return
    with pytest.raises(Refused, match=refused):
        require_configuration(open_one, served)


@pytest.mark.parametrize(
    ("last_done", "said"),
    [
        (None, "no deployment of s is open; none was ever done"),
        (deployment(), r"no deployment of s is open; the last one, deploy to 1\.2\.0 \(d1\), was done at"),
    ],
)
def test_nothing_open_is_refused_with_the_last_one(last_done: Deployment | None, said: str) -> None:
    with pytest.raises(BadInput, match=said) as refused:
        decide_resume("s", None, last_done)
    assert "playbooks/deploy.yml -e service=s -e version=VERSION" in refused.value.remedy
