# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The states of a service's components, as its health check tells them in JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import excerpt
from ansible_collections.tidegate.delivery.plugins.module_utils.health.json_path import (
    NotThere,
    look_up,
    parse_json_path,
)

# What ASP.NET Core's health checks call it (Healthy, Degraded, Unhealthy); and Spring Boot's, and ours.
GOOD = ("Healthy", "UP", "ok")
# Where the components of HealthChecks.UI's and of Microsoft's documented response writers are.
_STATE_KEYS = ("status", "state")
_MOST_TOLD = 5


@dataclass(frozen=True, slots=True)
class Components:
    """Every component at `path` must be in one of the states `accept`, and those of `required` be there.

    At `path` is an object of component to state, or to an object with `status`, or a list of objects with `name` and
    `status`. States are compared without regard to case.
    """

    path: str
    accept: tuple[str, ...] = GOOD
    required: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        parse_json_path(self.path)
        if not self.accept:
            raise BadInput("no state is accepted", where="components.accept", remedy="Name one, such as Healthy")


def component_problems(document: object, expected: Components) -> list[str]:
    """What is wrong with the components, a sentence each; no component at all is a problem as well."""
    try:
        # In a list two may have one name, and none of them hides behind the other.
        states = [*_states(look_up(document, expected.path))]
    except NotThere as error:
        return [f"there are no components at {expected.path} ({error})"]
    except ValueError as error:
        return [f"{expected.path} {error}"]
    accepted = {state.casefold() for state in expected.accept}
    wanted = " or ".join(expected.accept)
    found = [f"component {name} is missing" for name in expected.required if name not in dict(states)]
    found += [
        f"component {excerpt(name, 60)} is {excerpt(state, 40)!r}, expected {wanted}"
        for name, state in states
        if state.casefold() not in accepted
    ]
    if not states and not found:
        return [f"there are no components at {expected.path}"]
    more = len(found) - _MOST_TOLD
    return [*found[:_MOST_TOLD], *([f"{more} more components are not {wanted}"] if more > 0 else [])]


def _states(here: object) -> Iterator[tuple[str, str]]:
    if isinstance(here, dict):
        for name, value in here.items():
            yield str(name), _state(value)
    elif isinstance(here, list):
        for value in here:
            name = value.get("name") if isinstance(value, Mapping) else None
            if not isinstance(name, str):
                raise ValueError("is a list in which not every component has a name")
            yield name, _state(value)
    else:
        raise ValueError("is neither an object nor a list of components")


def _state(value: object) -> str:
    """A component's state; one that tells none is in state ``, which nobody accepts."""
    if isinstance(value, Mapping):
        value = next((value[key] for key in _STATE_KEYS if key in value), None)
    return value if isinstance(value, str) else ""
