"""Commands, plugins and processes judged from how they ended."""

from __future__ import annotations

import re

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.health.expectation import Difference, Differs
from ansible_collections.tidegate.delivery.plugins.module_utils.health.nagios_plugin import State, parse_range
from ansible_collections.tidegate.delivery.plugins.module_utils.health.node_checks import (
    CommandCheck,
    NodeCheck,
    PluginCheck,
    ProcessCheck,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.node.commands import Ended
from ansible_collections.tidegate.delivery.plugins.module_utils.node.process_start import FoundBy, ProcessQuestion

PORT = ProcessQuestion(FoundBy.PORT, "8080")
LIMITS = {"time": parse_range("0.5")}
HTTP = b"HTTP OK: HTTP/1.1 200 OK | time=0.7s;;;0 size=120B;;;0"


def ended(rc: int, stdout: bytes = b"", stderr: bytes = b"", *, late: bool = False) -> Ended:
    return Ended(rc, stdout, stderr, 5.0, late, asked_at=1000.0)


@pytest.mark.parametrize(
    ("check", "end", "told"),
    [
        (CommandCheck(("a",)), ended(0), ""),
        (CommandCheck(("a",)), ended(1, b"no queue"), "exit code 1, expected 0, it said 'no queue'"),
        (CommandCheck(("a",), (0, 3)), ended(3), ""),
        (CommandCheck(("a",), output=re.compile("^empty$")), ended(0, b"full\n"), "its output has nothing like"),
        (CommandCheck(("a",), output=re.compile("^empty$")), ended(0, b"empty\n"), ""),
        (CommandCheck(("a",)), ended(124, late=True), "it did not end within 5s and was ended"),
        (PluginCheck(("a",)), ended(0, b"OK"), ""),
        (PluginCheck(("a",)), ended(1, b"WARNING - slow"), "WARNING, expected OK, it said 'WARNING - slow'"),
        (PluginCheck(("a",), (State.OK, State.WARNING)), ended(1, b"WARNING - slow"), ""),
        (
            PluginCheck(("a",)),
            ended(127, b"", b"sh: not found"),
            "exit code 127 (there is no such program), expected OK",
        ),
        (PluginCheck(("a",), tuple(State)), ended(7), "exit code 7 (no plugin ends with it), expected OK or WARNING"),
        (PluginCheck(("a",), limits=LIMITS), ended(0, HTTP), "time is 0.7s, allowed is 0.5"),
        (PluginCheck(("a",), limits=LIMITS), ended(0, b"OK"), "it does not tell time in its performance data"),
        (PluginCheck(("a",), limits=LIMITS), ended(0, b"OK|time=U"), "it does not tell time in its performance data"),
        (PluginCheck(("a",)), ended(0, b"OK", late=True), "it did not end within 5s"),
        (ProcessCheck(PORT, 900.0), ended(0, b"77 9999"), ""),
        (
            ProcessCheck(PORT, 900.0),
            ended(0, b"77 10000"),
            "process 77 started 1m40s ago, before the deployment's step",
        ),
        (ProcessCheck(PORT, 900.0), ended(0, b"77 12000"), "before the deployment's step, which began 1m40s ago"),
        (ProcessCheck(PORT, None), ended(0, b"77 999999"), ""),
        (ProcessCheck(PORT, None), ended(44), "there is no such process: the process of port 8080"),
        (ProcessCheck(PORT, 900.0), ended(0, b"garbage"), "can't be told (exit code 0: garbage)"),
        (ProcessCheck(PORT, 900.0), ended(1, b"", b"only root"), "can't be told (exit code 1: only root)"),
    ],
)
def test_what_differs(check: NodeCheck, end: Ended, told: str) -> None:
    found = check.judge(end)
    assert (told in found[0].text) if told else found == []


def test_an_old_process_is_told_apart_and_a_late_one_too() -> None:
    kinds = [
        ProcessCheck(PORT, 900.0).judge(ended(0, b"7 20000")),
        CommandCheck(("a",)).judge(ended(0, late=True)),
    ]
    assert [difference.kind for each in kinds for difference in each] == [Differs.STARTED, Differs.TOO_SLOW]


def test_what_a_program_says_is_shortened_and_can_not_move_the_cursor() -> None:
    [difference] = PluginCheck(("a",)).judge(ended(2, b"\x1b[2J" + b"x" * 10_000))
    assert isinstance(difference, Difference)
    assert len(difference.text) < 300
    assert "\x1b" not in difference.text


@pytest.mark.parametrize(
    ("by", "what"),
    [
        (FoundBy.PORT, "0"),
        (FoundBy.PORT, "65536"),
        (FoundBy.PORT, "http"),
        (FoundBy.UNIT, "--all"),
        (FoundBy.UNIT, "a;b"),
        (FoundBy.PID_FILE, "run/x.pid"),
    ],
)
def test_what_finds_no_process_is_refused(by: FoundBy, what: str) -> None:
    with pytest.raises(BadInput, match="no process is found by"):
        ProcessQuestion(by, what)


@pytest.mark.parametrize("argv", [(), ("",), ("a\0b",)])
def test_what_is_no_program_is_refused(argv: tuple[str, ...]) -> None:
    with pytest.raises(BadInput, match="no program with its arguments"):
        CommandCheck(argv)
