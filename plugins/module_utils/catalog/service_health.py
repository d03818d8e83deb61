# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service descriptor's part about health: when a node is healthy, and all that must hold beside its own answer."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.descriptor_types import (
    HeaderName,
    JsonPath,
    Name,
    NodeUrl,
    Part,
    Port,
    Scalar,
    Seconds,
    Text,
    known_placeholders,
    url_text,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.health.check import MOST_CHECKS
from ansible_collections.tidegate.delivery.plugins.module_utils.health.components import GOOD
from ansible_collections.tidegate.delivery.plugins.module_utils.health.nagios_plugin import State, parse_range
from ansible_collections.tidegate.delivery.plugins.module_utils.health.service_state import STATES, ServiceCheck
from ansible_collections.tidegate.delivery.plugins.module_utils.node.process_start import FoundBy, ProcessQuestion

# What else is in braces is the program's own business.
_WORD_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_IN_WORDS = ("node", "name", "load_balancer", "service", "environment", "version")


def _word(text: str) -> str:
    unknown = sorted(set(_WORD_PLACEHOLDER.findall(text)) - set(_IN_WORDS))
    if unknown:
        allowed = ", ".join(f"{{{name}}}" for name in _IN_WORDS)
        raise ValueError(f"unknown placeholder {{{unknown[0]}}}; allowed are {allowed}")
    if "\0" in text:
        raise ValueError("has a NUL character")
    return text


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text[:80]!r} is not a regular expression: {error}") from None
    return text


def _state(text: str) -> str:
    if text not in STATES:
        raise ValueError(f"{text[:80]!r} is no state of a service; there are {', '.join(STATES)}")
    return text


def _range(text: str) -> str:
    try:
        parse_range(text)
    except BadInput as error:
        raise ValueError(error.message) from None
    return text


Word = Annotated[str, Field(max_length=2000), AfterValidator(_word)]
Argv = Annotated[list[Word], Field(min_length=1, max_length=100)]
Pattern = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_pattern)]
RangeText = Annotated[str, AfterValidator(_range)]
ServiceStateName = Annotated[str, AfterValidator(_state)]
Status = Annotated[int, Field(ge=100, le=599)]
ExitCode = Annotated[int, Field(ge=0, le=4_294_967_295)]
AnyUrl = Annotated[
    str, AfterValidator(url_text), AfterValidator(known_placeholders("node", "load_balancer", "service", "environment"))
]


class Aim(Part):
    """How a test reaches one node of the maintenance pool."""

    by: Literal["header"] = "header"
    header: HeaderName = "X-Tidegate-Node"
    served_by: HeaderName = "X-Served-By"


class Components(Part):
    """Each component of the answer at `path` must be in one of these states, and those required be there."""

    path: JsonPath
    accept: Annotated[list[Text], Field(min_length=1)] = list(GOOD)
    required: list[Text] = []


class Http(Part):
    """One more answer; with `aim` through the maintenance front end, where it must say that this node gave it."""

    url: AnyUrl
    status: Annotated[list[Status], Field(min_length=1)] = [200]
    expect: dict[JsonPath, Scalar] = {}
    components: Components | None = None
    aim: Aim | None = None


class Tcp(Part):
    """A port of the node that accepts connections, and answers as expected."""

    port: Port
    send: Text | None = None
    expect: Text | None = None


class Command(Part):
    """A program on the node."""

    argv: Argv
    exit_codes: Annotated[list[ExitCode], Field(min_length=1)] = [0]
    output: Pattern | None = None


class Nagios(Part):
    """A Nagios plugin, on the node or the controller; with `url` and `aim` through the maintenance front end.

    There `url` is asked before and after it, and both answers must say that this node gave them.
    """

    argv: Argv
    run_on: Literal["node", "controller"] = "node"
    accept: Annotated[list[State], Field(min_length=1)] = [State.OK]
    perfdata: dict[Text, RangeText] = {}
    url: AnyUrl | None = None
    aim: Aim | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Nagios:
        if (self.url is None) != (self.aim is None):
            raise ValueError("aim: through the maintenance front end it needs url and aim")
        if self.aim and self.run_on == "node":
            raise ValueError("run_on: through the maintenance front end it runs on the controller")
        return self


class ServiceManaged(Part):
    """A service of the node's own service manager, in one of these states."""

    name: Text
    accept: Annotated[list[ServiceStateName], Field(min_length=1)] = ["running"]

    @model_validator(mode="after")
    def _consistent(self) -> ServiceManaged:
        try:
            ServiceCheck(self.name)
        except BadInput as error:
            raise ValueError(f"name: {error.message}") from None
        return self


class Process(Part):
    """A process on the node that must have been started since Puppet ran for this deployment."""

    unit: Text | None = None
    pid_file: Text | None = None
    port: Port | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Process:
        given = [(by, value) for by in FoundBy if (value := getattr(self, by.value)) is not None]
        if len(given) != 1:
            raise ValueError("unit: give one of unit, pid_file and port")
        try:
            ProcessQuestion(given[0][0], str(given[0][1]))
        except BadInput as error:
            raise ValueError(f"{given[0][0].value}: {error.message}") from None
        return self


class Check(Part):
    """One more condition of health: one of these kinds."""

    name: Name
    http: Http | None = None
    tcp: Tcp | None = None
    command: Command | None = None
    nagios: Nagios | None = None
    service: ServiceManaged | None = None
    process: Process | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Check:
        kinds = [name for name in type(self).model_fields if name != "name"]
        if sum(getattr(self, kind) is not None for kind in kinds) != 1:
            raise ValueError(f"name: give {self.name} one of {', '.join(kinds)}")
        return self


class Health(Part):
    """When a node is healthy: N good rounds in a row, each on fresh connections, in which everything holds at once."""

    url: NodeUrl
    status: Annotated[list[Status], Field(min_length=1)] = [200]
    in_a_row: Annotated[int, Field(ge=1, le=1000)] = 3
    interval: Seconds = 0.5
    timeout: Annotated[Seconds, Field(gt=0)] = 120.0
    request_timeout: Annotated[Seconds, Field(gt=0)] = 5.0
    expect: dict[JsonPath, Scalar] = {}
    components: Components | None = None
    started: JsonPath | None = None
    checks: Annotated[list[Check], Field(max_length=MOST_CHECKS)] = []

    @model_validator(mode="after")
    def _consistent(self) -> Health:
        names = [check.name for check in self.checks]
        if len(set(names)) != len(names):
            raise ValueError("checks: each needs a name of its own")
        return self
