# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One service descriptor from its file: read strictly, and with everything that is wrong with it."""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.service import Service
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.redaction import without_userinfo
from ansible_collections.tidegate.delivery.plugins.module_utils.values import counted

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

SUFFIXES = (".yml", ".yaml")
WHOLE_FILE = "the whole file"
OVERRIDES = "environments"
_LARGEST = 256 * 1024
_REMEDY = "Correct the descriptor; docs/descriptor.md lists every key"
# A validator of a whole part names the key first.
_NAMED_KEY = re.compile(r"([a-z_]+): (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong in a file, at a key, and what to do about it."""

    file: str
    key: str
    problem: str
    remedy: str = _REMEDY

    def error(self, more: int = 0) -> BadInput:
        """As an error; `more` says how many others the file has."""
        also = f" ({counted(more, 'more problem')} in this file)" if more else ""
        return BadInput(f"{self.key}: {self.problem}{also}", where=self.file, remedy=self.remedy)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a file came to: the service as one environment sees it, unless something is wrong with it."""

    service: Service | None
    problems: tuple[Problem, ...] = ()


class _Unreadable(Exception):
    """The file holds no mapping; its one argument says why."""


class _StrictLoader(yaml.SafeLoader):
    """A SafeLoader that refuses a key given twice, where YAML would keep the last one silently, or no text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key_node, _value in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                hint = "; YAML 1.1 reads on, off, yes and no as true and false" if isinstance(key, bool) else ""
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is not text{hint}", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is given twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_descriptor(path: Path, environment: str) -> Descriptor:
    """One descriptor as `environment` sees it, with all problems of all environments."""
    try:
        return _described(path, _read(path), environment)
    except _Unreadable as error:
        return Descriptor(None, (Problem(str(path), WHOLE_FILE, str(error)),))
    except RecursionError:
        return Descriptor(None, (Problem(str(path), WHOLE_FILE, "is nested too deeply"),))


def _described(path: Path, described: dict[str, Any], environment: str) -> Descriptor:
    overrides = described.pop(OVERRIDES, {}) or {}
    if not isinstance(overrides, dict):
        return Descriptor(None, (Problem(str(path), OVERRIDES, "must be a mapping of environment to overrides"),))
    # Every environment is validated, so that a slip in prod's part shows in dev already.
    base, wrong = _validated(path, described)
    services = {}
    found: dict[Problem, None] = dict.fromkeys(wrong if environment not in overrides else ())
    for name, part in overrides.items():
        services[name], problems = _validated(path, _merged(described, part))
        # What is wrong without the overrides too is told once, where it stands.
        found |= dict.fromkeys(each if each in wrong else _within(each, name) for each in problems)
    service = services.get(environment, base)
    found |= dict.fromkeys(_misnamed(path, service) if service else ())
    return Descriptor(service if not found else None, tuple(found))


def _within(problem: Problem, environment: str) -> Problem:
    return Problem(problem.file, f"{OVERRIDES}.{environment}.{problem.key}", problem.problem, problem.remedy)


def _misnamed(path: Path, service: Service) -> Iterator[Problem]:
    if service.name != path.stem:
        told = f"is {service.name!r}, but the file is called {path.name}; they must be the same"
        yield Problem(str(path), "name", told)


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST + 1)
    except OSError as error:
        raise _Unreadable(f"can't be read: {error.strerror}") from error
    if len(raw) > _LARGEST:
        raise _Unreadable(f"is larger than {_LARGEST} bytes")
    try:
        described = yaml.load(raw, Loader=_StrictLoader)  # noqa: S506 (a SafeLoader)
    except (yaml.YAMLError, ValueError) as error:
        # ValueError: no UTF-8, no such date, a number of thousands of digits.
        raise _Unreadable(f"is not valid YAML: {_one_line(error)}") from error
    if not isinstance(described, dict):
        raise _Unreadable("must be a mapping")
    return described


def _merged(base: dict[str, Any], part: Any) -> dict[str, Any]:  # noqa: ANN401
    if not isinstance(part, dict):
        return base if part is None else {**base, OVERRIDES: part}
    merged = dict(base)
    for key, value in part.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = _merged(base[key], value) if both else value
    return merged


def _validated(path: Path, described: dict[str, Any]) -> tuple[Service | None, list[Problem]]:
    try:
        return Service.model_validate(described), []
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        return None, [problem for each in found for problem in _problems(path, each)]


def _problems(path: Path, error: ErrorDetails) -> Iterator[Problem]:
    key = ".".join(str(part) for part in error["loc"])
    message = error["msg"].removeprefix("Value error, ")
    if not key:
        yield from (_of_a_part(path, line) for line in message.splitlines())
        return
    found = "" if error["type"] == "missing" else f"; found {_shown(error['input'])!r}"
    yield Problem(str(path), key, without_userinfo(f"{message}{found}"), _remedy(error))


def _of_a_part(path: Path, line: str) -> Problem:
    named = _NAMED_KEY.fullmatch(line)
    return Problem(str(path), named[1], named[2]) if named else Problem(str(path), WHOLE_FILE, line)


def _remedy(error: ErrorDetails) -> str:
    """For a key that nobody knows, what it may have been meant for."""
    if error["type"] != "extra_forbidden":
        return _REMEDY
    known = list(_part_at(error["loc"][:-1]).model_fields)
    close = difflib.get_close_matches(str(error["loc"][-1]), known, n=1)
    return f"Did you mean {close[0]}? {_REMEDY}" if close else f"Known there are {', '.join(known)}. {_REMEDY}"


def _part_at(place: tuple[int | str, ...]) -> type[BaseModel]:
    """The part of the descriptor at a place, as pydantic names it."""
    part: type[BaseModel] = Service
    for key in place:
        if isinstance(key, str) and key in part.model_fields:
            part = _part_of(part.model_fields[key].annotation) or part
    return part


def _part_of(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((part for each in get_args(annotation) if (part := _part_of(each))), None)


def _shown(value: object) -> str:
    # Aliases can make a small file's value exponentially long: reprlib stops early.
    return (value if isinstance(value, str) else reprlib.repr(value))[:120]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
