# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a descriptor says of tests: which, run by whom, aimed how, and when they are enough."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.descriptor_types import (
    HOST_NAME,
    Day,
    FileName,
    HeaderName,
    Part,
    Seconds,
    Text,
    VariableName,
    fill,
    known_placeholders,
    url_text,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.runners import (
    Runner,
    Selection,
    require_tellable,
)


def _node_host(text: str) -> str:
    if "{node}" not in text or not HOST_NAME.fullmatch(fill(text, node="n1", service="s1")):
        raise ValueError(f"{text[:120]!r} is not a host name in small letters with {{node}} in it")
    return text


class NUnitAim(Part):
    """How a test reaches one node of the maintenance pool: by a header, by the URL's port, or by the Host header."""

    by: Literal["header", "port", "host"] = "header"
    header: HeaderName = "X-Tidegate-Node"
    host: Annotated[str, AfterValidator(known_placeholders("node", "service")), AfterValidator(_node_host)] | None = (
        None
    )
    served_by: HeaderName = "X-Served-By"


class Categories(Part):
    """Which cases count: those of one of `include`, if it names any, and of none of `exclude`."""

    include: list[Text] = []
    exclude: list[Text] = []


class Quarantine(Part):
    """A test that may fail up to and including a day."""

    test: Text
    until: Day
    reason: Text


class NUnitLog(Part):
    """What HAProxy's log must say of the tests' requests, known by the box's `address` or by the run's `id`."""

    required: bool = False
    known_by: Literal["address", "id"] = "address"


class NUnit(Part):
    """Which tests must pass, where they run and what they are aimed at."""

    box: str
    url: Annotated[
        str,
        AfterValidator(url_text),
        AfterValidator(known_placeholders("load_balancer", "service", "environment", "node", "node_port")),
    ]
    assemblies: Annotated[list[FileName], Field(min_length=1)]
    runner: Runner = Runner.NUNIT2
    program: list[Text] = []
    parallel: Annotated[int, Field(ge=1, le=100)] = 1
    secrets: dict[VariableName, VariableName] = {}
    min_tests: Annotated[int, Field(ge=1)] = 1
    allowed_failures: Annotated[int, Field(ge=0)] = 0
    required_tests: list[Text] = []
    categories: Categories = Categories()
    quarantine: list[Quarantine] = []
    aim: NUnitAim = NUnitAim()
    log: NUnitLog = NUnitLog()
    timeout: Annotated[Seconds, Field(ge=1)] = 600.0
    queue_timeout: Seconds = 1800.0

    @model_validator(mode="after")
    def _consistent(self) -> NUnit:
        self._require_aim()
        try:
            require_tellable(self.runner, Selection(tuple(self.categories.include), tuple(self.categories.exclude)))
        except BadInput as error:
            raise ValueError(f"categories: {error.message}") from None
        if self.parallel > 1 and self.log.required and self.log.known_by != "id":
            raise ValueError("log: with parallel only `known_by: id` tells runs apart")
        if len({name.casefold() for name in self.assemblies}) < len(self.assemblies):
            raise ValueError("assemblies: names a file twice, and its tests would count twice")
        excused = [entry.test for entry in self.quarantine]
        both = sorted(set(excused) & set(self.required_tests))
        if len(set(excused)) < len(excused):
            raise ValueError("quarantine: names a test twice")
        if both:
            raise ValueError(f"quarantine: {both[0]} is in required_tests as well")
        return self

    def _require_aim(self) -> None:
        named = {name for name in ("node", "node_port") if f"{{{name}}}" in self.url}
        if self.aim.by == "port" and "node_port" not in named:
            raise ValueError("url: has no {node_port}, and the aim is by port")
        if self.aim.by != "port" and "node_port" in named:
            raise ValueError("url: {node_port} needs the aim by port")
        if self.aim.by == "host" and not (self.aim.host or "node" in named):
            raise ValueError("aim: by host needs `host`, or {node} in the url")
        if self.aim.host and self.aim.by != "host":
            raise ValueError("aim: `host` needs `by: host`")
