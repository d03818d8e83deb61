# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind tidegate.delivery.nunit_results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.node.parts import read_in_parts
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.blotting import blotter
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.gate import Gate, NUnitOutcome, Verdict
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.junit_report import excuse_of
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.junit_writer import JUnitWriter
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results import (
    RESULTS_LIMIT,
    chunks_of,
    read_results,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results_case import (
    Case,
    CaseOutcome,
    Results,
    Unread,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results_raw import Measured, RawResults
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.action import DomainAction
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.saved import digest_of, save
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.nunit_options import REMEDIES, numbers, rules
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.options import distinct, file_path

_IN_MEMORY = 1024 * 1024


class ActionModule(DomainAction):
    """Results files → the gate's verdict, and one JUnit XML of them all."""

    def act(self, call: Call) -> dict[str, Any]:
        gate = Gate(rules(call.args), datetime.now(UTC).date())
        paths = [file_path(path, "files") for path in distinct(call.args["files"], "files")]
        _require_apart(call, paths)
        with SpooledTemporaryFile(max_size=_IN_MEMORY) as report:
            read = _Reading(call, gate, report)
            verdict = read.judged(paths)
            changed = _keep(call, report)
        result = {"changed": changed, "outcome": verdict.outcome.value, **numbers(verdict), "files": read.files}
        told = verdict.sentence.rstrip(".")
        if verdict.outcome is NUnitOutcome.PASSED:
            return result | {"msg": told}
        where, remedy = ", ".join(paths), REMEDIES[verdict.outcome]
        failure = {"msg": f"{told} ({where}). {remedy}", "reason": verdict.outcome.value}
        return result | failure | {"where": where, "remedy": remedy, "failed": True}


class _Reading:
    """All files, one after the other, each case to the gate and into the report."""

    def __init__(self, call: Call, gate: Gate, report: IO[bytes]) -> None:
        self.files: list[dict[str, Any]] = []
        self._call, self._gate = call, gate
        self._writer = JUnitWriter(report, "tidegate")
        self._clean = blotter(call.redactor.forms)

    def judged(self, paths: list[str]) -> Verdict:
        """Read them and judge. Raises BadInput for a file that can't be read, Unreachable."""
        all_of_them: Results | Unread = Results("", 0)
        for path in paths:
            all_of_them = _together(all_of_them, self._file(path), path)
        self._writer.close()
        return self._gate.verdict(all_of_them)

    def _file(self, path: str) -> Results | Unread:
        file = Measured()
        measured = file.passing(_chunks(self._call, path))
        self._writer.begin(path.replace("\\", "/").rpartition("/")[2], {})
        results = read_results(measured, self._see, self._clean)
        # The digest is that of the whole file, also where a reader gave up early.
        for _ in measured:
            pass
        if isinstance(results, Unread):
            self._writer.case(Case("tidegate.results", CaseOutcome.FAILED, results.why))
        self._writer.end()
        known = {"format": results.format, "cases": results.cases} if isinstance(results, Results) else {}
        self.files.append({"path": path, "sha256": file.sha256, "bytes": file.size, **known})
        return results

    def _see(self, case: Case) -> None:
        self._gate.see(case)
        self._writer.case(case, excuse_of(self._gate.excuse(case)))


def _together(sofar: Results | Unread, found: Results | Unread, path: str) -> Results | Unread:
    """The first file that can't be trusted is why none of them can."""
    if isinstance(sofar, Unread):
        return sofar
    if isinstance(found, Unread):
        return Unread(f"{path}: {found.why}")
    aborted = sofar.aborted or (f"{path}: {found.aborted}" if found.aborted else "")
    return replace(found, remarks=sofar.remarks + found.remarks, aborted=aborted)


def _chunks(call: Call, path: str) -> Iterable[bytes]:
    host = call.args.get("host")
    if not host:
        return _on_controller(path)
    parts = read_in_parts(call.nodes([host])[host], path, RESULTS_LIMIT)
    if parts is None:
        raise BadInput(
            "there is no such file", where=f"{host}:{path}", remedy="Look where the runner wrote its results"
        )
    return parts


def _require_apart(call: Call, paths: list[str]) -> None:
    """The report must not take the place of the results that it is made of."""
    junit = file_path(call.args["junit"], "junit") if call.args.get("junit") else None
    if junit and not call.args.get("host") and Path(junit).resolve() in {Path(path).resolve() for path in paths}:
        raise BadInput("is one of the files", where=f"junit: {junit}", remedy="Give the report a path of its own")


def _on_controller(path: str) -> Iterator[bytes]:
    try:
        # Of a device or a pipe there may be no end.
        if Path(path).exists() and not Path(path).is_file():
            raise BadInput("is no file", where=path, remedy="Look where the runner wrote its results")
        yield from chunks_of(Path(path))
    except OSError as error:
        why = error.strerror or str(error)
        raise BadInput(f"can't be read: {why}", where=path, remedy="Look where the runner wrote its results") from None


def _keep(call: Call, report: IO[bytes]) -> bool:
    """Put the report where it is wanted; whether it was another one before."""
    wanted = call.args.get("junit")
    if not wanted:
        return False
    new = RawResults()
    report.seek(0)
    for _ in new.passing(iter(lambda: report.read(65536), b"")):
        pass
    if digest_of(Path(wanted)) == new.sha256:
        return False
    if not call.check:
        save(Path(wanted), new.chunks())
    return True
