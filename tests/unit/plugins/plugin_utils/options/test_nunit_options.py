"""The gate's options, validated by both modules' documentation, and the verdict as a result."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step, canonical
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.gate import Quarantined, Rules, gate
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results_case import Case, CaseOutcome
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.arguments import argument_spec
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.nunit_options import numbers, rules

EXCUSED = {"test": "S.B", "until": "2026-12-31", "reason": "TRADE-117"}


def options(**given: Any) -> dict[str, Any]:
    validated = ArgumentSpecValidator(argument_spec("nunit")).validate({"deployment": "d1", **given})
    assert not validated.error_messages
    return dict(validated.validated_parameters)


def test_nothing_given_is_the_gates_own_default() -> None:
    assert rules(options()) == Rules()


def test_every_option_becomes_a_rule() -> None:
    given = options(
        min_tests=5,
        allowed_failures=1,
        required_tests=["S.A"],
        categories={"include": ["Smoke"], "exclude": ["Slow"]},
        quarantine=[EXCUSED],
    )
    assert rules(given, ["A.dll"]) == Rules(
        min_tests=5,
        allowed_failures=1,
        required=("S.A",),
        include=("Smoke",),
        exclude=("Slow",),
        quarantine=(Quarantined("S.B", date(2026, 12, 31), "TRADE-117"),),
        assemblies=("A.dll",),
    )


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"quarantine": [EXCUSED | {"until": "soon"}]}, "quarantine.until"),
        ({"quarantine": [EXCUSED | {"until": "2026-02-30"}]}, "quarantine.until"),
        ({"quarantine": [EXCUSED], "required_tests": ["S.B"]}, "required_tests"),
        ({"quarantine": [EXCUSED, EXCUSED | {"until": "2026-01-01"}]}, "quarantine"),
        ({"min_tests": 0}, "min_tests"),
        ({"allowed_failures": -1}, "allowed_failures"),
    ],
)
def test_options_that_make_no_rule_are_named(given: dict[str, Any], where: str) -> None:
    with pytest.raises(BadInput) as error:
        rules(options(**given))
    assert error.value.where == where


def test_the_verdict_is_told_in_numbers_and_lines() -> None:
    found = [
        Case("S.A", CaseOutcome.FAILED, "boom"),
        Case("S.B", CaseOutcome.INCONCLUSIVE, "cannot tell"),
        Case("S.C", CaseOutcome.PASSED, categories=("Slow",)),
    ]
    expired = EXCUSED | {"test": "S.Z", "until": "2026-01-01"}
    wanted = rules(options(quarantine=[EXCUSED, expired], categories={"exclude": ["Slow"]}))
    told = numbers(gate(found, wanted, date(2026, 1, 31)))
    assert (told["total"], told["passed"], told["failed_tests"], told["left_out"]) == (3, 0, 1, 1)
    assert told["failing"] == ["S.A: boom"]
    assert told["quarantined"] == ["S.B"]
    assert told["expired_quarantine"] == ["S.Z on 2026-01-01: TRADE-117"]


@pytest.mark.parametrize("letter", ["\U0001f600", "\x1b", "\u2028", '"', "\\"])
def test_whatever_tests_are_called_an_event_has_room_for_them(letter: str) -> None:
    long = letter * 3000
    found = [Case(f"{number}{long}", CaseOutcome.FAILED, long) for number in range(60)]
    excused = [EXCUSED | {"test": f"{number}{long}"} for number in range(20, 60)]
    expired = [EXCUSED | {"test": f"e{number}{long}", "until": "2026-01-01", "reason": long} for number in range(40)]
    verdict = gate(found, rules(options(quarantine=excused + expired)), date(2026, 1, 31))
    told = numbers(verdict)
    details = {key: told[key] for key in ("failing", "quarantined", "expired_quarantine")} | {"msg": verdict.sentence}
    event = Event(
        service="s",
        environment="lab",
        deployment="d",
        attempt=1,
        step=Step.NUNIT,
        outcome=Outcome.FAILED,
        details=details,
    )
    assert canonical(event, 1, "0" * 64)
