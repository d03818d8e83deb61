"""What of a lab runs, as data and as a table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from lab import supervise, up
from lab.layout import Layout
from lab.supervise import Unit, UnitStatus


@dataclass(frozen=True, slots=True)
class UnitReport:
    """One server of the lab."""

    name: str
    host: str
    state: str
    pid: int | None
    ready: bool
    log: str


@dataclass(frozen=True, slots=True)
class LabReport:
    """All of a lab; `problems` says in words what is not as it should be, and is empty when all is up."""

    net: str
    state: str
    units: list[UnitReport]
    problems: list[str]

    @property
    def is_up(self) -> bool:
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "up": self.is_up}


def report(layout: Layout) -> LabReport:
    """Ask runit, every server and both load balancers."""
    units = up.all_units(layout)
    found = supervise.statuses(layout, [unit.name for unit in units])
    rows = [_row(unit, found[unit.name]) for unit in units]
    problems = [f"{row.name} is {row.state}" for row in rows if not row.ready]
    if not problems:
        problems = [name for host in layout.load_balancers for name in up.not_up(layout, host)]
    return LabReport(layout.net, str(layout.state), rows, problems)


def _row(unit: Unit, found: UnitStatus) -> UnitReport:
    # Somebody else may answer at that address: without our own process nothing is asked.
    ready = found.pid is not None and unit.ready()
    state = "not answering" if found.pid is not None and not ready else str(found.run)
    return UnitReport(unit.name, unit.host, state, found.pid, ready, str(unit.error_log))


def table(lab: LabReport) -> str:
    """The report for people."""
    rows = [("UNIT", "HOST", "STATE", "PID"), *((u.name, u.host, u.state, str(u.pid or "-")) for u in lab.units)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    more = f" and {len(lab.problems) - 3} more" if len(lab.problems) > 3 else ""
    verdict = "up" if lab.is_up else f"not up: {'; '.join(lab.problems[:3])}{more}"
    return "\n".join([*lines, "", f"lab {lab.state} (network {lab.net}) is {verdict}"])
