"""What all sinks' settings have in common: how they are read, and what a time or a file of authorities must be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput

_LONGEST_S = 86_400.0
Settings = TypeVar("Settings")


def settings_of(kind: type[Settings], told: Mapping[str, Any]) -> Settings:
    """Settings of this dataclass, without what it doesn't know and what isn't set. Raises its BadInput."""
    names = {each.name for each in fields(kind)}  # type: ignore[arg-type]  # no bound says that it is a dataclass
    return kind(**{name: value for name, value in told.items() if name in names and value is not None})


def require_seconds(value: float, where: str) -> None:
    """Raise BadInput for a time that nothing can be waited for; `where` is the option."""
    if not 0 < value <= _LONGEST_S:
        raise BadInput(
            f"{value:g} seconds are too few or too many",
            where=where,
            remedy=f"Give it more than 0 and at most {_LONGEST_S:g} seconds",
        )


def require_drain(value: float) -> None:
    """Raise BadInput for a time after the playbook's end that nobody can mean; 0 is not to wait at all."""
    if value != 0:
        require_seconds(value, "tidegate: drain")


def http_url(url: str) -> SplitResult | None:
    """An http or https URL of a host, without a user; None for anything else."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return None  # a port that is none, a bracket that is not closed
    return parts if good and not parts.username and not parts.password else None


def require_authorities(ca_file: str, where: str) -> None:
    """Raise BadInput for a file that isn't there; empty means the system's."""
    if ca_file and not Path(ca_file).is_file():
        raise BadInput(f"{ca_file} is not there", where=where)
