# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of NUnit on a test box: what the box's shell is told, and what it reports.

All inputs go to the box through standard input, so that none of them stands in its process list.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import (
    BadInput,
    DomainError,
    Stopped,
    Unreachable,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import excerpt
from ansible_collections.tidegate.delivery.plugins.module_utils.http_answer import Answer
from ansible_collections.tidegate.delivery.plugins.module_utils.node import Completed, Node
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit_box_script import CANCEL, QUEUE, SCRIPT
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit_runners import (
    Runner,
    Selection,
    command_line,
    results_of,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import NEVER, Stopping

ARTIFACT_LIMIT = 1024 * 1024 * 1024
KEPT_RUNS = 5
MOST_PARALLEL = 100
FETCH_SECONDS = 300
_CANCEL_SECONDS = 10
_MOST_AHEAD = 1000
PROBE_SECONDS = 10
# Fetching, unpacking, two probes and the runner's own end, beside its time limit.
_AROUND_THE_RUN = FETCH_SECONDS + 120 + 2 * PROBE_SECONDS + 30
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
_URL = re.compile(r"https?://[!#-\[\]-~]{1,2000}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Stage(StrEnum):
    """How far the box came; every one but DONE ended the run."""

    TOOLS = "tools"
    BUSY = "busy"
    FETCH = "fetch"
    DIGEST = "digest"
    UNPACK = "unpack"
    ASSEMBLY = "assembly"
    AIM = "aim"
    DONE = "done"


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


@dataclass(frozen=True, slots=True)
class BoxReport:
    """What the box reported: how far it came and why it ended there, the runner's end, and who answered the probes.

    `place` is what it had in the queue when it came, 1 for the front, and `queued` the seconds until its turn;
    `assemblies` are the files that were tested with their SHA-256; `source` is the address that its requests came from.
    """

    stage: Stage
    problem: str = ""
    folder: str = ""
    runner_rc: int | None = None
    runner_seconds: float = 0.0
    console: str = ""
    probes: Mapping[str, Answer] = field(default_factory=dict)
    place: int = 0
    queued: float = 0.0
    assemblies: Mapping[str, str] = field(default_factory=dict)
    source: str = ""


def run_on_box(box: Node, run: BoxRun, stopping: Stopping = NEVER) -> BoxReport:
    """Do it: queue, fetch, verify, unpack, probe, run, probe.

    Raises Unreachable, DeadlineExceeded, or Stopped when somebody asked to stop: the run on the box is ended then.
    """
    done = _waited_for(box, run, stopping)
    if done.rc != 0:
        why = excerpt(done.stderr[-400:], 300) or f"exit code {done.rc}"
        return BoxReport(Stage.TOOLS, f"the shell on the box ended: {why}")
    return read_report(done.stdout)


def _waited_for(box: Node, run: BoxRun, stopping: Stopping) -> Completed:
    try:
        with stopping.cut_short():
            return box.sh(SCRIPT, stdin=box_inputs(run), timeout=run.deadline)
    except Unreachable:
        try:
            stopping.look("while the tests ran; they are ended")
        except Stopped:
            # Should that fail, too, the next run waits for this one's end.
            with suppress(DomainError):
                cancel(box, run)
            raise
        raise


def cancel(box: Node, run: BoxRun) -> None:
    """End the run on the box, as its deadline would, whether it waits there or runs; nothing when it is over."""
    box.sh(CANCEL, run.work_dir.rstrip("/") or "/", run.id, timeout=_CANCEL_SECONDS + 5)


def ahead_of(box: Node, run: BoxRun) -> list[str]:
    """What the runs are about that the box has at work or in its queue right now, the first one first."""
    done = box.sh(QUEUE, run.work_dir.rstrip("/") or "/", timeout=_CANCEL_SECONDS)
    return [excerpt(line, 100) for line in done.text.splitlines()[:_MOST_AHEAD]]


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
    }
    lines = [f"{name}={shlex.quote(value)}" for name, value in values.items()]
    exports = [f"export {name}={shlex.quote(value)}" for name, value in run.environment.items()]
    # A function, so that only the runner gets the environment, and no other program of the script.
    lines += ["export_environment() {", ":", *exports, "}", f"set -- {shlex.join(run.argv)}"]
    return ("\n".join(lines) + "\n").encode()


def _whole(seconds: float) -> str:
    return str(max(1, round(seconds)))


def read_report(output: bytes) -> BoxReport:
    """The report from the script's output: one `name value` a line, the values in base64.

    Raises BadInput for an output that did not come from the script.
    """
    told: dict[str, bytes] = {}
    try:
        for line in output.decode("ascii").splitlines():
            name, _, value = line.partition(" ")
            told[name] = base64.b64decode(value, validate=True)
        stage = Stage(_told(told, "stage"))
    except (UnicodeDecodeError, binascii.Error, ValueError):
        raise BadInput(
            f"the report of the test box can't be read: {excerpt(output[-200:], 150)!r}",
            where="test box",
            remedy="Look whether its login shell prints something of its own",
        ) from None
    code = _told(told, "rc")
    return BoxReport(
        stage,
        excerpt(_told(told, "problem"), 400),
        _told(told, "folder"),
        int(code) if code.isdigit() else None,
        float(_told(told, "seconds") or 0),
        _told(told, "console"),
        {when: _probe(told, when) for when in ("before", "after") if f"{when}.rc" in told},
        int(_told(told, "place") or 0),
        float(_told(told, "queued") or 0),
        {name: digest for digest, _, name in (line.partition("  ") for line in _told(told, "assemblies").splitlines())},
        _told(told, "before.source"),
    )


def _told(told: Mapping[str, bytes], name: str) -> str:
    return told.get(name, b"").decode(errors="replace").strip()


def _probe(told: Mapping[str, bytes], when: str) -> Answer:
    if _told(told, f"{when}.rc") != "0":
        return Answer(0.0, 0.0, problem=excerpt(_told(told, f"{when}.error"), 200) or "no answer")
    lines = _told(told, f"{when}.head").splitlines()
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    status = lines[0].split()[1:2] if lines else []
    if not status or not status[0].isdigit():
        return Answer(0.0, 0.0, problem="the answer has no status")
    return Answer(0.0, 0.0, int(status[0]), headers, told.get(f"{when}.body", b""))
