"""Whoever shows a run while it runs."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from rich.console import Console

from tidegate.playbook import Said


class Display(Protocol):
    """Whoever shows a run. A context: what it opened is closed however the run ends."""

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the screen as it shall stay."""

    def hear(self, said: Said) -> None:
        """Something happened."""

    def tick(self) -> None:
        """Some time passed."""

    def note(self, text: str) -> None:
        """Something that must be read now."""


class Quiet:
    """Shows only what must be read."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def hear(self, said: Said) -> None:
        pass

    def tick(self) -> None:
        pass

    def note(self, text: str) -> None:
        self.console.print(text, style="yellow", markup=False, highlight=False)


def plan_lines(said: Said) -> list[str]:
    """The plan as people read it, once it is made."""
    return [str(line) for line in said.result.get("table", ())] if said.kind == "end" and said.action == "plan" else []
