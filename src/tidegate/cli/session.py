"""One playbook, shown while it runs, stopped when somebody asks for it, judged at its end."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click
from rich.console import Console

from ansible_collections.tidegate.delivery.plugins.module_utils import advice
from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import printable, printable_json
from ansible_collections.tidegate.delivery.plugins.module_utils.lasting_stream import to_nowhere
from tidegate.cli.options import Common
from tidegate.cli.show import make_display
from tidegate.interrupt import Interruption, interruptible
from tidegate.outcome import Exit, Verdict
from tidegate.playbook import Playbook, Said, last, run_playbook
from tidegate.processes import Brood

Judge = Callable[..., Verdict]


@dataclass(frozen=True, slots=True)
class Run:
    """A playbook that ended: what was said, and the verdict."""

    said: Sequence[Said]
    verdict: Verdict
    interrupted: bool = False

    def result(self, action: str) -> Mapping[str, Any]:
        """The last result of an action; empty when it gave none."""
        end = last(self.said, action)
        return end.result if end else {}


def carry_out(playbook: Playbook, common: Common, judge: Judge, beginning: str, *, with_plan: bool = False) -> Run:
    """Run it. Progress goes to standard error, so that standard output has the answer alone."""
    advice.use_inventories(common.inventories)
    advice.use_options(*common.repeatable)
    console = Console(stderr=True, highlight=False)
    said: list[Said] = []
    with make_display(console, beginning, quiet=common.quiet, with_plan=with_plan) as display:
        brood = Brood()
        interruption = Interruption(brood, display.note)

        def hear(heard: Said) -> None:
            each = heard.printable()
            said.append(each)
            show(lambda: display.hear(each))

        def tick() -> None:
            interruption.pass_on()
            show(display.tick)

        def show(what: Callable[[], None]) -> None:
            try:
                what()
            except (OSError, SystemExit):  # rich leaves by SystemExit when its reader is gone
                to_nowhere(2)
                interruption.lost_output()

        with interruptible(interruption):
            rc = run_playbook(playbook, hear, tick, brood)
    asked = interruption.first is not None
    told = judge(said, rc, interrupted=asked, check=True) if playbook.check else judge(said, rc, interrupted=asked)
    return Run(said, told, asked)


def answer(common: Common, verdict: Verdict, document: Mapping[str, Any], lines: Sequence[str]) -> int:
    """Say how it ended, as JSON or for people, and return the exit code: also when nobody reads it any more."""
    try:
        return _answered(common, verdict, document, lines)
    except OSError:
        to_nowhere(1)
        to_nowhere(2)
        return int(verdict.exit)


def _answered(common: Common, verdict: Verdict, document: Mapping[str, Any], lines: Sequence[str]) -> int:
    if common.as_json:
        say_json(verdict.exit, verdict.outcome, verdict.message, document)
        return int(verdict.exit)
    for line in lines:
        # A plan for one node is one line, and that is how it ended, too.
        if line != verdict.message:
            click.echo(printable(line))
    if verdict.message and verdict.exit is Exit.DONE:
        click.secho(printable(verdict.message), fg="green")
    elif verdict.message:
        sys.stdout.flush()
        click.secho(f"{verdict.outcome}: {printable(verdict.message)}", fg="red", err=True)
    return int(verdict.exit)


def say_json(code: Exit, outcome: str, message: str, document: Mapping[str, Any] | None = None) -> None:
    """The one document on standard output: how it ended, and what was asked for."""
    told = {"exit": int(code), "outcome": outcome, "message": message, **(document or {})}
    click.echo(printable_json(json.dumps(told, indent=2, ensure_ascii=False)))
