"""The tables of docs/windows.md name tests that are there, and leave nothing open."""

from __future__ import annotations

import re

import pytest

from lab.layout import PROJECT

TEXT = (PROJECT / "docs" / "windows.md").read_text()
INTEGRATION = PROJECT / "tests" / "integration"


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without its first two lines."""
    section = re.split(r"^#+ ", TEXT.partition(f"# {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


FAULTS = rows("WinRM's faults")


def test_there_is_a_table() -> None:
    assert len(FAULTS) > 15


@pytest.mark.parametrize("row", FAULTS, ids=[row[0] for row in FAULTS])
def test_every_fault_has_evidence_an_outcome_and_a_test_that_is_there(row: list[str]) -> None:
    assert len(row) == 6
    assert all(row)
    path, _, name = row[-1].strip("`").partition("::")
    text = (INTEGRATION / path).read_text()
    assert re.search(rf"^def {name}\(", text, re.MULTILINE)
    # Every day, in all its variants.
    marks = text[: text.index(f"\ndef {name}(")].rpartition("\n\n\n")[2]
    assert "mark.slow" not in marks
    assert not re.search(r"^pytestmark.*mark.slow", text, re.MULTILINE)


def test_every_test_that_the_page_names_is_there() -> None:
    texts = [path.read_text() for path in INTEGRATION.glob("*/test_*.py")]
    there = {name for text in texts for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE)}
    assert set(re.findall(r"::(test_\w+)", TEXT)) <= there
