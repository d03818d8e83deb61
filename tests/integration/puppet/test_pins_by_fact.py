"""Pins as a fact on the node itself, on both kinds of node: the compiled catalog takes them, and drops them again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Node, PosixNode
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.hiera import with_pins, without_pins
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.node_fact import FOLDER_ON_WINDOWS, fact_file
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.pins import Edit, change
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.place import Place
from lab import build
from lab.agents import AgentRun, run_agent
from lab.layout import Host, Layout
from tests.integration.puppet.test_runs_in_the_lab import Ssh
from tests.integration.windows.findable import over_winrm

pytestmark = pytest.mark.lab
NEW = "1.1.0"
PORT = "tradeapi::port"
KEYS = ("tradeapi::version", "tradeapi::digest", PORT)


class Pinned:
    """A node that has its pins itself."""

    def __init__(self, layout: Layout, host: Host, node: Node, folder: str) -> None:
        self.layout, self.host, self._node, self._folder = layout, host, node, folder

    @property
    def file(self) -> str:
        return fact_file(self._folder)

    def edit(self, edit: Edit) -> bool:
        nodes, folders = {self.host.name: self._node}, {self.host.name: self._folder}
        [done] = change(nodes, folders, {self.host.name: {self.file: edit}}, Place.FACT)
        return done.changed

    def pin(self, version: str) -> bool:
        values = {KEYS[0]: version, KEYS[1]: build.digest(self.layout, "tradeapi", version)}
        return self.edit(partial(with_pins, values=values, deployment="d1", is_open=lambda _id: False))

    def unpin(self) -> bool:
        return self.edit(partial(without_pins, keys=KEYS, deployment="d1", is_open=lambda _id: False))

    def run(self) -> AgentRun:
        done = run_agent(self.layout, self.host.name)
        assert done.exit_code in (0, 2), done.output
        return done

    @property
    def installed(self) -> str:
        return (self.host.releases / "tradeapi" / "current").readlink().name


@pytest.fixture(params=["n3", "n4"])
def pinned(lab: Layout, request: pytest.FixtureRequest) -> Iterator[Pinned]:
    """One node over ssh and one over WinRM; it is brought back to what it ran before."""
    host = lab.host(request.param)
    with ExitStack() as closing:
        if host.windows_like:
            made = Pinned(lab, host, over_winrm(host, closing), FOLDER_ON_WINDOWS)
        else:
            made = Pinned(lab, host, PosixNode(host.name, Ssh(lab, host)), str(host.facts_dir))
        before = made.installed
        yield made
        made.unpin()
        if made.installed != before:
            made.run()
        assert made.installed == before


def test_the_catalog_takes_the_nodes_own_pin_and_drops_it_with_the_file(pinned: Pinned) -> None:
    before = pinned.installed
    assert before != NEW
    assert pinned.pin(NEW)
    assert not pinned.pin(NEW), "what is so already is not written"
    # A key that the level in hiera.yaml doesn't name: with such a port no catalog would compile.
    pinned.edit(partial(with_pins, values={PORT: "not a port"}, deployment="d1", is_open=lambda _id: False))
    pinned.run()
    assert pinned.installed == NEW
    assert pinned.unpin(), "Puppet's synchronisation of plug-ins left the fact there"
    assert not pinned.unpin()
    assert not (pinned.host.facts_dir / "tidegate_pins.yaml").exists()
    pinned.run()
    assert pinned.installed == before
