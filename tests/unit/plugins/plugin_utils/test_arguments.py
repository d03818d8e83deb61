from __future__ import annotations

import importlib
import pkgutil

import pytest

from ansible_collections.tidegate.delivery.plugins import modules
from ansible_collections.tidegate.delivery.plugins.plugin_utils.arguments import argument_spec

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


@pytest.mark.parametrize("module", MODULES)
def test_an_action_does_the_work_of_every_module(module: str) -> None:
    action = importlib.import_module(f"ansible_collections.tidegate.delivery.plugins.action.{module}").ActionModule
    assert action.EFFECT is ("deployment" in argument_spec(module) and module not in ("deployment", "health_check"))
