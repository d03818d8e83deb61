"""`tidegate.delivery.deployment_report` as ansible-playbook runs it: of a deployment, of a service, to a file."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import State
from tests.integration.checks.plays import Place


def deployment_report(**options: str) -> dict[str, dict[str, str]]:
    return {"tidegate.delivery.deployment_report": options}


def test_a_held_deployments_report_is_made_anew_from_the_ledger_alone(tmp_path: Path) -> None:
    place = Place(tmp_path, {})
    held = Event(
        service="probe",
        environment="test",
        deployment="d1",
        attempt=1,
        step=Step.HOLD,
        outcome=Outcome.HELD,
        nodes=("n1",),
        details={"cause": "health failed on n1", "msg": "health failed on n1"},
    )
    place.ledger.update_state("d1", State.HELD, held)
    dest = tmp_path / "reports" / "d1.html"
    done = place.play(deployment_report(of="probe", dest=str(dest)), lock=False)
    assert done.rc == 0, done.output
    assert (done.result["deployment"], done.result["path"], done.result["changed"]) == ("d1", str(dest), True)
    page = dest.read_text().replace("<wbr>", "")
    assert "<title>Held: probe 1.1.0 in test</title>" in page
    assert "rollback.yml" in page
    assert place.ledger.head("test")[1] in page


def test_what_cannot_be_made_is_told_with_what_to_do(tmp_path: Path) -> None:
    place = Place(tmp_path, {})
    unknown = place.play(deployment_report(of="other", dest=str(tmp_path / "x.html")), lock=False)
    assert unknown.rc != 0
    assert "there is no deployment 'other' in environment test" in unknown.result["msg"]
    nowhere = place.play(deployment_report(of="d1"), lock=False)
    assert nowhere.rc != 0
    assert "it has no folder" in nowhere.result["msg"] and "dest" in nowhere.result["msg"]
    assert not list(tmp_path.rglob("*.html"))
