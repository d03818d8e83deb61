# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalog: every service's descriptor, read from one folder and validated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.descriptor import (
    SUFFIXES,
    WHOLE_FILE,
    Descriptor,
    Problem,
    read_descriptor,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.service import Service
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput

Catalog = dict[str, Service]


@dataclass(frozen=True, slots=True)
class Survey:
    """All that a folder of descriptors holds: the sound services with their files, and every problem."""

    files: Mapping[str, Path]
    services: Catalog
    problems: tuple[Problem, ...]


def load_catalog(folder: str, environment: str) -> Catalog:
    """All services in `folder` (one `NAME.yml` each) as `environment` sees them.

    Raises BadInput that names file, key, what was found and what is allowed, for the first malformed file.
    """
    services: Catalog = {}
    for path in _descriptors(folder):
        service = load_service(path, environment)
        if service.name in services:
            raise _twice(path).error()
        services[service.name] = service
    return services


def survey_catalog(folder: str, environment: str) -> Survey:
    """The same without an end at the first problem. Raises BadInput when there is no such folder."""
    paths = _descriptors(folder)
    read = {path: read_descriptor(path, environment) for path in paths}
    problems = [problem for found in read.values() for problem in found.problems]
    files: dict[str, Path] = {}
    for path in paths:
        if path.stem in files:
            problems.append(_twice(path))
        else:
            files[path.stem] = path
    if not paths:
        remedy = "Write one for each service: NAME.yml"
        problems.append(Problem(folder, "the whole folder", "holds no descriptor", remedy))
    return Survey(files, _sound(files, read), (*problems, *_strangers(folder)))


def _sound(files: Mapping[str, Path], read: Mapping[Path, Descriptor]) -> Catalog:
    found = {name: read[path].service for name, path in files.items()}
    return {name: service for name, service in found.items() if service is not None}


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
    descriptor = read_descriptor(path, environment)
    if descriptor.service is None:
        raise descriptor.problems[0].error(more=len(descriptor.problems) - 1)
    return descriptor.service


def _descriptors(folder: str) -> list[Path]:
    return sorted(path for path in _folder(folder).iterdir() if path.suffix in SUFFIXES)


def _folder(folder: str) -> Path:
    if not Path(folder).is_dir():
        raise BadInput(
            "the folder of service descriptors doesn't exist",
            where=folder,
            remedy="Set tidegate_services in the inventory to the folder with one file per service",
        )
    return Path(folder)


def _strangers(folder: str) -> list[Problem]:
    """What stands among the descriptors and is none; hidden files are tools' own."""
    others = sorted(path for path in _folder(folder).iterdir() if path.suffix not in SUFFIXES)
    remedy = "Move it elsewhere, or call a descriptor NAME.yml"
    return [
        Problem(str(path), WHOLE_FILE, "is no descriptor, and nothing reads it", remedy)
        for path in others
        if not path.name.startswith(".")
    ]


def _twice(path: Path) -> Problem:
    return Problem(str(path), WHOLE_FILE, f"{path.stem} is described twice", "Keep one of its two files")
