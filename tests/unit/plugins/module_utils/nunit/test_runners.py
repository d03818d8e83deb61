"""Every runner's command line; nunit-console's is also run, in tests/integration/nunit."""

from __future__ import annotations

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.runners import (
    Runner,
    Selection,
    command_line,
    meaning_of,
    require_tellable,
    results_of,
)

CHOSEN = Selection(("Smoke", "Two words"), ("Slow", "Flaky"))


@pytest.mark.parametrize(
    ("runner", "chosen", "line"),
    [
        (Runner.NUNIT2, Selection(), ["nunit-console", "-nologo", "-xml:results.xml", "A.dll", "B.dll"]),
        (
            Runner.NUNIT2,
            CHOSEN,
            [
                *("nunit-console", "-nologo", "-xml:results.xml"),
                *("-include:Smoke,Two words", "-exclude:Slow,Flaky", "A.dll", "B.dll"),
            ],
        ),
        (
            Runner.NUNIT3,
            CHOSEN,
            [
                *("nunit3-console", "--noheader", "--nocolor", "--work=.", "--result=results.xml"),
                "--where=(cat == 'Smoke' or cat == 'Two words') and cat != 'Slow' and cat != 'Flaky'",
                *("A.dll", "B.dll"),
            ],
        ),
        (
            Runner.NUNIT3,
            Selection((), ("Slow",)),
            [
                *("nunit3-console", "--noheader", "--nocolor", "--work=.", "--result=results.xml"),
                *("--where=cat != 'Slow'", "A.dll", "B.dll"),
            ],
        ),
        (
            Runner.VSTEST,
            Selection(("Smoke", "a&b"), ("Slow",)),
            [
                *("vstest.console", "--logger:trx;LogFileName=results.trx", "--ResultsDirectory:."),
                r"--TestCaseFilter:(TestCategory=Smoke|TestCategory=a\&b)&TestCategory!=Slow",
                *("A.dll", "B.dll"),
            ],
        ),
    ],
)
def test_each_runner_is_told_in_its_own_words(runner: Runner, chosen: Selection, line: list[str]) -> None:
    assert command_line(runner, (), ["A.dll", "B.dll"], chosen) == line


def test_a_program_of_the_boxs_own_goes_in_front() -> None:
    line = command_line(Runner.NUNIT3, ("mono", "/opt/nunit3/nunit3-console.exe"), ["A.dll"], Selection())
    assert line[:3] == ["mono", "/opt/nunit3/nunit3-console.exe", "--noheader"]


@pytest.mark.parametrize(
    ("runner", "name"),
    [
        *((Runner.NUNIT2, name) for name in ("a,b", "a+b", "a-b", "!a", "a|b", "a&b", "(a", " a", "a ", "a\nb")),
        *((Runner.NUNIT3, name) for name in ("a'b", "a\\", "a\tb")),
        *((Runner.VSTEST, name) for name in ("a,b", 'a"b')),
    ],
)
def test_a_category_that_a_runner_would_read_as_something_else_is_refused(runner: Runner, name: str) -> None:
    with pytest.raises(BadInput) as caught:
        require_tellable(runner, Selection(exclude=(name,)))
    assert caught.value.where == "categories.exclude"
    assert str(runner) in caught.value.message


@pytest.mark.parametrize(
    ("runner", "code", "told"),
    [
        (Runner.NUNIT2, 254, "exit code 254: it did not find an assembly"),
        (Runner.NUNIT3, 251, "exit code 251: an assembly could not be unloaded"),
        (Runner.VSTEST, 1, "exit code 1: a test failed, or it could not run them"),
        (Runner.NUNIT2, 3, "exit code 3"),
        (Runner.NUNIT3, None, "its exit code could not be kept"),
    ],
)
def test_exit_codes_are_told_in_words(runner: Runner, code: int | None, told: str) -> None:
    assert meaning_of(runner, code) == told


@pytest.mark.parametrize("runner", list(Runner))
def test_every_runner_has_a_program_and_says_where_its_results_go(runner: Runner) -> None:
    assert command_line(runner, (), (), Selection())[0] in ("nunit-console", "nunit3-console", "vstest.console")
    assert any(results_of(runner) in word for word in command_line(runner, (), ["A.dll"], Selection()))
