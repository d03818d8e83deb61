# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A descriptor's health check as the options of tidegate.delivery.health_check for one node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.descriptor_types import fill
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.service_health import (
    Aim,
    Check,
    Components,
    Health,
    Http,
    Nagios,
    Process,
    ServiceManaged,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.values import format_duration

# In place of a time: since Puppet first ran on the node for the deployment.
SINCE_DEPLOYMENT = "deployment"


def health_facts(health: Health, words: Mapping[str, str], *, deployed: bool = True) -> dict[str, Any]:
    """The options; `words` are what the placeholders stand for on that node.

    A service that is not `deployed` but moves with another one need not have been restarted.
    """
    since = SINCE_DEPLOYMENT if deployed else None
    return {
        "url": fill(health.url, **words),
        "status": list(health.status),
        "in_a_row": health.in_a_row,
        "interval": format_duration(health.interval),
        "timeout": format_duration(health.timeout),
        "request_timeout": format_duration(health.request_timeout),
        "expect": _expect(health.expect),
        "components": _components(health.components),
        "started": {"path": health.started, "after": since} if health.started and since else None,
        "checks": [_check(check, words, since) for check in health.checks],
    }


def _expect(expect: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"path": path, "value": value} for path, value in expect.items()]


def _components(components: Components | None) -> dict[str, Any] | None:
    return components.model_dump() if components else None


def _check(check: Check, words: Mapping[str, str], since: str | None) -> dict[str, Any]:
    return {
        "name": check.name,
        "http": _http(check.http, words) if check.http else None,
        "tcp": {"address": words["node"], **check.tcp.model_dump()} if check.tcp else None,
        "command": check.command.model_dump() | {"argv": _argv(check.command.argv, words)} if check.command else None,
        "nagios": _nagios(check.nagios, words) if check.nagios else None,
        "service": _service(check.service) if check.service else None,
        "process": _process(check.process, words, since) if check.process else None,
    }


def _http(http: Http, words: Mapping[str, str]) -> dict[str, Any]:
    return {
        "url": fill(http.url, **words),
        "status": list(http.status),
        "expect": _expect(http.expect),
        "components": _components(http.components),
        "aim": _aim(http.aim),
    }


def _nagios(nagios: Nagios, words: Mapping[str, str]) -> dict[str, Any]:
    return {
        "argv": _argv(nagios.argv, words),
        "run_on": nagios.run_on,
        "accept": [state.value for state in nagios.accept],
        "perfdata": dict(nagios.perfdata),
        "url": fill(nagios.url, **words) if nagios.url else None,
        "aim": _aim(nagios.aim),
    }


def _service(service: ServiceManaged) -> dict[str, Any]:
    return {"name": service.name, "accept": list(service.accept)}


def _process(process: Process, words: Mapping[str, str], since: str | None) -> dict[str, Any]:
    at = words["node"] if process.port is not None else None
    return {**process.model_dump(), "address": at, "after": since}


def _aim(aim: Aim | None) -> dict[str, str] | None:
    # There is no other way to aim than by header.
    return {"header": aim.header, "served_by": aim.served_by} if aim else None


def _argv(argv: list[str], words: Mapping[str, str]) -> list[str]:
    return [fill(word, **words) for word in argv]
