# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalog: every service's descriptor, read from one folder and validated."""

from __future__ import annotations

import reprlib
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.service import Service

_LARGEST = 256 * 1024
_OVERRIDES = "environments"
Catalog = dict[str, Service]


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


def load_catalog(folder: str, environment: str) -> Catalog:
    """All services in `folder` (one `NAME.yml` each) as `environment` sees them.

    Raises BadInput that names file, key, what was found and what is allowed, for the first malformed file.
    """
    root = Path(folder)
    if not root.is_dir():
        raise BadInput(
            "the folder of service descriptors doesn't exist",
            where=folder,
            remedy="Set tidegate_services in the inventory to the folder with one file per service",
        )
    files = sorted(path for path in root.iterdir() if path.suffix in (".yml", ".yaml"))
    return {service.name: service for service in (load_service(path, environment) for path in files)}


def find_service(catalog: Catalog, name: str, folder: str) -> Service:
    """The service called `name`; BadInput with the known ones otherwise."""
    if name not in catalog:
        known = ", ".join(sorted(catalog)) or "none"
        raise BadInput(
            f"service {name!r} is unknown",
            where=folder,
            remedy=f"Known services: {known}. Add {name}.yml or correct it",
        )
    return catalog[name]


def load_service(path: Path, environment: str) -> Service:
    """One descriptor as `environment` sees it. Raises BadInput."""
    try:
        return _load(path, environment)
    except RecursionError as error:
        raise _bad(path, "the whole file", "is nested too deeply") from error


def _load(path: Path, environment: str) -> Service:
    described = _read(path)
    overrides = described.pop(_OVERRIDES, {}) or {}
    if not isinstance(overrides, dict):
        raise _bad(path, _OVERRIDES, "must be a mapping of environment to overrides")
    # Every environment is validated, so that a slip in prod's part shows in dev already.
    resolved = {
        name: _validated(path, _merged(described, part), f"{_OVERRIDES}.{name}.") for name, part in overrides.items()
    }
    service = resolved.get(environment) or _validated(path, described, "")
    if service.name != path.stem:
        raise _bad(path, "name", f"is {service.name!r}, but the file is called {path.name}; they must be the same")
    return service


def _read(path: Path) -> dict[str, Any]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadInput(f"can't read the descriptor: {error.strerror}", where=str(path), remedy="Check it") from error
    if len(raw) > _LARGEST:
        raise BadInput(f"the descriptor is larger than {_LARGEST} bytes", where=str(path), remedy="Check the file")
    try:
        described = yaml.load(raw, Loader=_StrictLoader)  # noqa: S506 (a SafeLoader)
    except (yaml.YAMLError, ValueError) as error:
        # ValueError: no UTF-8, no such date, a number of thousands of digits.
        raise BadInput(f"not valid YAML: {_one_line(error)}", where=str(path), remedy="Correct the file") from error
    if not isinstance(described, dict):
        raise BadInput("a descriptor must be a mapping", where=str(path), remedy="See docs/descriptor.md")
    return described


def _merged(base: dict[str, Any], part: Any) -> dict[str, Any]:  # noqa: ANN401
    if not isinstance(part, dict):
        return base if part is None else {**base, _OVERRIDES: part}
    merged = dict(base)
    for key, value in part.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = _merged(base[key], value) if both else value
    return merged


def _validated(path: Path, described: dict[str, Any], prefix: str) -> Service:
    try:
        return Service.model_validate(described)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "the whole file"
        found = "" if first["type"] == "missing" else f"; found {_shown(first['input'])!r}"
        more = error.error_count() - 1
        also = f" ({more} more problem{'s' if more > 1 else ''} in this file)" if more else ""
        raise _bad(path, prefix + key, f"{first['msg'].removeprefix('Value error, ')}{found}{also}") from error


def _bad(path: Path, key: str, problem: str) -> BadInput:
    return BadInput(
        f"{key}: {problem}", where=str(path), remedy="Correct the descriptor; docs/descriptor.md lists every key"
    )


def _shown(value: object) -> str:
    # Aliases can make a small file's value exponentially long: reprlib stops early.
    return (value if isinstance(value, str) else reprlib.repr(value))[:120]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
