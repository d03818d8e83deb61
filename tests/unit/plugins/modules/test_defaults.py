"""A module used alone and a deployment by descriptor do the same where nothing is said."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.service import (
    Deploy,
    Drain,
    Puppet,
    Service,
    Warmup,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.service_health import Command, Health, Http
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.service_nunit import NUnit
from ansible_collections.tidegate.delivery.plugins.module_utils.values import parse_duration
from ansible_collections.tidegate.delivery.plugins.modules import haproxy_pool, health_check, nunit, puppet_run, reboot

# module, option, the descriptor's part and its field
SAME = (
    (haproxy_pool, "drain.soft", Drain, "soft"),
    (haproxy_pool, "drain.hard", Drain, "hard"),
    (haproxy_pool, "drain.at_hard", Drain, "at_hard"),
    (haproxy_pool, "drain.sticky", Drain, "sticky"),
    (haproxy_pool, "join_timeout", Service, "join_timeout"),
    (puppet_run, "timeout", Puppet, "timeout"),
    (puppet_run, "reboot", Deploy, "reboot"),
    (reboot, "timeout", Deploy, "reboot_timeout"),
    (health_check, "in_a_row", Health, "in_a_row"),
    (health_check, "interval", Health, "interval"),
    (health_check, "timeout", Health, "timeout"),
    (health_check, "request_timeout", Health, "request_timeout"),
    (health_check, "status", Health, "status"),
    (health_check, "checks.http.status", Http, "status"),
    (health_check, "checks.command.exit_codes", Command, "exit_codes"),
    (health_check, "warmup.timeout", Warmup, "timeout"),
    (nunit, "timeout", NUnit, "timeout"),
    (nunit, "queue_timeout", NUnit, "queue_timeout"),
    (nunit, "runner", NUnit, "runner"),
    (nunit, "parallel", NUnit, "parallel"),
    (nunit, "program", NUnit, "program"),
)


@pytest.mark.parametrize(
    ("module", "option", "part", "field"), SAME, ids=[f"{each[1]} of {each[2].__name__}" for each in SAME]
)
def test_a_default_is_the_descriptors(module: Any, option: str, part: type[BaseModel], field: str) -> None:
    documented: dict[str, Any] = {"suboptions": yaml.safe_load(module.DOCUMENTATION)["options"]}
    for name in option.split("."):
        documented = documented["suboptions"][name]
    told, meant = documented["default"], part.model_fields[field].default
    assert (parse_duration(told) if isinstance(meant, float) else told) == meant
