"""What the role haproxy writes for a catalog, as its tests make one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jinja2
import yaml

from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.catalog import Survey
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.catalog_placement import Placed, place_catalog
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.service import Service
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.model import NOWHERE, Model

PROJECT = Path(__file__).resolve().parents[4]
ROLE = PROJECT / "roles" / "haproxy"
GROUPS = {"nodes": ["n1", "n2"], "edge": ["lb1"], "all": ["n1", "n2", "lb1"]}
Haproxy = Mapping[str, Any] | None


def service(name: str, *parts: Haproxy, nodes: str = "nodes", tests: str = "") -> Service:
    described = yaml.safe_load((PROJECT / "services" / "tradeapi.yml").read_text())
    nunit = {**described["verify"]["nunit"], "url": tests} if tests else None
    pools = [
        {"online": f"{name}_online{number or ''}", "maintenance": f"{name}_maintenance{number or ''}", "haproxy": part}
        for number, part in enumerate(parts)
    ]
    changes = {"name": name, "sites": [{"nodes": nodes, "load_balancers": "edge"}], "pools": pools, "moves_with": []}
    return Service.model_validate({**described, **changes, "verify": {**described["verify"], "nunit": nunit}})


def placed(*services: Service, groups: Mapping[str, Sequence[str]] = GROUPS) -> Placed:
    files = {each.name: Path(f"{each.name}.yml") for each in services}
    return place_catalog(Survey(files, {each.name: each for each in services}, ()), groups)


def rendered(what: Model, **variables: Any) -> str:
    """The template as Ansible renders it: with its own option for blocks, and the role's defaults."""
    environment = jinja2.Environment(
        trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined, autoescape=False
    )
    template = environment.from_string((ROLE / "templates" / "tidegate.cfg.j2").read_text())
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    sockets = {
        "tidegate_haproxy_socket": "/run/haproxy/admin.sock",
        "tidegate_haproxy_state_dir": "/var/lib/haproxy/state",
    }
    return template.render(**{**defaults, **sockets, **variables}, haproxy_model={**asdict(what), "nowhere": NOWHERE})


def eighty_services(**changed: Haproxy) -> Placed:
    """80 services, s00 to s79, on 12 nodes of their own each, with a port a node; `changed` are parts of some."""
    names = [f"s{number:02}" for number in range(80)]
    groups = {name: [f"{name}-n{number:02}" for number in range(12)] for name in names}
    services = [
        service(
            name,
            {
                "host": f"{name}.test",
                "node_ports": 20000 + 20 * number,
                "maintenance_port": 10000 + number,
                **(changed.get(name) or {}),
            },
            nodes=name,
        )
        for number, name in enumerate(names)
    ]
    return placed(*services, groups={**groups, "edge": ["lb1"]})


def addresses_of(everything: Placed, net: str) -> dict[str, str]:
    """Twelve addresses for all nodes: the first of each service has the first one, and so on."""
    return {node: f"{net}.{number}" for home in everything.homes for number, node in enumerate(home.nodes, 1)}
