# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service descriptor: what it may say, and the defaults of everything that it leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.descriptor_types import (
    Backend,
    Bind,
    CheckPath,
    HieraKey,
    HostName,
    JsonPath,
    NagiosService,
    Name,
    NodeShare,
    NodeUrl,
    Part,
    Path,
    PathPrefix,
    Port,
    Seconds,
    known_placeholders,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.service_health import Health
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.service_nunit import NUnit
from ansible_collections.tidegate.delivery.plugins.module_utils.values import Share


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
        str, AfterValidator(known_placeholders("artifacts", "service", "version", "environment")), Field(min_length=8)
    ]


class Puppet(Part):
    """How a node learns its version, and how long a Puppet run may take."""

    # Where a node's pin is: in Hiera on the compile servers, or in an external fact on the node itself.
    pin: Literal["hiera", "fact"] = "hiera"
    key: HieraKey
    digest_key: HieraKey | None = None
    # Has the deployment's id while Puppet may change the service there, and is nowhere else: see puppet/README.md.
    open_key: HieraKey | None = None
    servers: str = "puppetservers"
    timeout: Annotated[Seconds, Field(ge=1)] = 900.0
    # Who raises the common value: we in our own layer, or a command of the site's that opens a merge request.
    common: Literal["layer", "command"] = "layer"
    merge_within: Seconds = 0.0
    # Whether the configuration's revision, which Puppet's config_version tells, is part of the release.
    revision: Literal["release", "ignored"] = "release"


class Deploy(Part):
    """What brings the release to a node, and what a reboot means that is pending after it."""

    puppet: Puppet
    reboot: Literal["ignore", "hold", "if_pending"] = "ignore"
    reboot_timeout: Seconds = 600.0


class Release(Part):
    """Where a node says which release it serves."""

    url: NodeUrl
    version: JsonPath = "$.version"
    digest: JsonPath | None = None
    timeout: Seconds = 60.0


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


class Nagios(Part):
    """The monitoring in which a node is in downtime while it is out.

    `services`: all that Nagios has of a node's host, when none are named. `at_failure`: whether a node may leave when
    no downtime could be opened. What comes back is never kept from it.
    """

    server: str
    services: list[NagiosService] | None = None
    length: Annotated[Seconds, Field(ge=60)] = 7200.0
    at_failure: Literal["refuse", "tell"] = "refuse"


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
    nagios: Nagios | None = None
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
        puppet = self.deploy.puppet
        if not _distinct([key for key in (puppet.key, puppet.digest_key, puppet.open_key) if key]):
            yield "deploy: version, digest and open_key need a Hiera key each"
        if self.name in self.moves_with:
            yield "moves_with: names the service itself"


def _distinct(names: list[str]) -> bool:
    return len(set(names)) == len(names)
