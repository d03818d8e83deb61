from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step, genesis
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Kind, Ledger, State
from tidegate import ledger as ledger_module
from tidegate.ledger import SqlLedger
from tidegate.store import Store

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(path: Path) -> Ledger:
    return SqlLedger(Store(f"sqlite:///{path}"))


def event(deployment: str = "d1", step: Step = Step.PLAN, environment: str = "lab", service: str = "tradeapi") -> Event:
    return Event(
        service=service, environment=environment, deployment=deployment, attempt=1, step=step, outcome=Outcome.OK
    )


def record(name: str = "d1", version: str = "1.1.0", kind: Kind = Kind.DEPLOY) -> Deployment:
    return Deployment(
        id=name,
        kind=kind,
        service="tradeapi",
        environment="lab",
        version=version,
        digest="sha256:ab",
        previous_version="1.0.0",
        nodes=("n1", "n2"),
        services=("tradeapi", "pricefeed"),
        plan='{"waves":[["n1"],["n2"]]}',
        opened_by="alice",
    )


def test_an_event_is_stamped_chained_and_read_back(ledger: Ledger) -> None:
    first, second = ledger.append(event()), ledger.append(event(step=Step.LEAVE))
    assert [first.seq, second.seq] == [1, 2]
    assert STAMP.fullmatch(first.event.at)
    assert list(ledger.entries("lab")) == [first, second]
    assert ledger.head("lab") == second.anchor
    assert ledger.verify("lab", first.anchor).intact


def test_the_stamp_is_the_ledgers_own(ledger: Ledger) -> None:
    entry = ledger.append(replace(event(), at="1999-01-01T00:00:00.000Z"))
    assert not entry.event.at.startswith("1999")


def test_each_environment_has_a_chain_of_its_own(ledger: Ledger) -> None:
    ledger.append(event(environment="qa"))
    assert ledger.append(event()).seq == 1
    assert ledger.head("prod") == (0, genesis("prod"))
    assert ledger.verify("prod").upto == 0


def test_the_same_event_is_not_written_twice(ledger: Ledger) -> None:
    once = event()
    ledger.append(once)
    with pytest.raises(BadInput, match=f"event {once.id} is in the ledger already"):
        ledger.append(once)
    assert ledger.head("lab")[0] == 1


def test_entries_can_be_had_by_deployment_and_from_a_place_on(ledger: Ledger) -> None:
    for name in ("d1", "d2", "d1", ""):
        ledger.append(event(deployment=name))
    assert [entry.seq for entry in ledger.entries("lab", deployment="d1")] == [1, 3]
    assert [entry.seq for entry in ledger.entries("lab", deployment="d1", since=1)] == [3]
    assert [entry.seq for entry in ledger.entries("lab", since=2)] == [3, 4]
    assert [entry.seq for entry in ledger.entries("lab", deployment="")] == [4]


def test_deployments_are_listed_newest_first_of_one_service_or_of_all(ledger: Ledger) -> None:
    ledger.open(record("d1", kind=Kind.HAND), event("d1"))
    other = replace(record("d2", kind=Kind.HAND), service="pricefeed")
    ledger.open(other, event("d2", service="pricefeed"))
    ledger.open(replace(record("d3", kind=Kind.HAND), environment="dev"), event("d3", environment="dev"))
    assert [each.id for each in ledger.deployments("tradeapi", "lab")] == ["d1"]
    assert [each.id for each in ledger.deployments("", "lab")] == ["d2", "d1"]
    assert [each.id for each in ledger.deployments("", "lab", 1)] == ["d2"]


def test_a_deployments_entries_of_some_steps_are_found_without_reading_the_others(ledger: Ledger, path: Path) -> None:
    steps = [Step.PLAN, Step.LEAVE, Step.FREEZE, Step.JOIN, Step.PLAN]
    for step in steps:
        ledger.append(event(step=step))
    ledger.append(event(deployment="d2"))
    found = ledger.entries_of("lab", "d1", [Step.PLAN, Step.LEAVE, Step.PLAN])
    assert [(entry.seq, entry.event.step) for entry in found] == [(1, Step.PLAN), (2, Step.LEAVE), (5, Step.PLAN)]
    assert ledger.entries_of("lab", "d1", [Step.HOLD]) == []
    with sqlite3.connect(path) as connection:
        plan = connection.execute(
            "EXPLAIN QUERY PLAN SELECT body FROM entries WHERE chain = 'lab' AND deployment = 'd1' AND "
            "CASE WHEN json_valid(body) THEN json_extract(body, '$.step') END = 'plan' ORDER BY seq"
        ).fetchall()
    assert "USING INDEX entries_step" in plan[0][3]


def test_entries_are_read_in_pages_and_writers_are_not_held_up(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "PAGE", 2)
    for _ in range(5):
        ledger.append(event())
    reading = ledger.entries("lab")
    seen = [next(reading).seq]
    ledger.append(event())
    assert seen + [entry.seq for entry in reading] == [1, 2, 3, 4, 5, 6]
    assert ledger.verify("lab").upto == 6


def test_a_deployment_is_read_back_as_it_was_opened(ledger: Ledger) -> None:
    opened = ledger.open(record(), event())
    assert STAMP.fullmatch(opened.opened_at)
    assert opened == replace(record(), opened_at=opened.opened_at)
    assert ledger.deployment("d1") == ledger.open_deployment("tradeapi", "lab") == opened
    assert [entry.event.deployment for entry in ledger.entries("lab")] == ["d1"]


def test_nothing_is_found_where_nothing_is(ledger: Ledger) -> None:
    assert ledger.deployment("d1") is None
    assert ledger.open_deployment("tradeapi", "lab") is None
    assert ledger.last_done("tradeapi", "lab") is None
    assert ledger.deployments("tradeapi", "lab") == []


@pytest.mark.parametrize("state", [State.OPEN, State.HELD])
def test_a_second_deployment_of_the_service_is_refused(ledger: Ledger, state: State) -> None:
    ledger.open(record(), event())
    ledger.update_state("d1", state, event())
    before = ledger.head("lab")
    with pytest.raises(Refused) as refusal:
        ledger.open(record("d2"), event("d2"))
    assert str(refusal.value) == (
        f"deployment d1 (deploy of 1.1.0, attempt 1) is {state} (tradeapi in lab). "
        "Continue it, roll it back, or supersede it with a new release."
    )
    assert ledger.head("lab") == before
    assert ledger.deployment("d2") is None


def test_other_services_and_environments_are_free(ledger: Ledger) -> None:
    ledger.open(record(), event())
    ledger.open(replace(record("d2"), environment="qa"), event("d2", environment="qa"))
    ledger.open(replace(record("d3"), service="pricefeed"), event("d3", service="pricefeed"))
    found = ledger.open_deployment("pricefeed", "lab")
    assert found is not None
    assert found.id == "d3"


def test_a_move_by_hand_neither_waits_for_a_deployment_nor_blocks_one(ledger: Ledger) -> None:
    ledger.open(record("h1", kind=Kind.HAND), event("h1"))
    ledger.open(record(), event())
    ledger.open(record("h2", kind=Kind.HAND), event("h2"))
    found = ledger.open_deployment("tradeapi", "lab")
    assert found is not None
    assert found.id == "d1"


def test_a_new_release_supersedes_the_open_one_in_one_transaction(ledger: Ledger) -> None:
    ledger.open(record(), event())
    ledger.update_state("d1", State.HELD, event(step=Step.HOLD))
    ledger.open(record("d2", "1.2.0"), event("d2"), supersedes=("d1", event(step=Step.CLOSE)))
    old = ledger.deployment("d1")
    assert old is not None
    assert old.state is State.SUPERSEDED
    assert STAMP.fullmatch(old.closed_at)
    assert [entry.event.deployment for entry in ledger.entries("lab", since=2)] == ["d1", "d2"]


def test_a_supersession_that_fails_leaves_the_old_one_open(ledger: Ledger) -> None:
    opened = ledger.open(record(), event())
    with pytest.raises(BadInput, match="there is a deployment 'd1' already"):
        ledger.open(record("d1"), event("d1"), supersedes=("d1", event()))
    assert ledger.deployment("d1") == opened
    assert ledger.head("lab")[0] == 1


def test_a_new_attempt_opens_a_held_deployment_again(ledger: Ledger) -> None:
    ledger.open(record(), event())
    ledger.update_state("d1", State.HELD, event(step=Step.HOLD))
    again = ledger.new_attempt("d1", '{"waves":[["n2"]]}', ("n2",), event())
    assert (again.attempt, again.state, again.nodes, again.plan) == (2, State.OPEN, ("n2",), '{"waves":[["n2"]]}')
    assert ledger.deployment("d1") == again
    assert [entry.event.attempt for entry in ledger.entries("lab")] == [1, 1, 2]


@pytest.mark.parametrize("state", [State.DONE, State.ROLLED_BACK, State.SUPERSEDED])
def test_what_is_closed_stays_closed(ledger: Ledger, state: State) -> None:
    ledger.open(record(), event())
    closed = ledger.update_state("d1", state, event(step=Step.CLOSE))
    assert STAMP.fullmatch(closed.closed_at)
    assert ledger.open_deployment("tradeapi", "lab") is None
    with pytest.raises(Refused, match=f"deployment d1 is {state} since .* and can't become open"):
        ledger.new_attempt("d1", "{}", (), event())
    with pytest.raises(Refused, match="can't become held"):
        ledger.update_state("d1", State.HELD, event())
    assert ledger.deployment("d1") == closed
    assert ledger.head("lab")[0] == 2


def test_an_unknown_deployment_is_refused_with_how_to_find_the_known_ones(ledger: Ledger) -> None:
    changes: list[Callable[[], Deployment]] = [
        lambda: ledger.update_state("d9", State.HELD, event("d9")),
        lambda: ledger.new_attempt("d9", "{}", (), event("d9")),
        lambda: ledger.open(record(), event(), supersedes=("d9", event("d9"))),
    ]
    for change in changes:
        with pytest.raises(BadInput, match=r"there is no deployment 'd9' in the ledger .*playbooks/history\.yml"):
            change()
    assert ledger.head("lab")[0] == 0


@pytest.mark.parametrize(
    "other", [event("d2"), event(environment="qa"), event(service="pricefeed")], ids=["id", "environment", "service"]
)
def test_record_and_event_are_about_the_same_thing(ledger: Ledger, other: Event) -> None:
    with pytest.raises(BadInput, match=r"the event is about .* and not about this one"):
        ledger.open(record(), other)
    assert ledger.deployment("d1") is None
    opened = ledger.open(record(), event())
    with pytest.raises(BadInput, match="the event is about"):
        ledger.update_state("d1", State.HELD, other)
    assert ledger.deployment("d1") == opened


def test_a_plan_without_bound_is_refused(ledger: Ledger) -> None:
    with pytest.raises(BadInput, match="the plan is longer than"):
        ledger.open(replace(record(), plan="x" * (4 * 1024 * 1024 + 1)), event())


def test_last_done_is_what_the_nodes_are_meant_to_serve(ledger: Ledger) -> None:
    for name, version, kind, state in (
        ("d1", "1.0.0", Kind.DEPLOY, State.DONE),
        ("d2", "1.1.0", Kind.DEPLOY, State.ROLLED_BACK),
        ("d3", "1.0.1", Kind.ROLLBACK, State.DONE),
        ("d4", "1.2.0", Kind.DEPLOY, State.SUPERSEDED),
        ("h1", "", Kind.HAND, State.DONE),
        ("d5", "1.3.0", Kind.DEPLOY, State.HELD),
    ):
        ledger.open(record(name, version, kind), event(name))
        ledger.update_state(name, state, event(name))
    done = ledger.last_done("tradeapi", "lab")
    assert done is not None
    assert done.id == "d3"
    assert [found.id for found in ledger.deployments("tradeapi", "lab", limit=4)] == ["d5", "h1", "d4", "d3"]


def tamper(path: Path, *statements: str) -> None:
    """What somebody with the file and sqlite3 can do: the guards are theirs to drop."""
    raw = sqlite3.connect(path, isolation_level=None)
    for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        raw.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        raw.execute(statement)
    raw.close()


SWAP = tuple(f"UPDATE entries SET seq = {new} WHERE seq = {old}" for old, new in ((4, 99), (5, 4), (99, 5)))


@pytest.mark.parametrize(
    ("statements", "upto", "told"),
    [
        (("UPDATE entries SET body = replace(body, 'plan', 'pool') WHERE seq = 4",), 3, "entry 4 is not what was"),
        (("UPDATE entries SET body = CAST(x'ff00' AS TEXT) WHERE seq = 4",), 3, "entry 4 is not what was written"),
        (("UPDATE entries SET hash = x'ff' WHERE seq = 4",), 3, "entry 4 is not what was written"),
        (("UPDATE entries SET deployment = 'd2' WHERE seq = 4",), 3, "entry 4 is filed under another deployment"),
        (("UPDATE entries SET seq = 'four' WHERE seq = 4",), 3, "entry 4 is missing; 5 stands in its place"),
        (("UPDATE entries SET chain = 'qa' WHERE seq = 4",), 3, "entry 4 is missing"),
        (("DELETE FROM entries WHERE seq = 4",), 3, "entry 4 is missing; 5 stands in its place"),
        (("DELETE FROM entries WHERE seq = 1",), 0, "entry 1 is missing"),
        (
            ("DELETE FROM entries WHERE seq = 4", "UPDATE entries SET seq = seq - 1 WHERE seq > 4"),
            3,
            "entry 4 does not",
        ),
        (SWAP, 3, "entry 4 does not name the entry before it"),
        (("DELETE FROM entries WHERE seq > 6",), 6, "the entries up to 8, which the anchor names, are missing"),
        (("DELETE FROM entries",), 0, "the entries up to 8, which the anchor names, are missing"),
    ],
)
def test_tampering_is_found_where_it_happened(
    ledger: Ledger, path: Path, statements: tuple[str, ...], upto: int, told: str
) -> None:
    for _ in range(8):
        ledger.append(event())
    anchor = ledger.head("lab")
    assert ledger.verify("lab", anchor).intact
    tamper(path, *statements)
    verdict = ledger.verify("lab", anchor)
    assert verdict.upto == upto
    assert verdict.problem.startswith(told)


def test_a_ledger_cut_short_without_an_anchor_claims_no_more_than_it_can(ledger: Ledger, path: Path) -> None:
    for _ in range(3):
        ledger.append(event())
    tamper(path, "DELETE FROM entries WHERE seq > 1")
    assert str(ledger.verify("lab")).startswith("intact up to 1; without an anchor nobody can tell")


def test_reading_an_entry_that_is_no_event_is_an_error_in_words(ledger: Ledger, path: Path) -> None:
    ledger.append(event())
    tamper(path, "UPDATE entries SET body = '{'")
    with pytest.raises(BadInput, match="event is not JSON"):
        list(ledger.entries("lab"))


def test_the_stored_text_is_plain_json_with_its_place(ledger: Ledger, path: Path) -> None:
    entry = ledger.append(event())
    (body,) = sqlite3.connect(path).execute("SELECT body FROM entries").fetchone()
    stored = json.loads(body)
    assert (stored["seq"], stored["prev"], stored["at"]) == (1, genesis("lab"), entry.event.at)


def moved(deployment: str, step: Step, *nodes: str) -> Event:
    return replace(event(deployment, step), nodes=nodes)


def test_older_entries_are_those_of_the_nodes_before_the_newest_deployments(ledger: Ledger) -> None:
    for number in range(1, 5):
        ledger.open(record(f"h{number}", kind=Kind.HAND), event(f"h{number}"))
    first = ledger.append(moved("h1", Step.LEAVE, "n1", "n2"))
    ledger.append_all([moved("h1", Step.LEAVE, "n3"), moved("h1", Step.PIN, "n1")])
    second = ledger.append(moved("h2", Step.JOIN, "n1"))
    ledger.append(moved("h3", Step.LEAVE, "n1"))
    asked = ("lab", "tradeapi", 2, (Step.LEAVE, Step.JOIN))
    assert ledger.older_entries(*asked, ["n1", "n9"]) == [first, second]
    assert ledger.older_entries(*asked, ["n9"]) == []
    assert ledger.older_entries("lab", "tradeapi", 4, (Step.LEAVE,), ["n1"]) == []
    assert ledger.older_entries("qa", "tradeapi", 0, (Step.LEAVE,), ["n1"]) == []


def test_moves_by_hand_are_those_that_have_no_end(ledger: Ledger) -> None:
    ledger.open(record("d1"), event("d1"))
    for name in ("h1", "h2", "h3"):
        ledger.open(record(name, kind=Kind.HAND), event(name))
    ledger.update_state("h1", State.HELD, event("h1", Step.HOLD))
    ledger.update_state("h2", State.DONE, event("h2", Step.CLOSE))
    assert [each.id for each in ledger.moves_by_hand("tradeapi", "lab")] == ["h3", "h1"]
    assert ledger.moves_by_hand("pricefeed", "lab") == []
