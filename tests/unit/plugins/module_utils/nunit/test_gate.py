from __future__ import annotations

from datetime import date

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.gate import (
    MOST_FAILURES,
    Counts,
    Gate,
    NUnitOutcome,
    Quarantined,
    Rules,
    Verdict,
    gate,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results_case import (
    Case,
    CaseOutcome,
    Results,
    Unread,
)

TODAY = date(2026, 1, 31)
OUTCOMES = {letter: next(o for o in CaseOutcome if o.value[0] == letter) for letter in "pfis"}


def case(letter: str, name: str, *categories: str, assembly: str = "A.dll", message: str = "") -> Case:
    """p(assed), f(ailed), i(nconclusive), s(kipped)."""
    return Case(name, OUTCOMES[letter], message, assembly, categories)


def cases(letters: str, assembly: str = "A.dll") -> list[Case]:
    """One case a letter."""
    return [case(letter, f"T{number}", assembly=assembly) for number, letter in enumerate(letters)]


def judged(found: list[Case], **rules: object) -> Verdict:
    return gate(found, Rules(**rules), TODAY)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("letters", "min_tests", "allowed", "outcome"),
    [
        ("ppp", 3, 0, NUnitOutcome.PASSED),
        ("ppp", 4, 0, NUnitOutcome.TOO_FEW),
        ("ppf", 1, 0, NUnitOutcome.FAILED),
        ("ppf", 3, 1, NUnitOutcome.PASSED),
        ("pff", 1, 1, NUnitOutcome.FAILED),
        ("ppi", 1, 0, NUnitOutcome.FAILED),
        ("ppi", 2, 1, NUnitOutcome.PASSED),
        ("ppi", 3, 1, NUnitOutcome.TOO_FEW),
        ("pps", 2, 0, NUnitOutcome.PASSED),
        ("pps", 3, 0, NUnitOutcome.TOO_FEW),
        ("", 1, 0, NUnitOutcome.NO_TESTS),
        ("", 0, 0, NUnitOutcome.NO_TESTS),
        ("sss", 1, 9, NUnitOutcome.NO_TESTS),
        ("iii", 1, 9, NUnitOutcome.NO_TESTS),
        ("f", 1, 0, NUnitOutcome.FAILED),
    ],
)
def test_numbers_of_tests(letters: str, min_tests: int, allowed: int, outcome: NUnitOutcome) -> None:
    assert judged(cases(letters), min_tests=min_tests, allowed_failures=allowed).outcome is outcome


def test_each_of_several_assemblies_must_have_run() -> None:
    both = ("A.dll", "B.dll")
    # vstest writes them in small letters.
    found = cases("pp", "a.dll") + cases("p", "B.dll")
    assert judged(found, assemblies=both).outcome is NUnitOutcome.PASSED
    verdict = judged(cases("pp", "A.dll") + cases("s", "B.dll"), assemblies=both)
    assert verdict.outcome is NUnitOutcome.NO_TESTS
    assert verdict.sentence == "no test of B.dll ran: of 3 tests 2 passed, 1 skipped"


REQUIRED: list[tuple[list[Case], NUnitOutcome, str]] = [
    ([case("p", "S.A"), case("p", "S.B")], NUnitOutcome.PASSED, "of 2 tests 2 passed"),
    ([case("p", "S.A(1)"), case("p", "S.A(2)"), case("p", "S.B")], NUnitOutcome.PASSED, "of 3 tests 3 passed"),
    (
        [case("p", "S.A(1)"), case("f", "S.A(2)", message="boom"), case("p", "S.A(3)"), case("p", "S.B")],
        NUnitOutcome.FAILED,
        "a test that must pass failed: S.A: boom. Of 4 tests 3 passed, 1 failed",
    ),
    ([case("p", "S.A"), case("f", "S.B", "Slow")], NUnitOutcome.FAILED, "a test that must pass failed: S.B: failed"),
    ([case("p", "S.A"), case("s", "S.B")], NUnitOutcome.MISSING, "tests that must pass did not: S.B (skipped)"),
    ([case("p", "S.A"), case("i", "S.B")], NUnitOutcome.MISSING, "tests that must pass did not: S.B (inconclusive)"),
    (
        [case("p", "S.A")],
        NUnitOutcome.MISSING,
        "S.B (not in the results). The categories may leave out what is not there. Of 1 tests 1 passed",
    ),
    ([case("p", "S.A"), case("p", "S.Bee")], NUnitOutcome.MISSING, "S.B (not in the results)"),
    ([case("p", "S.A"), case("p", "S.B", "Slow")], NUnitOutcome.PASSED, "of 2 tests 1 passed, 1 left out"),
]


@pytest.mark.parametrize(("found", "outcome", "told"), REQUIRED)
def test_required_tests_must_have_passed_whatever_else_is_allowed(
    found: list[Case], outcome: NUnitOutcome, told: str
) -> None:
    verdict = judged(found, required=("S.A", "S.B"), allowed_failures=5, exclude=("Slow",))
    assert verdict.outcome is outcome
    assert told in verdict.sentence


@pytest.mark.parametrize(
    ("include", "exclude", "counts"),
    [
        ((), (), Counts(4, passed=3, failed=1)),
        (("Smoke",), (), Counts(4, passed=2, left_out=2)),
        ((), ("Slow",), Counts(4, passed=1, failed=1, left_out=2)),
        (("Smoke",), ("Slow",), Counts(4, passed=1, left_out=3)),
        (("smoke",), (), Counts(4, left_out=4)),
    ],
)
def test_categories_say_which_cases_count(include: tuple[str, ...], exclude: tuple[str, ...], counts: Counts) -> None:
    found = [
        case("p", "A", "Smoke"),
        case("p", "B", "Smoke", "Slow"),
        case("p", "C", "Slow"),
        case("f", "D"),
    ]
    assert judged(found, include=include, exclude=exclude).counts == counts


def excused(test: str, until: date = TODAY, reason: str = "TRADE-117") -> tuple[Quarantined, ...]:
    return (Quarantined(test, until, reason),)


QUARANTINE: list[tuple[list[Case], tuple[Quarantined, ...], NUnitOutcome, str]] = [
    (
        [case("p", "S.A"), case("f", "S.B")],
        excused("S.B"),
        NUnitOutcome.PASSED,
        "of 2 tests 1 passed, 1 quarantined. In quarantine and not passed: S.B",
    ),
    ([case("p", "S.A"), case("i", "S.B(1)")], excused("S.B"), NUnitOutcome.PASSED, "not passed: S.B(1)"),
    ([case("p", "S.A"), case("p", "S.B")], excused("S.B"), NUnitOutcome.PASSED, "of 2 tests 2 passed"),
    ([case("p", "S.A"), case("f", "S.B(1)")], excused("S.B(2)"), NUnitOutcome.FAILED, "1 failed"),
    # A fixture's name excuses none of its tests, whether it has arguments or not.
    ([case("p", "S.A"), case("f", 'S.F("EUR").B')], excused("S.F"), NUnitOutcome.FAILED, "1 failed"),
    ([case("p", "S.A"), case("f", 'S.F("EUR").B(2)')], excused("S.F.B"), NUnitOutcome.PASSED, "not passed: S.F("),
    (
        [case("p", "S.A"), case("f", "S.B")],
        excused("S.B", date(2026, 1, 30)),
        NUnitOutcome.FAILED,
        "S.B: failed. The quarantine is over of S.B on 2026-01-30 (TRADE-117)",
    ),
    (
        [case("p", "S.A"), case("p", "S.B")],
        excused("S.B", date(2026, 1, 30)),
        NUnitOutcome.PASSED,
        "of 2 tests 2 passed. The quarantine is over of S.B on 2026-01-30 (TRADE-117)",
    ),
    # What is in quarantine proves nothing.
    ([case("f", "S.B")], excused("S.B"), NUnitOutcome.NO_TESTS, "no test ran: of 1 tests 0 passed, 1 quarantined"),
]


@pytest.mark.parametrize(("found", "quarantine", "outcome", "told"), QUARANTINE)
def test_quarantine_lets_a_test_fail_until_its_day_is_over(
    found: list[Case], quarantine: tuple[Quarantined, ...], outcome: NUnitOutcome, told: str
) -> None:
    verdict = judged(found, quarantine=quarantine)
    assert verdict.outcome is outcome
    assert told in verdict.sentence
    assert bool(verdict.expired) is (quarantine[0].until < TODAY)


def test_the_sentence_names_failing_tests_with_their_first_lines_bounded() -> None:
    failing = [case("f", f"Trade.T{number}", message="Expected: 1\n  But was:  2") for number in range(50)]
    verdict = judged(failing)
    assert verdict.sentence.startswith(
        "of 50 tests 0 passed, 50 failed, 0 may fail. Trade.T0: Expected: 1 But was:  2; Trade.T1:"
    )
    assert verdict.sentence.endswith("; and 45 more")
    assert len(verdict.failures) == MOST_FAILURES
    assert verdict.counts == Counts(50, 0, 50, 0, 0)


def test_broken_results_are_named_and_remarks_explain_why_nothing_ran() -> None:
    passed = Gate(Rules(), TODAY)
    passed.see(case("p", "S.A"))
    assert passed.verdict(Unread("cut off")) == Verdict(NUnitOutcome.BROKEN_RESULTS, "cut off")
    verdict = gate([], Rules(), TODAY, Results("NUnit 2", 0, ("Assembly A.dll: bad image",)))
    assert verdict.sentence == "no test ran: of 0 tests 0 passed. Also: Assembly A.dll: bad image"


def test_a_run_that_was_ended_is_no_evidence_although_all_that_ran_passed() -> None:
    results = Results("TRX", 1, aborted="its summary says Aborted")
    verdict = gate(cases("p"), Rules(), TODAY, results)
    assert verdict.outcome is NUnitOutcome.ABORTED
    assert verdict.sentence == "the run was ended early, its summary says Aborted: of 1 tests 1 passed"
    assert gate(cases("f"), Rules(), TODAY, results).outcome is NUnitOutcome.FAILED
