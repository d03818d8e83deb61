"""Command lines as Wine's C runtimes and its CommandLineToArgvW read them, and a program that mingw-w64 compiled."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.tidegate.delivery.plugins.module_utils.windows.command_line import (
    LINE_LIMIT,
    direct,
    quote,
    split,
)
from tests.integration.windows.wine import ArgvPrinter

CHARACTERS = st.one_of(st.sampled_from('\\" \t'), st.characters(exclude_categories=["Cc", "Cs", "Cn"]))
ARGUMENTS = st.lists(st.text(CHARACTERS, max_size=12), max_size=9)
PROGRAMS = st.sampled_from(["argv.exe", r"C:\Program Files\argv.exe", r"C:\a b\\c"])
# Each example starts a process under Wine.
UNDER_WINE = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def wine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArgvPrinter]:
    printer = ArgvPrinter(tmp_path_factory.mktemp("wine"))
    yield printer
    printer.close()


@given(program=PROGRAMS, arguments=ARGUMENTS)
@UNDER_WINE
def test_programs_get_the_arguments_that_were_quoted(wine: ArgvPrinter, program: str, arguments: list[str]) -> None:
    argv = [program, *arguments]
    read = wine.read(str(direct(argv)))
    assert (read.command_line_to_argv, read.msvcrt, read.ucrtbase) == (argv, argv, argv)


@given(line=st.text(st.sampled_from('\\\\""" \ta'), max_size=16))
@UNDER_WINE
def test_the_lab_splits_any_line_as_the_c_runtime_does(wine: ArgvPrinter, line: str) -> None:
    line = f"argv.exe {line}"
    read = wine.read(line)
    assert split(line) == read.ucrtbase
    assert split(line, before_2008=True) == read.command_line_to_argv


def test_the_longest_line_arrives_whole(wine: ArgvPrinter) -> None:
    argv = ["argv.exe", "x" * (LINE_LIMIT - len("argv.exe  y")), "y"]
    assert len(str(direct(argv))) == LINE_LIMIT
    assert wine.read(str(direct(argv))).ucrtbase == argv


def test_exit_codes_have_32_bits_on_windows(wine: ArgvPrinter) -> None:
    assert wine.read("argv.exe").rc == 70000


def test_an_argument_that_is_not_quoted_is_another_one(wine: ArgvPrinter) -> None:
    """The negative control: this test sees what quoting is for."""
    assert wine.read('argv.exe a b\\"').ucrtbase == ["argv.exe", "a", 'b"']
    assert wine.read(f"argv.exe {quote('a b')}").ucrtbase == ["argv.exe", "a b"]
