# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service descriptor: what it may say, and the defaults of everything that it leaves out."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from datetime import date, datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from ansible_collections.tidegate.delivery.plugins.module_utils import haproxy_state, hiera
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.json_path import parse_json_path
from ansible_collections.tidegate.delivery.plugins.module_utils.values import Share, format_duration, parse_duration

_NAME = r"^[a-z][a-z0-9_-]{0,62}$"
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
# As the test box takes them, so that a slip shows before a wave has left.
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_HEADER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,199}")
# These become words of HAProxy's configuration: nothing that it could read as more than one.
_HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_CHECK = re.compile(r"/[A-Za-z0-9._~/?=&-]*")
_BIND = re.compile(r"[A-Za-z0-9.:*_\[\]-]*:[0-9]{1,5}( [A-Za-z0-9./,:_@-]+)*")
Parsed = TypeVar("Parsed")


def _scalar(parse: Callable[[Any], Parsed]) -> Callable[[Any], Parsed]:
    """`parse`, but for lists and mappings: their text could be endless."""

    def read(value: Any) -> Parsed:  # noqa: ANN401
        if not isinstance(value, str | int | float):
            raise ValueError("must be a single value, not a list or mapping")
        return parse(value)

    return read


Seconds = Annotated[float, BeforeValidator(_scalar(parse_duration)), PlainSerializer(format_duration, return_type=str)]
NodeShare = Annotated[
    Share, BeforeValidator(_scalar(Share.parse)), PlainSerializer(lambda share: str(share), return_type=str)
]
Name = Annotated[str, Field(pattern=_NAME)]


def _known_placeholders(*known: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        unknown = sorted(set(_PLACEHOLDER.findall(text)) - set(known))
        if unknown:
            allowed = ", ".join(f"{{{name}}}" for name in known)
            raise ValueError(f"unknown placeholder {{{unknown[0]}}}; allowed are {allowed}")
        return text

    return check


def _url(text: str) -> str:
    if not re.match(r"https?://[^\s/]+", text):
        raise ValueError(f"{text!r} is not an http or https URL")
    return text


def _like(pattern: re.Pattern[str], what: str) -> AfterValidator:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(f"{text[:120]!r} is not {what}")
        return text

    return AfterValidator(check)


def _json_path(text: str) -> str:
    try:
        steps = parse_json_path(text)
    except BadInput as error:
        raise ValueError(error.message) from None
    if not steps:
        raise ValueError(f"{text!r} is the whole document; name one place in it, such as $.status")
    return text


def _finite(value: str | int | float | bool) -> str | int | float | bool:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value!r} is no value that JSON has")
    return value


def _day(value: Any) -> date:  # noqa: ANN401
    # YAML reads a bare 2026-12-31 as a date already; pydantic alone would take numbers, too.
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError(f"{str(value)[:60]!r} is not a day such as 2026-12-31") from None


NodeUrl = Annotated[str, AfterValidator(_url), AfterValidator(_known_placeholders("node", "service", "environment"))]
Path = Annotated[str, Field(pattern=r"^/\S*$")]
JsonPath = Annotated[str, AfterValidator(_json_path)]
Scalar = Annotated[str | int | float | bool, AfterValidator(_finite)]
Backend = Annotated[str, _like(haproxy_state.NAME, "a backend's name: letters, digits and . _ : -, at most 100")]
FileName = Annotated[str, _like(_FILE, "a plain file name: letters, digits and . _ -, without folders")]
HeaderName = Annotated[str, _like(_HEADER, "a header's name: letters, digits, _ and -")]
HieraKey = Annotated[str, _like(hiera.KEY, "a Hiera key such as tradeapi::version")]
Text = Annotated[str, Field(min_length=1, max_length=2000)]
HostName = Annotated[str, _like(_HOST_NAME, "a host name in small letters, without a port")]
PathPrefix = Annotated[str, _like(_PREFIX, "a path such as /trade, without a slash at its end")]
CheckPath = Annotated[str, _like(_CHECK, "a path such as /health: letters, digits and . _ ~ / ? = & -")]
Bind = Annotated[str, _like(_BIND, "an ADDRESS:PORT with options, as HAProxy's `bind` takes them")]
Day = Annotated[date, BeforeValidator(_day), PlainSerializer(str, return_type=str)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Part(BaseModel):
    """A part of a descriptor: unknown keys are errors, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Site(Part):
    """Nodes and the load balancers in front of them, as inventory groups."""

    name: Name = "main"
    nodes: str
    load_balancers: str


class Written(Part):
    """What Tidegate writes into HAProxy's configuration for a pool (docs/haproxy.md)."""

    host: HostName | None = None
    path: PathPrefix | None = None
    bind: Bind | None = None
    server_port: Port | None = None
    check: CheckPath | None = None
    maintenance_port: Port | None = None
    node_ports: Port | None = None


class Pool(Part):
    """Two backends that both list every node. With `haproxy` Tidegate can write them; else a person did.

    `unchecked`: whether servers that HAProxy doesn't check may move, on the health gate alone.
    """

    online: Backend
    maintenance: Backend
    unchecked: Literal["refuse", "allow"] = "refuse"
    haproxy: Written | None = None


class Drain(Part):
    """How long customers' requests may take to end."""

    soft: Seconds = 30.0
    hard: Seconds = 120.0
    at_hard: Literal["fail", "cut"] = "fail"
    sticky: Literal["move", "wait"] = "move"


class Artifact(Part):
    """Where a release's artifact is; its SHA-256 stands beside it under the same name plus `.sha256`."""

    url: Annotated[
        str, AfterValidator(_known_placeholders("artifacts", "service", "version", "environment")), Field(min_length=8)
    ]


class Puppet(Part):
    """How a node learns its version, and how long a Puppet run may take."""

    pin: Literal["hiera"] = "hiera"
    key: HieraKey
    digest_key: HieraKey | None = None
    servers: str = "puppetservers"
    timeout: Seconds = 900.0
    # Who raises the common value: we in our own layer, or a command of the site's that opens a merge request.
    common: Literal["layer", "command"] = "layer"
    merge_within: Seconds = 0.0


class Deploy(Part):
    """What brings the release to a node."""

    puppet: Puppet


class Release(Part):
    """Where a node says which release it serves."""

    url: NodeUrl
    version: JsonPath = "$.version"
    digest: JsonPath | None = None
    timeout: Seconds = 60.0


class Health(Part):
    """When a node is healthy: N good answers in a row on fresh connections."""

    url: NodeUrl
    in_a_row: Annotated[int, Field(ge=1, le=1000)] = 3
    interval: Seconds = 0.5
    timeout: Seconds = 120.0
    expect: dict[JsonPath, Scalar] = {}


class Aim(Part):
    """How a test reaches one node of the maintenance pool."""

    by: Literal["header"] = "header"
    header: HeaderName = "X-Tidegate-Node"
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


class NUnit(Part):
    """Which tests must pass, where they run and what they are aimed at."""

    box: str
    url: Annotated[
        str, AfterValidator(_url), AfterValidator(_known_placeholders("load_balancer", "service", "environment"))
    ]
    assemblies: Annotated[list[FileName], Field(min_length=1)]
    min_tests: Annotated[int, Field(ge=1)] = 1
    allowed_failures: Annotated[int, Field(ge=0)] = 0
    required_tests: list[Text] = []
    categories: Categories = Categories()
    quarantine: list[Quarantine] = []
    aim: Aim = Aim()
    timeout: Seconds = 600.0

    @model_validator(mode="after")
    def _consistent(self) -> NUnit:
        excused = [entry.test for entry in self.quarantine]
        both = sorted(set(excused) & set(self.required_tests))
        if not _distinct(excused):
            raise ValueError("quarantine: names a test twice")
        if both:
            raise ValueError(f"quarantine: {both[0]} is in required_tests as well")
        return self


class Until(Part):
    """When a node is warm."""

    p95: Seconds


class Warmup(Part):
    """Requests that a node answers before customers' do: paths on the host of the health URL."""

    urls: Annotated[list[Path], Field(min_length=1)]
    until: Until
    timeout: Seconds = 60.0


class Verify(Part):
    """What must hold before a node joins."""

    release: Release
    health: Health
    nunit: NUnit | None = None
    warmup: Warmup | None = None


class Service(Part):
    """One service: what it is made of, how it moves and what proves it."""

    name: Name
    sites: Annotated[list[Site], Field(min_length=1)]
    pools: Annotated[list[Pool], Field(min_length=1)]
    waves: Annotated[list[NodeShare], Field(min_length=1)] = [Share(1, percent=False), Share(100, percent=True)]
    min_online: NodeShare
    drain: Drain = Drain()
    join_timeout: Seconds = 60.0
    artifact: Artifact
    deploy: Deploy
    verify: Verify
    on_failure: Literal["hold"] = "hold"
    moves_with: list[Name] = []

    @model_validator(mode="after")
    def _consistent(self) -> Service:
        problems = list(self._inconsistencies())
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _inconsistencies(self) -> Iterator[str]:
        """What each part allows and all of them together don't, a line each that begins with the key."""
        if not _distinct([site.name for site in self.sites]):
            yield "sites: each site needs a name of its own"
        if not _distinct([backend for pool in self.pools for backend in (pool.online, pool.maintenance)]):
            yield "pools: each backend has one part: online or maintenance, of one pool"
        if any(share.amount == 0 for share in self.waves):
            yield "waves: a wave of 0 nodes would never end"
        if self.drain.soft > self.drain.hard:
            yield "drain: soft must not be later than hard"
        if self.deploy.puppet.key == self.deploy.puppet.digest_key:
            yield "deploy: version and digest need a Hiera key each"
        if self.name in self.moves_with:
            yield "moves_with: names the service itself"


def _distinct(names: list[str]) -> bool:
    return len(set(names)) == len(names)


def fill(text: str, **values: str) -> str:
    """`text` with its placeholders filled in; those that have no value here stay."""
    return _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), text)
