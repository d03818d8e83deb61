# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a test box shall do in one run, and how its shell is told.

All inputs go to the box through standard input, so that none of them stands in its process list.
"""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import excerpt
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.runners import (
    Runner,
    Selection,
    command_line,
    results_of,
)

ARTIFACT_LIMIT = 1024 * 1024 * 1024
KEPT_RUNS = 5
# More than it takes to read the longest results.
KEPT_MINUTES = 10
MOST_PARALLEL = 100
FETCH_SECONDS = 300
PROBE_SECONDS = 10
# Fetching, unpacking, two probes and the runner's own end, beside its time limit.
_AROUND_THE_RUN = FETCH_SECONDS + 120 + 2 * PROBE_SECONDS + 30
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
_URL = re.compile(r"https?://[!#-\[\]-~]{1,2000}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class BoxRun:
    """What the box shall do; times in seconds. Raises BadInput for what could be read as something else there."""

    work_dir: str
    artifact_url: str
    artifact_sha256: str
    assemblies: tuple[str, ...]
    probe_url: str
    served_by: str
    node: str
    timeout: float
    queue_timeout: float
    aim: tuple[str, str] | None = None
    """The request header that names the node, and what it says; None where the URL alone names it."""
    runner: Runner = Runner.NUNIT2
    program: tuple[str, ...] = ()
    """How the runner is started on this box; empty: by its own name."""
    chosen: Selection = field(default_factory=Selection)
    parallel: int = 1
    """Beside how many runs on the box it may run, itself included, if they all may as well."""
    about: str = ""
    """What others in the queue are told of it."""
    marked: bool = False
    """Whether the probes' URLs carry the run's id, for HAProxy's log."""
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    """Under which the run can be cancelled, and is found in logs."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """What the tests get in their environment and anybody may see."""
    secrets: Mapping[str, str] = field(default_factory=dict)
    """What they get there besides; the values are blotted out of all that comes back."""

    def __post_init__(self) -> None:
        checks = [
            ("work_dir", self.work_dir.startswith("/") and self.work_dir.isprintable(), "an absolute path"),
            ("artifact.url", bool(_URL.fullmatch(self.artifact_url)), "an http URL"),
            ("artifact.sha256", bool(_SHA256.fullmatch(self.artifact_sha256)), "64 hexadecimal digits"),
            ("url", bool(_URL.fullmatch(self.probe_url)), "an http URL"),
            ("node", bool(_NAME.fullmatch(self.node)), "a name of letters, digits, dots and dashes"),
            ("aim.header", not self.aim or bool(_NAME.fullmatch(self.aim[0])), "a header's name"),
            ("aim.host", not self.aim or bool(_NAME.fullmatch(self.aim[1])), "a name of letters, digits, dots, dashes"),
            ("aim.served_by", bool(_NAME.fullmatch(self.served_by)), "a header's name"),
            ("program", all(self.program), "a program with its arguments"),
            ("parallel", 1 <= self.parallel <= MOST_PARALLEL, f"1 to {MOST_PARALLEL}"),
            ("assemblies", bool(self.assemblies), "at least one file name"),
            # Its tests would count twice.
            ("assemblies", len({*map(str.casefold, self.assemblies)}) == len(self.assemblies), "each file once"),
            *(("assemblies", bool(_NAME.fullmatch(name)), "file names without folders") for name in self.assemblies),
            *(("environment", bool(_VARIABLE.fullmatch(name)), "names of variables") for name in self.environment),
            ("environment", not any("\0" in value for value in self.environment.values()), "text without NUL"),
        ]
        for where, fits, wanted in checks:
            if not fits:
                raise BadInput(f"{where} can't be used on the test box", where=where, remedy=f"Give {wanted}")

    @property
    def environment(self) -> dict[str, str]:
        """All that the tests get; nothing takes the place of our own settings."""
        return {**self.secrets, **self.settings}

    @property
    def argv(self) -> list[str]:
        """The runner's command line, relative to the run's folder."""
        assemblies = [f"unpacked/tests/{name}" for name in self.assemblies]
        return command_line(self.runner, self.program, assemblies, self.chosen)

    @property
    def results(self) -> str:
        """The name of the results file in the run's folder."""
        return results_of(self.runner)

    def probe_at(self, when: str) -> str:
        """What is asked `before` and `after` the tests; a log that has the URL has the run's id then."""
        mark = f"tidegate-run={self.id}-{when}"
        return f"{self.probe_url}{'&' if '?' in self.probe_url else '?'}{mark}" if self.marked else self.probe_url

    @property
    def deadline(self) -> float:
        """The most seconds that all of it may take on the box."""
        return self.queue_timeout + _AROUND_THE_RUN + self.timeout


def box_inputs(run: BoxRun) -> bytes:
    """The inputs as assignments for the box's shell, every value quoted."""
    values = {
        "id": run.id,
        "work": run.work_dir.rstrip("/") or "/",
        "artifact_url": run.artifact_url,
        "artifact_sha256": run.artifact_sha256,
        "artifact_limit": str(ARTIFACT_LIMIT),
        "fetch_seconds": str(FETCH_SECONDS),
        "probe_seconds": str(PROBE_SECONDS),
        "assemblies": "\n".join(run.assemblies),
        "probe_before": run.probe_at("before"),
        "probe_after": run.probe_at("after"),
        "aim": f"{run.aim[0]}: {run.aim[1]}" if run.aim else "",
        "served_by": run.served_by,
        "node": run.node,
        "run_seconds": _whole(run.timeout),
        "queue_seconds": _whole(run.queue_timeout),
        "parallel": str(run.parallel),
        "about": excerpt(run.about, 100) or "a run",
        "results": run.results,
        "kept": str(KEPT_RUNS),
        "kept_minutes": str(KEPT_MINUTES),
    }
    lines = [f"{name}={shlex.quote(value)}" for name, value in values.items()]
    exports = [f"export {name}={shlex.quote(value)}" for name, value in run.environment.items()]
    # A function, so that only the runner gets the environment, and no other program of the script.
    lines += ["export_environment() {", ":", *exports, "}", f"set -- {shlex.join(run.argv)}"]
    return ("\n".join(lines) + "\n").encode()


def _whole(seconds: float) -> str:
    return str(max(1, round(seconds)))
