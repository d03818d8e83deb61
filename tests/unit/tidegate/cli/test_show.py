from __future__ import annotations

import io

import pytest
from rich.console import Console

from tests.unit.tidegate.cli.scripted import OPENED
from tidegate.cli import lines, screen
from tidegate.cli.display import Quiet
from tidegate.cli.lines import AGAIN_S, Lines
from tidegate.cli.screen import Screen, fitting
from tidegate.cli.show import make_display
from tidegate.playbook import Said
from tidegate.progress import Mark, Node, Progress


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        for module in (lines, screen):
            monkeypatch.setattr(module, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def console(*, terminal: bool = False, width: int = 120) -> tuple[Console, io.StringIO]:
    written = io.StringIO()
    return Console(file=written, force_terminal=terminal, width=width, color_system=None), written


PLAN = Said("end", "plan", "localhost", result=OPENED)
PUPPET = Said("start", "puppet_run", "n1")


def lines_of(written: io.StringIO) -> list[str]:
    return [line[10:] for line in written.getvalue().splitlines()]


def test_what_takes_longer_than_two_seconds_is_told_and_then_every_quarter_of_a_minute(clock: Clock) -> None:
    where, written = console()
    with Lines(where, "deploy", with_plan=False) as shown:
        shown.hear(PLAN)
        shown.hear(PUPPET)
        for _tick in range(int(5 * (AGAIN_S + 4))):
            clock.now += 0.2
            shown.tick()
    told = lines_of(written)[2:]
    assert told == ["n1: puppet goes on, 2 s so far", "n1: puppet goes on, 12 s so far"]


def test_between_steps_it_is_told_that_ansible_works(clock: Clock) -> None:
    where, written = console()
    with Lines(where, "deploy", with_plan=False) as shown:
        clock.now += 2.5
        shown.tick()
        clock.now += 2.5
        shown.tick()
    assert lines_of(written) == ["deploy", "localhost: Ansible goes on, 2 s so far"]


def test_a_failed_step_is_told_with_its_message(clock: Clock) -> None:
    where, written = console()
    with Lines(where, "deploy", with_plan=False) as shown:
        shown.hear(PLAN)
        shown.hear(Said("start", "nunit", "n1"))
        clock.now += 3.25
        shown.hear(Said("end", "nunit", "n1", ok=False, result={"msg": "2 of 14 tests failed [x]"}))
    assert lines_of(written)[-1] == "wave 1  n1  nunit  3.2 s  FAILED  2 of 14 tests failed [x]"


def test_a_hold_shows_its_cause_alone(clock: Clock) -> None:
    where, written = console()
    held = Said("end", "deployment", "n1", once=True, options={"state": "held"}, result={"msg": "why.\nTry again: x"})
    with Lines(where, "deploy", with_plan=False) as shown:
        shown.hear(held)
    assert lines_of(written)[-1] == "hold  why."


def test_a_terminal_has_a_line_for_each_node_with_its_gates(clock: Clock) -> None:
    where, written = console(terminal=True)
    with Screen(where, "deploy", with_plan=True) as shown:
        shown.hear(PLAN)
        shown.hear(Said("end", "health_check", "n1", options={"step": "release"}, result={}))
        shown.hear(PUPPET)
        clock.now += 7
        shown.tick()
    last = [line for line in written.getvalue().splitlines() if " n1 " in line and "puppet" in line][-1]
    for told in ("1.0.0 → 1.1.0", "online", "puppet", "7 s", "release ✓", "nunit"):
        assert told in last


@pytest.mark.parametrize(("width", "node"), [(80, "n1"), (40, "n1")])
def test_a_narrow_terminal_still_shows_the_nodes(clock: Clock, width: int, node: str) -> None:
    where, written = console(terminal=True, width=width)
    with Screen(where, "deploy", with_plan=False) as shown:
        shown.hear(PLAN)
    assert node in written.getvalue()


def test_of_a_large_site_the_wave_and_the_failed_are_shown_and_the_rest_is_counted() -> None:
    progress = Progress(wave=2)
    for number in range(200):
        progress.nodes[f"n{number}"] = Node(f"n{number}", 1 + number // 10, "main", "1 → 2", "online")
    progress.nodes["n7"].mark = Mark.FAILED
    shown = fitting(progress, 20)
    assert [node.name for node in shown] == ["n7", *(f"n{number}" for number in range(10, 20))]
    assert len(fitting(progress, 5)) == 5
    assert len(fitting(progress, 200)) == 200


def test_the_display_fits_where_it_is_shown() -> None:
    assert isinstance(make_display(console()[0], "", quiet=True, with_plan=False), Quiet)
    assert isinstance(make_display(console()[0], "", quiet=False, with_plan=False), Lines)
    assert isinstance(make_display(console(terminal=True)[0], "", quiet=False, with_plan=False), Screen)
