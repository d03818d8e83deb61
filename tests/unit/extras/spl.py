"""Which fields a search of the Splunk app reads: as much of Splunk's search language as the app's own searches use.

Not a parser of the whole language: a search that this can't read is refused, so that none goes unchecked.
Search Reference, Splunk Enterprise: the commands below, and «Evaluation functions».
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_CALL = re.compile(r"`(\w+)(?:\(\"([^`]*)\"\))?`")
_WORDS = frozenset(["AS", "BY", "AND", "OR", "NOT", "IN", "true", "null", "f", "t"])
_OPTION = re.compile(r"\b(?:span|useother|current|window|global)=\S+")
_NAME = r"[A-Za-z_][\w.]*(?:\{\})?"
_COMPARED = re.compile(rf"({_NAME})\s*(?:=|!=|<|>|IN\b)")
_FIELD = re.compile(rf"'([^']+)'|({_NAME})(\s*\()?")
_ASSIGNED = re.compile(rf"(?:^|,)\s*({_NAME})\s*=(?!=)")
# What they give is all that there is behind them.
_REPORTS = frozenset({"stats", "chart", "timechart", "xyseries", "table"})
_ADDS = frozenset({"eval", "rename", "eventstats", "streamstats"})
_KEEPS = frozenset({"search", "sort", "dedup", "mvexpand"})


class Unreadable(Exception):
    """The search is beyond what is read here, or names a field that nothing gives it."""


@dataclass(frozen=True, slots=True)
class Macro:
    """A macro of the app: whether it has an argument, and its definition."""

    has_argument: bool
    definition: str


def expanded(search: str, macros: Mapping[str, Macro]) -> str:
    """The search without its macros. Raises Unreadable for an unknown one or a wrong number of arguments."""

    def replace(found: re.Match[str]) -> str:
        macro = macros.get(found[1])
        if macro is None or macro.has_argument != (found[2] is not None):
            raise Unreadable(f"no such macro: {found[0]}")
        return expanded(macro.definition.replace("$filter$", found[2] or ""), macros)

    return _CALL.sub(replace, search)


def check(search: str, known: frozenset[str]) -> frozenset[str]:
    """The fields behind a search that begins with `known` ones. Raises Unreadable for one that is not there."""
    filled = re.sub(r"\$[\w.]+\$", "any", search)
    bare = re.sub(r'"[^"]*"', '""', filled)
    for number, segment in enumerate(bare.split("|")):
        command, _, rest = segment.strip().partition(" ")
        if number == 0 and command not in {*_KEEPS, *_ADDS, *_REPORTS}:
            command, rest = "search", segment
        known = _behind(command, rest, known)
    return known


def _behind(command: str, rest: str, known: frozenset[str]) -> frozenset[str]:
    if command == "search":
        _require({found for found in _COMPARED.findall(rest) if found not in _WORDS}, known, rest)
        return known
    if command == "eval":
        return _after_eval(rest, known)
    if command not in {*_KEEPS, *_ADDS, *_REPORTS}:
        raise Unreadable(f"the command {command!r} is not read here")
    text = _OPTION.sub("", rest)
    made = set(re.findall(rf"\bAS\s+({_NAME})", text))
    read = _fields(re.sub(rf"\bAS\s+{_NAME}", "", text)) - {"count"}
    _require(read - made if command in _REPORTS else read, known | {"count"} if command == "sort" else known, rest)
    if command in _REPORTS:
        grouped = text.rpartition(" BY ")[2] if " BY " in text else (text if command == "table" else "")
        return frozenset(made | _fields(grouped) | ({"count"} if "count" in text else set()))
    if command == "rename":
        return (known - read) | made
    return known | made


def _after_eval(rest: str, known: frozenset[str]) -> frozenset[str]:
    """Each assignment may read those before it."""
    depth, parts, start = 0, [], 0
    for at, char in enumerate(rest):
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            parts.append(rest[start:at])
            start = at + 1
    for part in [*parts, rest[start:]]:
        assigned = _ASSIGNED.match(part)
        if not assigned:
            raise Unreadable(f"no assignment: {part}")
        _require(_fields(part[assigned.end() :]), known, part)
        known |= {assigned[1]}
    return known


def _fields(text: str) -> set[str]:
    found = {quoted or name for quoted, name, call in _FIELD.findall(text) if not call}
    return found - _WORDS


def _require(read: set[str], known: frozenset[str], where: str) -> None:
    if missing := read - known:
        raise Unreadable(f"{', '.join(sorted(missing))} is not there in: {where.strip()}")
