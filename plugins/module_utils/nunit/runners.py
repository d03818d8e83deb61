# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test runners: each one's command line, how it is told categories, and what its exit code means.

Sources: NUnit 2.6's console help and ConsoleUi.cs; NUnit 3's console help, "Test Selection Language" and
ConsoleRunner.cs; Microsoft's "VSTest.Console.exe command-line options" and "TestCase filter" (vstest's filter.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput


class Runner(StrEnum):
    """Who runs the tests."""

    NUNIT2 = "nunit2"
    NUNIT3 = "nunit3"
    VSTEST = "vstest"


@dataclass(frozen=True, slots=True)
class Selection:
    """Categories of the tests to run: of one of `include`, if there are any, and of none of `exclude`."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Way:
    """One runner; the results file's name is relative to the folder in which it is started."""

    program: tuple[str, ...]
    results: str
    options: tuple[str, ...]
    select: Callable[[Selection], list[str]]
    untold: re.Pattern[str]
    """What its language for categories can't have in a name."""
    exit_codes: Mapping[int, str]


def _nunit2(chosen: Selection) -> list[str]:
    told = (("-include", chosen.include), ("-exclude", chosen.exclude))
    return [f"{option}:{','.join(names)}" for option, names in told if names]


def _nunit3(chosen: Selection) -> list[str]:
    return _filtered("--where=", chosen, "cat == '{}'", "cat != '{}'", " or ", " and ")


def _vstest(chosen: Selection) -> list[str]:
    quoted = Selection(tuple(map(_escaped, chosen.include)), tuple(map(_escaped, chosen.exclude)))
    return _filtered("--TestCaseFilter:", quoted, "TestCategory={}", "TestCategory!={}", "|", "&")


def _filtered(option: str, chosen: Selection, one: str, none: str, either: str, both: str) -> list[str]:
    parts = [none.format(name) for name in chosen.exclude]
    if chosen.include:
        parts.insert(0, f"({either.join(one.format(name) for name in chosen.include)})")
    return [option + both.join(parts)] if parts else []


def _escaped(name: str) -> str:
    return re.sub(r"([\\()&|=!~])", r"\\\1", name)


# Mono hands on the lowest eight bits.
_WAYS: Mapping[Runner, _Way] = {
    Runner.NUNIT2: _Way(
        program=("nunit-console",),
        results="results.xml",
        options=("-nologo", "-xml:results.xml"),
        select=_nunit2,
        untold=re.compile(r"[,+\-!|&()\"']|^\s|\s$"),
        exit_codes={
            255: "it did not take its command line",
            254: "it did not find an assembly",
            253: "it did not find a fixture",
            156: "an error that it did not expect",
        },
    ),
    Runner.NUNIT3: _Way(
        program=("nunit3-console",),
        results="results.xml",
        options=("--noheader", "--nocolor", "--work=.", "--result=results.xml"),
        select=_nunit3,
        untold=re.compile(r"['\\]"),
        exit_codes={
            255: "it did not take its command line",
            254: "an assembly is missing or none",
            252: "a fixture is none",
            251: "an assembly could not be unloaded",
            156: "an error that it did not expect",
        },
    ),
    Runner.VSTEST: _Way(
        program=("vstest.console",),
        results="results.trx",
        options=("--logger:trx;LogFileName=results.trx", "--ResultsDirectory:."),
        select=_vstest,
        untold=re.compile(r"[,\"]"),
        exit_codes={1: "a test failed, or it could not run them"},
    ),
}


def results_of(runner: Runner) -> str:
    """The name of the file in which it leaves its results."""
    return _WAYS[runner].results


def meaning_of(runner: Runner, exit_code: int | None) -> str:
    """`exit code 254: it did not find an assembly`; small ones of NUnit are the number of tests that failed."""
    if exit_code is None:
        return "its exit code could not be kept"
    means = _WAYS[runner].exit_codes.get(exit_code, "")
    return f"exit code {exit_code}{': ' + means if means else ''}"


def command_line(runner: Runner, program: Sequence[str], assemblies: Sequence[str], chosen: Selection) -> list[str]:
    """What is started; `program` may have words of its own in front, such as `mono`. Raises as `require_tellable`."""
    require_tellable(runner, chosen)
    way = _WAYS[runner]
    return [*(program or way.program), *way.options, *way.select(chosen), *assemblies]


def require_tellable(runner: Runner, chosen: Selection) -> None:
    """Raise BadInput for a category that can't be told to this runner as it is."""
    for key, names in (("include", chosen.include), ("exclude", chosen.exclude)):
        for name in names:
            if not name.isprintable() or _WAYS[runner].untold.search(name):
                raise BadInput(
                    f"{runner} can't be told the category {name[:120]!r}",
                    where=f"categories.{key}",
                    remedy="Rename the category: letters, digits and _ always fit",
                )
