from __future__ import annotations

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger import Deployment, Kind
from ansible_collections.tidegate.delivery.plugins.module_utils.opening import (
    Opening,
    decide_deploy,
    decide_resume,
    decide_rollback,
)


def deployment(kind: Kind = Kind.DEPLOY, version: str = "1.2.0", previous: str = "1.1.0") -> Deployment:
    return Deployment(id="d1", kind=kind, service="s", environment="lab", version=version, previous_version=previous)


def test_a_deployment_is_new_resumed_or_supersedes() -> None:
    assert decide_deploy("1.2.0", None) == Opening(Kind.DEPLOY, "1.2.0")
    assert decide_deploy("1.2.0", deployment()) == Opening(Kind.DEPLOY, "1.2.0", resumes="d1")
    assert decide_deploy("1.3.0", deployment()) == Opening(Kind.DEPLOY, "1.3.0", supersedes="d1")
    assert decide_deploy("1.1.0", deployment(Kind.ROLLBACK, "1.1.0")) == Opening(Kind.DEPLOY, "1.1.0", supersedes="d1")


def test_a_rollback_goes_to_what_was_served_before() -> None:
    assert decide_rollback("s", deployment(), None) == Opening(Kind.ROLLBACK, "1.1.0", supersedes="d1")
    assert decide_rollback("s", None, deployment()) == Opening(Kind.ROLLBACK, "1.1.0")


def test_a_rollback_that_was_stopped_goes_on() -> None:
    under_way = deployment(Kind.ROLLBACK, "1.1.0", "1.2.0")
    assert decide_rollback("s", under_way, None) == Opening(Kind.ROLLBACK, "1.1.0", resumes="d1")


def test_an_open_deployment_that_tells_no_release_gives_way_to_the_one_done_last() -> None:
    done = Deployment(
        id="d0", kind=Kind.DEPLOY, service="s", environment="lab", version="1.0.0", previous_version="0.9"
    )
    assert decide_rollback("s", deployment(previous=""), done) == Opening(Kind.ROLLBACK, "1.0.0", supersedes="d1")
    with pytest.raises(BadInput, match="no release of s to go back to"):
        decide_rollback("s", deployment(previous=""), None)


def test_rolling_back_twice_never_leads_forward() -> None:
    done = deployment(Kind.ROLLBACK, "1.1.0", "1.2.0")
    assert decide_rollback("s", None, done) == Opening(Kind.ROLLBACK, "1.1.0")


def test_without_a_past_there_is_no_way_back() -> None:
    with pytest.raises(BadInput, match="no release of s to go back to"):
        decide_rollback("s", None, None)


@pytest.mark.parametrize(("kind", "version"), [(Kind.DEPLOY, "1.2.0"), (Kind.ROLLBACK, "1.1.0")])
def test_what_is_open_goes_on_as_it_was(kind: Kind, version: str) -> None:
    opening = decide_resume("s", deployment(kind, version), None, ["n5"], ["lb2"])
    assert opening == Opening(kind, version, resumes="d1", excluded=("n5",), without=("lb2",))


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
