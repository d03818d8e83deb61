from __future__ import annotations

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.case_text import first_line, without_arguments
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results_case import Case, CaseOutcome


def test_a_message_is_one_safe_bounded_line() -> None:
    told = first_line(Case("T", CaseOutcome.FAILED, "red \x1b[31m\n\n  at " + "x" * 1000))
    assert told.startswith(r"red \x1b[31m  at xxx")
    assert len(told) < 350
    assert first_line(Case("T", CaseOutcome.INCONCLUSIVE)) == "inconclusive"


@pytest.mark.parametrize(
    ("name", "bare"),
    [
        ("S.A", "S.A"),
        ('S.A(1,"a")', "S.A"),
        ("S.A (Data Row 1)", "S.A"),
        ('S.F("EUR").A(2)', "S.F.A"),
        ('S.A("a)b(","\\")","(")', "S.A"),
        ("S.A('(',new Trade(1))", "S.A"),
        ('S.A("it\'s")', "S.A"),
        ("S.A(it's)", "S.A"),
        ('S.A("cut…', 'S.A("cut…'),
        ("S.A)b(", "S.A)b("),
        ("", ""),
    ],
)
def test_the_name_of_a_test_without_its_arguments(name: str, bare: str) -> None:
    assert without_arguments(name) == bare
