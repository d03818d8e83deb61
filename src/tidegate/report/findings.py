"""What a deployment's folder has beyond the ledger: failed tests with their messages, and what Puppet changed.

Everything here was written on nodes and test boxes: it is read with limits, and only as text.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.folder_files import puppet_name, results_name
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results import chunks_of, read_results
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results_case import Case, CaseOutcome, Unread

MAX_FAILURES = 40
MAX_NAMES = 100
# Of one deployment's results no more is read for the report: the rest is in the folder, and in junit.xml.
_MOST_BYTES = 16 * 1024 * 1024
_MOST_JSON = 1024 * 1024
_MOST_KEPT = 2_000


@dataclass(frozen=True, slots=True)
class NodeTests:
    """One node's tests in one attempt, by the ledger."""

    attempt: int
    wave: int | None
    service: str
    node: str
    passed: bool
    sentence: str
    total: int
    failed: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class FailedTest:
    """A test that failed, where, and its message there; that of the first node when it failed on several."""

    name: str
    message: str
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AllTests:
    """All runs, and of what failed the first; `left_out` says how many failed tests are not listed."""

    runs: tuple[NodeTests, ...] = ()
    failures: tuple[FailedTest, ...] = ()
    left_out: int = 0
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PuppetRun:
    """One Puppet run on one node."""

    attempt: int
    node: str
    outcome: str
    sentence: str
    seconds: float | None
    configuration: str = ""
    changed: tuple[str, ...] = ()
    changed_count: int | None = None
    failed: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether the node is as its catalog says."""
        return self.outcome in ("changed", "unchanged", "rebooted")


def read_tests(events: Sequence[Event], folder: Path | None, clean: Callable[[str], str] = str) -> AllTests:
    """The tests of all attempts. `folder`: None when there is none; `clean` takes secrets out of texts."""
    ended = [event for event in events if event.step is Step.NUNIT and event.outcome is not Outcome.STARTED]
    runs = [_run(event, node) for event in ended for node in event.nodes]
    found: dict[str, tuple[str, list[str]]] = {}
    problems: list[str] = []
    room = _MOST_BYTES
    for event in ended:
        if event.outcome.good:
            continue
        for node in event.nodes:
            room = _collect(event, node, folder, room, found, problems, clean)
    failures = [FailedTest(name, message, tuple(nodes)) for name, (message, nodes) in found.items()]
    # Of a node with very many failed tests not all names are kept, but the ledger has their number.
    failed = max([len(failures), *(run.failed for run in runs)])
    left_out = max(0, failed - min(len(failures), MAX_FAILURES))
    return AllTests(
        tuple(runs), tuple(failures[:MAX_FAILURES]), left_out, tuple(dict.fromkeys(problems))[:MAX_FAILURES]
    )


def _run(event: Event, node: str) -> NodeTests:
    told = event.details
    return NodeTests(
        event.attempt, event.wave, event.service, node, event.outcome.good, str(told.get("msg") or event.outcome),
        _whole(told.get("total")), _whole(told.get("failed_tests")), _seconds(told.get("own_s"))
    )  # fmt: skip


def _collect(
    event: Event,
    node: str,
    folder: Path | None,
    room: int,
    found: dict[str, tuple[str, list[str]]],
    problems: list[str],
    clean: Callable[[str], str],
) -> int:
    """Add a node's failed tests to `found`, from the file that the ledger has the digest of, else by name alone."""
    cases: list[Case] = []
    path = _results(event, node, folder)
    size = _size(path)
    if event.details.get("results_sha256"):
        problem = _read(path, str(event.details["results_sha256"]), size, room, cases, clean)
        problems += [f"{node}: {problem}"] * bool(problem)
    if not cases:
        cases = [Case(name, CaseOutcome.FAILED, message) for name, message in failing(event)]
    for case in cases:
        _message, nodes = found.setdefault(case.name, (case.message, []))
        if node not in nodes:
            nodes.append(node)
    return room - size


def failing(event: Event) -> list[tuple[str, str]]:
    """The failed tests that an event names, with their messages: the first of them, cut."""
    told = event.details.get("failing")
    names = [str(each).partition(": ") for each in told] if isinstance(told, list | tuple) else []
    return [(name, message) for name, _, message in names]


def _read(
    path: Path | None, recorded: str, size: int, room: int, cases: list[Case], clean: Callable[[str], str]
) -> str:
    """Fill `cases` with those that failed; why that was not possible, else empty."""
    if path is None or not size:
        return "the tests' results are not in the deployment's folder; the names are the ledger's"
    if size > room:
        return "the tests' results are too large for the report; the names are the ledger's"
    failed: list[Case] = []

    def sink(case: Case) -> None:
        if case.outcome is CaseOutcome.FAILED and len(failed) < _MOST_KEPT:
            failed.append(case._replace(message=case.message[:4_000]))

    try:
        if _digest(path) != recorded:
            return "the tests' results are not those that the ledger has the digest of; the names are the ledger's"
        told = read_results(chunks_of(path), sink, clean)
    except OSError as error:
        return f"the tests' results can't be read ({error.strerror}); the names are the ledger's"
    if isinstance(told, Unread):
        return f"{told.why}; the names are the ledger's"
    cases += failed
    return ""


def _results(event: Event, node: str, folder: Path | None) -> Path | None:
    return folder / results_name(event.service, node, event.attempt) if folder else None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _size(path: Path | None) -> int:
    try:
        return path.stat().st_size if path else 0
    except OSError:
        return 0


def read_puppet(events: Sequence[Event], folder: Path | None) -> list[PuppetRun]:
    """Every Puppet run by the ledger, with what its report in the folder says of resources."""
    ended = [event for event in events if event.step is Step.PUPPET and event.outcome is not Outcome.STARTED]
    return [_puppet(event, node, folder) for event in ended for node in event.nodes]


def _puppet(event: Event, node: str, folder: Path | None) -> PuppetRun:
    told = event.details
    report = _report(folder, node, event.attempt)
    resources = report.get("resources")
    count = resources.get("changed") if isinstance(resources, dict) else None
    return PuppetRun(
        attempt=event.attempt,
        node=node,
        outcome=str(told.get("outcome") or event.outcome),
        sentence=str(told.get("msg") or event.outcome),
        seconds=_seconds(told.get("own_s")),
        configuration=str(told.get("configuration_version") or ""),
        changed=tuple(str(name) for name in _list(report.get("changed"))[:MAX_NAMES]),
        changed_count=count if isinstance(count, int) else None,
        failed=tuple(_failed(each) for each in _list(report.get("failed"))[:MAX_NAMES]),
    )


def _report(folder: Path | None, node: str, attempt: int) -> dict[str, Any]:
    if folder is None:
        return {}
    path = folder / puppet_name(node, attempt)
    try:
        with path.open("rb") as file:
            told = json.loads(file.read(_MOST_JSON))
    except (OSError, ValueError, RecursionError):
        return {}
    report = told.get("report") if isinstance(told, dict) else None
    return report if isinstance(report, dict) else {}


def _failed(resource: Any) -> str:  # noqa: ANN401 (JSON)
    if not isinstance(resource, Mapping):
        return str(resource)
    place = f" ({resource['place']})" if resource.get("place") else ""
    return f"{resource.get('resource', 'a resource')}{place}: {resource.get('message', '')}"


def _list(value: Any) -> list[Any]:  # noqa: ANN401 (JSON)
    return value if isinstance(value, list) else []


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _seconds(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
