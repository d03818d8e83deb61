# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puppet's last_run_report.yaml: the few lines of it that decide, read without trusting its Ruby tags."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import excerpt

REPORT_LIMIT = 16 * 1024 * 1024
_KEPT_LIMIT = 512 * 1024
_NAMED = 20
_LONGEST_NAME = 200
_COUNT = re.compile(r"[0-9]{1,15}")
_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?(e-?[0-9]{1,3})?")
_MESSAGE_LIMIT = 500
_TOP_KEY = re.compile(r"([a-z_]+):")
# A name that is too long for `name:` stands as `? name`, and its values below `: `.
_RESOURCE = re.compile(r"  [^\s:]")
_VALUES = "  : "
_CHANGED = "    changed: true"
# Puppet's YAML quotes some names, and folds those that are too long for `name:` at a space.
_TELLING = re.compile(r"  (?:\? )?[\"']?Schedule\[tidegate ")
_TOLD = re.compile(r"Schedule\[tidegate ([^\n]{1,1000})\]")
_TELLS = "    tidegate: true"
_MOST_TOLD = 200
_MOST_CHANGED = 200
_FAILED = re.compile(r"    failed(_to_restart)?: true")
# How Puppet begins to say that a property could not be set (Puppet::Transaction::ResourceHarness, Puppet::Property).
_CHANGE = re.compile(r"\bchange from .*? failed: ", re.DOTALL)
_SET = re.compile(r"\bCould not set '.*?' on (\S+): ", re.DOTALL)
# The base loader makes strings of all scalars and plain maps and lists of all else, whatever the tags say.
_Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


@dataclass(frozen=True, slots=True)
class FailedResource:
    """A resource that failed: where its code stands, and what Puppet said about it."""

    resource: str
    place: str
    message: str
    restart: bool

    def __str__(self) -> str:
        place = f" ({self.place})" if self.place else ""
        return f"{self.resource}{place}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a report says of its run; texts as they stand there, empty when they are missing.

    Fields as in report format 12, seen with puppet-agent 7.23.
    """

    job_id: str = ""
    status: str = ""
    environment: str = ""
    configuration_version: str = ""
    cached_catalog_status: str = ""
    transaction_completed: bool = False
    noop: bool = False
    noop_pending: bool = False
    resources: Mapping[str, int] | None = None
    failed: tuple[FailedResource, ...] = ()
    changed: tuple[str, ...] = ()
    """The names of the resources that changed, the first 200."""
    times: Mapping[str, float] = field(default_factory=dict)
    """Seconds as Puppet counts them. Its own start and end are not in `total`."""
    puppet_version: str = ""
    report_format: str = ""
    began: str = ""
    told: tuple[str, ...] = ()
    """What Tidegate's Puppet module tells in it, after the word `tidegate`: see `taken.py`."""

    @property
    def failures(self) -> int:
        """How many resources failed, restarts included."""
        return (self.resources or {}).get("failed", 0)

    @property
    def failed_restarts(self) -> int:
        """How many of the failed resources failed only when they were restarted."""
        return (self.resources or {}).get("failed_to_restart", 0)


def read_report(data: bytes) -> Report:
    """The report in these bytes. Raises BadInput when they are none, or more than 512 KiB of failures."""
    kept = "\n".join(_deciding_lines(data.decode(errors="replace")))
    if len(kept) > _KEPT_LIMIT:
        raise _unreadable(f"its failures take more than {_KEPT_LIMIT} characters")
    try:
        fields = yaml.load(kept, Loader=_Loader)  # noqa: S506 (a base loader makes nothing but text, lists and maps)
    except yaml.YAMLError as error:
        raise _unreadable(" ".join(str(error).split())[:200]) from None
    if not isinstance(fields, dict) or "status" not in fields:
        raise _unreadable("it has no status")
    return _report(fields)


def _unreadable(why: str) -> BadInput:
    return BadInput(
        f"Puppet's report can't be read: {why}", where="last_run_report.yaml", remedy="Look at it on the node"
    )


def _deciding_lines(text: str) -> Iterator[str]:
    """All lines but the logs and the resources that are well: of hundreds of kilobytes a few remain.

    Of a resource that changed, or tells something to us, only its name does: how it changed may be a secret.

    Keys of the report stand at column 0, names of resources at column 2; items of a list may stand at column 0.
    """
    section, block, seen = "", list[str](), Counter[str]()
    for line in text.replace("\r\n", "\n").split("\n"):
        if line.startswith(("---", "...")):
            continue
        top = _TOP_KEY.match(line)
        if top or (section == "resource_statuses" and _RESOURCE.match(line)):
            kept = _kept(block, seen)
            seen.update(kept[-1:])
            yield from kept
            block = []
        if top:
            section = top[1]
        if section == "resource_statuses" and not top:
            block.append(line)
        elif section != "logs":
            yield line
    yield from _kept(block, seen)


def _kept(block: list[str], seen: Counter[str]) -> list[str]:
    """What of a resource's lines is read on; `seen` counts the last lines of those before it."""
    if any(_FAILED.match(line) for line in block):
        return block
    if block and _TELLING.match(block[0]) and seen[_TELLS] < _MOST_TOLD:
        return [*_name(block), _TELLS]
    return [*_name(block), _CHANGED] if _CHANGED in block and seen[_CHANGED] < _MOST_CHANGED else []


def _name(block: list[str]) -> list[str]:
    if not block[0].startswith("  ? "):
        return block[:1]
    values = next((at for at, line in enumerate(block) if line.startswith(_VALUES)), len(block) - 1)
    return block[: values + 1]


def _report(fields: Mapping[str, Any]) -> Report:
    return Report(
        **{key: _text(fields.get(key)) for key in ("job_id", "status", "environment")},
        configuration_version=_text(fields.get("configuration_version")),
        cached_catalog_status=_text(fields.get("cached_catalog_status")),
        transaction_completed=fields.get("transaction_completed") == "true",
        noop=fields.get("noop") == "true",
        noop_pending=fields.get("noop_pending") == "true",
        puppet_version=_text(fields.get("puppet_version")),
        report_format=_text(fields.get("report_format")),
        began=_text(fields.get("time")),
        resources=_counts(fields),
        times=_times(fields),
        failed=tuple(_failed(fields))[:_NAMED],
        changed=tuple(_changed(fields)),
        told=tuple(_told(fields)),
    )


def _text(value: Any) -> str:  # noqa: ANN401 (whatever stands in the file)
    return value if isinstance(value, str) else ""


def _counts(fields: Mapping[str, Any]) -> dict[str, int]:
    return {name: int(number) for name, number in _metric(fields, "resources") if _COUNT.fullmatch(number)}


def _times(fields: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(number) for name, number in _metric(fields, "time") if _SECONDS.fullmatch(number)}


def _metric(fields: Mapping[str, Any], kind: str) -> Iterator[tuple[str, str]]:
    """A metric's names and values. Rows of anything but texts are none: an alias may stand for endless lists."""
    values = _dig(fields, "metrics", kind, "values")
    for row in values if isinstance(values, list) else ():
        if isinstance(row, list) and len(row) == 3 and all(isinstance(each, str) for each in row):
            yield row[0], row[2]


def _told(fields: Mapping[str, Any]) -> Iterator[str]:
    statuses = _dig(fields, "resource_statuses")
    for name in statuses if isinstance(statuses, dict) else ():
        if isinstance(name, str) and (found := _TOLD.fullmatch(name)):
            yield found[1]


def _changed(fields: Mapping[str, Any]) -> Iterator[str]:
    statuses = _dig(fields, "resource_statuses")
    for name, status in statuses.items() if isinstance(statuses, dict) else ():
        if isinstance(status, dict) and status.get("changed") == "true":
            yield excerpt(name, _LONGEST_NAME)


def _failed(fields: Mapping[str, Any]) -> Iterator[FailedResource]:
    statuses = _dig(fields, "resource_statuses")
    for name, status in statuses.items() if isinstance(statuses, dict) else ():
        if isinstance(status, dict) and (status.get("failed"), status.get("failed_to_restart")) != (None, None):
            yield FailedResource(name, _place(status), _message(status), status.get("failed_to_restart") == "true")


def _dig(fields: Any, *keys: str) -> Any:  # noqa: ANN401
    for key in keys:
        fields = fields.get(key) if isinstance(fields, dict) else None
    return fields


def _place(status: Mapping[str, Any]) -> str:
    file, line = _text(status.get("file")), _text(status.get("line"))
    return f"{file}:{line}" if file and line else file


def _message(status: Mapping[str, Any]) -> str:
    events = status.get("events")
    failures = [event for event in events if _failure(event)] if isinstance(events, list) else []
    said = "; ".join(without_values(_text(event.get("message"))) for event in failures) or "failed without a message"
    return excerpt(" ".join(said.split()), _MESSAGE_LIMIT)


def without_values(said: str) -> str:
    """What Puppet said of a change that failed, without the old and the new value: they may be a password's."""
    return _SET.sub(r"Could not set \1: ", _CHANGE.sub("change failed: ", said))


def _failure(event: Any) -> bool:  # noqa: ANN401
    return isinstance(event, dict) and event.get("status") == "failure"
