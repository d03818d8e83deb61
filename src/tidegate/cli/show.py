"""Which display fits."""

from __future__ import annotations

from rich.console import Console

from tidegate.cli.display import Display, Quiet
from tidegate.cli.lines import Lines
from tidegate.cli.screen import Screen


def make_display(console: Console, beginning: str, *, quiet: bool, with_plan: bool) -> Display:
    """The display that fits: quiet, a screen on a terminal, else lines; `with_plan` when nobody saw the plan yet."""
    if quiet:
        return Quiet(console)
    kind = Screen if console.is_terminal else Lines
    return kind(console, beginning, with_plan=with_plan)
