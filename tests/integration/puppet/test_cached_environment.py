"""A compile server that caches its environments for ever still sees every pin at once: what docs say of the cache."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import LocalShell, PosixNode
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.hiera import node_file, with_pins, without_pins
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.pins import Edit, change
from lab.agents import AgentRun, run_agent, write_yaml
from lab.files import write_file
from lab.layout import Layout

pytestmark = [pytest.mark.lab, pytest.mark.slow]
NODE = "n5"
KEY = "probe::value"


@pytest.fixture
def cached(lab: Layout) -> Iterator[Path]:
    """An environment that is never read again once it is loaded."""
    environments = lab.puppet_code_dir / "environments"
    folder = environments / "cached"
    # A level of the global layer is a function of Tidegate's module.
    modules = environments / "production" / "modules"
    write_file(folder / "environment.conf", f"modulepath = {modules}\nenvironment_timeout = unlimited\n")
    hierarchy = [{"name": "Everywhere", "path": "common.yaml"}]
    defaults = {"datadir": "data", "data_hash": "yaml_data"}
    write_yaml(folder / "hiera.yaml", {"version": 5, "defaults": defaults, "hierarchy": hierarchy})
    write_yaml(folder / "data" / "common.yaml", {KEY: "common"})
    manifest(folder, "first")
    yield folder
    edit_pins(lab, partial(without_pins, keys=[KEY], deployment="d1", is_open=lambda _id: False))


def manifest(folder: Path, word: str) -> None:
    write_file(folder / "manifests" / "site.pp", f"$value = lookup('{KEY}')\nnotify {{ \"{word} ${{value}}\": }}\n")


def edit_pins(layout: Layout, edit: Edit) -> None:
    rollout = str(layout.rollout_dir)
    path = node_file(rollout, layout.host(NODE).certname)
    change({"puppet": PosixNode("puppet", LocalShell())}, {"puppet": rollout}, {"puppet": {path: edit}})


def told(layout: Layout) -> str:
    """What the server compiled for the node: `first common`."""
    run = noop(layout, "cached")
    assert "Notify[" in run.output, run.output
    return run.output.partition("Notify[")[2].partition("]")[0]


def noop(layout: Layout, environment: str) -> AgentRun:
    return run_agent(layout, NODE, "--environment", environment, "--noop")


def test_pins_and_data_are_seen_although_code_is_cached(lab: Layout, cached: Path) -> None:
    assert told(lab) == "first common"
    manifest(cached, "second")
    edit_pins(lab, partial(with_pins, values={KEY: "pinned"}, deployment="d1", is_open=lambda _id: False))
    assert told(lab) == "first pinned", "the manifest is cached, the pin is not"
    write_yaml(cached / "data" / "common.yaml", {KEY: "merged"})
    edit_pins(lab, partial(without_pins, keys=[KEY], deployment="d1", is_open=lambda _id: False))
    assert told(lab) == "first merged"


def test_an_environment_without_our_module_compiles_nothing_that_is_looked_up(lab: Layout) -> None:
    """Docs say that a level of the global layer that is a module's function needs the module everywhere."""
    folder = lab.puppet_code_dir / "environments" / "bare"
    write_file(folder / "environment.conf", "modulepath = modules\n")
    manifest(folder, "bare")
    run = noop(lab, "bare")
    assert "Could not retrieve catalog" in run.output
    assert "load_typed" in run.output
