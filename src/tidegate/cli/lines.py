"""A run as plain lines: where there is no terminal, as in Jenkins' console."""

from __future__ import annotations

from datetime import datetime
from time import monotonic
from typing import Self

from rich.console import Console
from rich.text import Text

from tidegate.cli.display import Quiet, plan_lines
from tidegate.playbook import Said
from tidegate.progress import Ended, Progress

# Nothing that takes longer than this stays silent, in seconds.
SILENT_S = 2.0
AGAIN_S = 10.0


class Lines(Quiet):
    """A line for each step that ends, and one for each that takes long."""

    def __init__(self, console: Console, beginning: str, *, with_plan: bool) -> None:
        super().__init__(console)
        self._progress = Progress()
        self._with_plan = with_plan
        self._beginning = beginning
        self._told_at = monotonic()
        self._told_of = ("", "")

    def __enter__(self) -> Self:
        self._line(self._beginning)
        return self

    def hear(self, said: Said) -> None:
        ended = self._progress.hear(said, monotonic())
        for line in plan_lines(said) if self._with_plan else ():
            self._line(line)
        if ended is not None:
            self._line(told(ended, self._progress), bad=not ended.ok)
        elif said.kind == "line" and said.text.strip():
            self._line(said.text.strip())

    def tick(self) -> None:
        now = monotonic()
        # Between steps it is Ansible that works: it starts, hands over, ends.
        step, host, seconds = self._progress.longest(now) or ("Ansible", "localhost", now - self._told_at)
        patience = AGAIN_S if (step, host) == self._told_of else SILENT_S
        if min(seconds, now - self._told_at) >= patience:
            self._told_of = (step, host)
            self._line(f"{host}: {step} goes on, {seconds:.0f} s so far")

    def _line(self, text: str, *, bad: bool = False) -> None:
        self._told_at = monotonic()
        clock = datetime.now().astimezone().strftime("%H:%M:%S")
        self.console.print(Text.assemble((f"{clock}  ", "dim"), (text, "red" if bad else "")), soft_wrap=True)


def told(ended: Ended, progress: Progress) -> str:
    """One line for a step that ended: wave, nodes, step, how long, what it came to."""
    wave = progress.nodes[ended.nodes[0]].wave if ended.nodes else None
    where = [f"wave {wave}"] if wave else []
    nodes = [", ".join(ended.nodes)] if ended.nodes else []
    took = [f"{ended.seconds:.1f} s"] if ended.seconds is not None else []
    how = [] if ended.ok else ["FAILED"]
    # What a held wave means and what to run next is the answer's to say: here its first line is enough.
    message = ended.message.partition("\n")[0] if ended.step == "hold" else ended.message
    return "  ".join([*where, *nodes, ended.step, *took, *how, message]).rstrip()
