"""What speaks against a deployment is said at plan time, with place and remedy, and nothing has been touched."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.lock import Holder, service_lock, this_process
from lab import control
from tests.integration.flow.lab_site import ENVIRONMENT, Played, Site

pytestmark = pytest.mark.lab
Edit = Callable[[dict[str, Any]], object]


@contextmanager
def untouched(site: Site) -> Iterator[None]:
    before = site.snapshot()
    yield
    assert site.snapshot() == before


def assert_refused(played: Played, *said: str) -> None:
    assert played.rc != 0
    for text in said:
        assert text in played.output, played.output
    assert "Traceback" not in played.output


NO_SENSE: tuple[tuple[dict[str, object], tuple[str, ...]], ...] = (
    ({"service": "tradapi", "version": "1.1.0"}, ("service 'tradapi' is unknown",)),
    ({"service": "tradeapi"}, ("no version was named",)),
    ({"version": "1.1.0"}, ("Name the service",)),
    ({"service": "tradeapi", "version": "1.1.0", "exclude": ["n9"]}, ("n9 doesn't host tradeapi",)),
    ({"service": "tradeapi", "version": "1.1.0", "tidegate_services": "/nowhere"}, ("tidegate_services",)),
)
CANNOT_BE_KEPT: dict[str, tuple[Edit, tuple[str, ...]]] = {
    "floor": (
        lambda d: d.update(min_online="100%"),
        ("min_online 100% asks for 6", "tradeapi: min_online", "83% or less"),
    ),
    "unknown-key": (
        lambda d: d.update(min_onlin="60%"),
        ("tradeapi.yml", "min_onlin: Extra inputs are not permitted"),
    ),
    "node-missing-in-a-pool": (
        lambda d: d["sites"][0].update(nodes="nodes"),
        ("p1 is missing in tradeapi_online", "Add `server p1"),
    ),
    "unknown-group": (
        lambda d: d["sites"][0].update(nodes="nowhere"),
        ("'nowhere' is unknown or empty", "sites.lab.nodes"),
    ),
    "unknown-backend": (
        lambda d: d["pools"][0].update(online="traedapi"),
        ("lb1 has no backend traedapi", "Correct the pools"),
    ),
    "co-hosted-service": (lambda d: d.update(moves_with=[]), ("n6 also hosts pricefeed", "moves_with: [pricefeed]")),
    "no-yaml": (lambda _described: None, ("not valid YAML", "broken.yml")),
}
NOT_WRITABLE = ("the deployment's folder can't be written", "Give tidegate_deployments a folder")


def test_requests_that_make_no_sense_and_descriptors_that_can_not_be_kept(site: Site, tmp_path: Path) -> None:
    """All of them asked for in one playbook: it is the plan that refuses."""
    asked = {"service": "tradeapi", "version": "1.3.0"}
    requests = list(NO_SENSE)
    for name, (edit, said) in CANNOT_BE_KEPT.items():
        requests.append(({**asked, "tidegate_services": str(site.edited_services(tmp_path, edit, name))}, said))
    (tmp_path / "no-yaml" / "broken.yml").write_text("name: [broken")
    (tmp_path / "in-the-way").write_text("")
    requests += [
        ({**asked, "tidegate_deployments": str(tmp_path / "in-the-way"), "check": check}, NOT_WRITABLE)
        for check in (False, True)
    ]
    places = {"tidegate_services": str(site.services), "tidegate_deployments": str(tmp_path / "deployments")}
    with untouched(site):
        played = site.play(
            "../tests/integration/flow/plans",
            tidegate_services=None,
            requests=[{**places, **request} for request, _said in requests],
            told_in=str(tmp_path / "told.json"),
        )
    assert played.rc == 0, played.output
    assert "Traceback" not in played.output
    told = json.loads((tmp_path / "told.json").read_text())
    missing = [
        (request, text, each)
        for (request, said), each in zip(requests, told, strict=True)
        for text in said
        if text not in each
    ]
    assert not missing


def test_a_node_that_cannot_be_reached(site: Site) -> None:
    control.stop_sshd(site.layout, "n5")
    with untouched(site):
        assert_refused(site.deploy("1.3.0"), "node n5 can't be reached", "exclude")


def test_a_load_balancer_that_does_not_answer(site: Site) -> None:
    control.stop_sshd(site.layout, "lb2")
    with untouched(site):
        assert_refused(site.deploy("1.3.0"), "lb2")


def test_fewer_forks_than_the_largest_wave(site: Site) -> None:
    version = site.rarest_version()
    with untouched(site):
        assert_refused(site.deploy(version, "--forks", "1"), "1 forks are fewer than the largest wave")


def test_a_refusal_is_in_the_ledger(site: Site) -> None:
    site.deploy("9.9.9")
    last = site.last_event()
    assert (last.step, last.outcome, last.service) == (Step.REFUSE, Outcome.REFUSED, "tradeapi")
    assert "9.9.9" in str(last.details["msg"])


def test_a_lock_that_somebody_else_holds(site: Site) -> None:
    holder = Holder(user="alice", process=this_process(), deployment="tradeapi-of-alice", doing="wave 2")
    lease = site.locks.acquire([service_lock(ENVIRONMENT, "tradeapi")], holder, 60)
    try:
        with untouched(site):
            played = site.deploy("1.3.0")
        assert_refused(played, "is locked by alice on", "tradeapi-of-alice", "doing wave 2", "playbooks/status.yml")
    finally:
        site.locks.release(lease)


def test_limit_which_drops_nodes_silently(site: Site) -> None:
    with untouched(site):
        played = site.deploy("1.3.0", "--limit", "n1")
    assert_refused(played, "--limit drops nodes silently", "exclude")
    assert "Decide what happens to each node" not in played.output


def test_an_effect_of_a_deployment_that_is_not_there(site: Site) -> None:
    with untouched(site):
        played = site.play("../tests/integration/flow/effect_by_hand", deployment="tradeapi-made-up")
        assert_refused(played, "there is no deployment 'tradeapi-made-up' in environment lab", "playbooks/deploy.yml")


def test_an_effect_of_a_deployment_that_is_over(site: Site) -> None:
    done = _done(site)
    with untouched(site):
        played = site.play("../tests/integration/flow/effect_by_hand", deployment=done)
        assert_refused(played, f"deployment {done} is done", "Run the playbook again")


def _done(site: Site) -> str:
    """The id of a deployment that is done; a lab in which nobody has deployed yet gets one."""
    found = site.ledger.last_done("tradeapi", ENVIRONMENT)
    if found is None:
        played = site.deploy(site.other_version("n1"), nodes=["n1"])
        assert played.rc == 0, played.output
        found = site.deployment()
    return found.id
