"""The lab's own processes as units of a runit tree."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Unit:
    """One server process of the lab, run in the foreground and restarted by runit when it dies.

    `argv` starts with an absolute path; its output (both streams) is appended to `log`, or its standard output alone
    when `errors` names another file. `ready` must answer within about a second and is asked until `deadline_s`.
    `hang_up` stops it with HUP instead of TERM (a runsvdir ends what it supervises only then).
    """

    name: str
    host: str
    argv: Sequence[str]
    ready: Callable[[], bool]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    deadline_s: float = 30.0
    errors: Path | None = None
    hang_up: bool = False
