from __future__ import annotations

import importlib
import pkgutil

import pytest

from ansible_collections.tidegate.delivery.plugins import modules
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.arguments import argument_spec, defaults_of

MODULES = sorted(module.name for module in pkgutil.iter_modules(modules.__path__))


def test_every_module_is_known() -> None:
    assert {"plan", "haproxy_pool", "puppet_run", "health_check", "nunit"} <= set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_the_documentation_is_a_specification_that_ansible_takes(module: str) -> None:
    from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

    spec = argument_spec(module)
    result = ArgumentSpecValidator(spec).validate({"no_such_option": 1})
    assert any("no_such_option" in message for message in result.error_messages)


def test_shared_options_come_from_the_fragments() -> None:
    spec = argument_spec("puppet_run")
    assert spec["deployment"] == {"type": "str", "required": True}
    assert spec["confdir"] == {"type": "str"}
    assert spec["timeout"] == {"type": "str", "default": "15m"}


def test_suboptions_are_validated_too() -> None:
    pools = argument_spec("haproxy_pool")["pools"]
    assert pools["elements"] == "dict"
    assert pools["options"]["min_online"]["required"]


def test_defaults_are_those_of_the_documentation_suboptions_included() -> None:
    health, nunit = defaults_of("health_check"), defaults_of("nunit")
    assert (health["status"], health["validate_certs"], health["expect"], health["ca_file"]) == ([200], True, [], None)
    assert health["warmup"]["batch"] == 20
    assert nunit["aim"] == {"by": "header", "header": "X-Tidegate-Node", "host": None, "served_by": "X-Served-By"}
    assert (nunit["runner"], nunit["environment"]) == ("nunit2", {})


@pytest.mark.parametrize("module", MODULES)
def test_an_action_does_the_work_of_every_module(module: str) -> None:
    action = importlib.import_module(f"ansible_collections.tidegate.delivery.plugins.action.{module}").ActionModule
    assert action.EFFECT is ("deployment" in argument_spec(module) and module not in ("deployment", "health_check"))
