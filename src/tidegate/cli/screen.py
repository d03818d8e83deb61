"""A run on a terminal: one line a node, renewed in place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from time import monotonic
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from tidegate.cli.display import Quiet, plan_lines
from tidegate.playbook import Said
from tidegate.progress import Mark, Node, Progress, gates_shown

# The headline, the table's header, the line about the rest, the spinner, and room to breathe.
_OTHER_LINES = 6


class Screen(Quiet):
    """One line a node, renewed in place."""

    def __init__(self, console: Console, beginning: str, *, with_plan: bool) -> None:
        super().__init__(console)
        self._progress = Progress(note=beginning)
        self._with_plan = with_plan
        self._spinner = Spinner("dots", style="cyan")
        self._live = Live(console=console, auto_refresh=False, transient=False)
        self._began = monotonic()

    def __enter__(self) -> Self:
        self._live.start()
        self.tick()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.note = ""
        self._refresh(over=True)
        self._live.stop()

    def hear(self, said: Said) -> None:
        self._progress.hear(said, monotonic())
        for line in plan_lines(said) if self._with_plan else ():
            self._live.console.print(line, markup=False, highlight=False, soft_wrap=True)
        if said.kind == "line" and said.text.strip() and not said.text.startswith("  "):
            self.note(said.text)
        self._refresh()

    def tick(self) -> None:
        self._refresh()

    def note(self, text: str) -> None:
        self._live.console.print(text, style="yellow", markup=False, highlight=False, soft_wrap=True)

    def _refresh(self, *, over: bool = False) -> None:
        self._live.update(self._frame(monotonic(), over), refresh=True)

    def _frame(self, now: float, over: bool) -> RenderableType:
        progress = self._progress
        parts: list[RenderableType] = []
        if progress.headline:
            parts.append(Text(progress.headline, style="bold"))
        if progress.nodes:
            shown = fitting(progress, self.console.height - _OTHER_LINES)
            parts.append(_table(shown, now, self.console.width))
            if len(shown) < len(progress.nodes):
                parts.append(Text(_rest(progress, shown), style="dim"))
        if not over:
            what = progress.note or _doing(progress, now)
            self._spinner.update(text=Text(f"{what}  {now - self._began:.0f} s", style="dim"))
            parts.append(self._spinner)
        return Group(*parts)


_STYLES = {
    Mark.WAITING: "dim",
    Mark.RUNNING: "cyan",
    Mark.DONE: "green",
    Mark.FAILED: "red",
    Mark.LEFT_ALONE: "dim",
}
_POOLS = {"online": "green", "maintenance": "yellow"}


def fitting(progress: Progress, lines: int) -> list[Node]:
    """The nodes that are shown: all, or where they don't fit those of this wave and those that failed."""
    nodes = list(progress.nodes.values())
    if len(nodes) <= lines:
        return nodes
    wanted = [
        node for node in nodes if node.mark is Mark.FAILED or (node.wave is not None and node.wave == progress.wave)
    ]
    return wanted[: max(1, lines)]


def _rest(progress: Progress, shown: Sequence[Node]) -> str:
    names = {node.name for node in shown}
    marks = Counter(str(node.mark) for node in progress.nodes.values() if node.name not in names)
    return f"… and {marks.total()} more: " + ", ".join(f"{count} {mark}" for mark, count in marks.items())


# Each column with the narrowest terminal that has room for it.
_COLUMNS = {"wave": 50, "node": 0, "release": 70, "pool": 0, "step": 0, "time": 0, "gates": 110}


def _table(nodes: Sequence[Node], now: float, width: int) -> Table:
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="dim")
    names = [name for name, needed in _COLUMNS.items() if width >= needed]
    for name in names:
        table.add_column(name, no_wrap=True, justify="right" if name == "time" else "left")
    # The one column that gives way where the terminal is narrow; its cells don't wrap either.
    table.add_column("", no_wrap=False)
    for node in nodes:
        cells = _cells(node, now)
        note = Text(node.note, style="red" if node.mark is Mark.FAILED else "dim", no_wrap=True, overflow="ellipsis")
        table.add_row(*(cells[name] for name in names), note)
    return table


def _cells(node: Node, now: float) -> dict[str, RenderableType]:
    gates = Text(" ").join(_gate(name, verdict) for name, verdict in gates_shown(node))
    return {
        "wave": str(node.wave or ""),
        "node": Text(node.name, style="bold"),
        "release": node.way,
        "pool": Text(node.pool, style=_POOLS.get(node.pool, "red")),
        "step": Text(node.step if node.mark in (Mark.RUNNING, Mark.FAILED) else node.mark, style=_STYLES[node.mark]),
        "time": "" if node.since is None else f"{now - node.since:.0f} s",
        "gates": gates if node.wave else "",
    }


def _gate(name: str, verdict: bool | None) -> Text:
    if verdict is None:
        return Text(name, style="dim")
    return Text(f"{name} {'✓' if verdict else '✗'}", style="green" if verdict else "red")


def _doing(progress: Progress, now: float) -> str:
    longest = progress.longest(now)
    wave = f"wave {progress.wave} of {len(progress.waves)}" if progress.wave else ""
    return "  ".join(filter(None, [wave, longest[0] if longest else "working"]))
