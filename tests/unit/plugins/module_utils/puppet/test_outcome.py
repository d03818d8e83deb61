"""Every outcome has its row in the documentation, word by word, and a test that brings it about for real."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.outcome import PuppetOutcome

HOUSE = Path(__file__).resolve().parents[5]
TESTS = HOUSE / "tests" / "integration"
PAGE = (HOUSE / "docs" / "puppet.md").read_text()


def rows(section: str) -> list[list[str]]:
    """The cells of each row of a section's table, without its head."""
    text = PAGE.partition(f"## {section}\n")[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")][1:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


OUTCOMES = rows("Outcomes")


def remedy(outcome: PuppetOutcome) -> str:
    return outcome.remedy.removesuffix(", then run the same deployment again")


def source(named: str) -> str:
    """The source of the test that is named there. It runs every day."""
    path, _, name = named.strip("`").partition("::")
    text = (TESTS / path).read_text()
    found = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef) and node.name == name]
    assert len(found) == 1, f"{named} is no test"
    marks = [ast.unparse(mark) for mark in found[0].decorator_list]
    assert "pytest.mark.slow" not in marks, f"{named} does not run every day"
    return ast.get_source_segment(text, found[0]) or ""


def test_the_page_has_a_row_for_each_outcome_in_their_order() -> None:
    told = [(cells[0].strip("`"), cells[1], cells[3]) for cells in OUTCOMES]
    assert told == [(outcome.value, outcome.said, remedy(outcome)) for outcome in PuppetOutcome]
    assert all(cells[2] for cells in OUTCOMES)


@pytest.mark.parametrize(("outcome", "cells"), list(zip(PuppetOutcome, OUTCOMES, strict=False)))
def test_each_outcome_is_brought_about_by_the_test_that_the_page_names(
    outcome: PuppetOutcome, cells: list[str]
) -> None:
    assert f"PuppetOutcome.{outcome.name}" in source(cells[4])


@pytest.mark.parametrize("cells", rows("What a run survives"))
def test_what_a_run_survives_has_its_test(cells: list[str]) -> None:
    assert "assert" in source(cells[3])


def test_unknown_is_the_last() -> None:
    assert list(PuppetOutcome)[-1] is PuppetOutcome.UNKNOWN


@pytest.mark.parametrize("outcome", list(PuppetOutcome))
def test_every_outcome_says_what_happened_and_every_bad_one_what_to_do(outcome: PuppetOutcome) -> None:
    assert outcome.said
    assert bool(outcome.remedy) is not outcome.ok
