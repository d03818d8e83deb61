"""A node's boot as its own files tell it, below a folder that stands for the node's root."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.node.boot import Boot, OnPending, look_at_boot
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import LocalShell, PosixNode
from tests.unit.plugins.module_utils.edge import Edge


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    return Edge(tmp_path)


def test_nothing_is_pending(edge: Edge) -> None:
    assert look_at_boot(edge.node) == Boot("first")


def test_packages_that_ask_for_a_reboot_are_named_once(edge: Edge) -> None:
    edge.write("run/reboot-required", "*** System restart required ***\n")
    assert look_at_boot(edge.node).pending == "/run/reboot-required is there"
    edge.write("run/reboot-required.pkgs", "linux-image-6.1\ndbus\nlinux-image-6.1\n")
    assert look_at_boot(edge.node).pending == "/run/reboot-required is there, because of linux-image-6.1 dbus"


def test_a_reboot_that_comes_by_itself(edge: Edge) -> None:
    edge.write("run/systemd/shutdown/scheduled", "USEC=1795896347000000\nWARN_WALL=1\nMODE=reboot\n")
    found = look_at_boot(edge.node)
    assert (found.scheduled, found.required) == (True, "")
    assert "by itself" in found.pending


def test_without_the_variable_it_is_this_machine() -> None:
    env = {key: value for key, value in os.environ.items() if key != "TIDEGATE_NODE_ROOT"}
    found = look_at_boot(PosixNode("here", LocalShell(env)))
    assert found.id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def test_a_node_that_does_not_tell_is_not_taken_for_another_boot(edge: Edge) -> None:
    edge.boot_id.unlink()
    with pytest.raises(Unreachable, match=r"does not tell its boot id.*\(n1\)"):
        look_at_boot(edge.node)


@pytest.mark.parametrize(
    ("policy", "boot", "counts"),
    [
        (OnPending.IGNORE, Boot("b"), False),
        (OnPending.IGNORE, Boot("b", "required"), False),
        (OnPending.IGNORE, Boot("b", scheduled=True), True),
        (OnPending.HOLD, Boot("b"), False),
        (OnPending.HOLD, Boot("b", "required"), True),
        (OnPending.HOLD, Boot("b", scheduled=True), True),
        (OnPending.IF_PENDING, Boot("b", "required", scheduled=True), False),
    ],
)
def test_what_counts_after_a_good_run(policy: OnPending, boot: Boot, counts: bool) -> None:
    assert policy.counts(boot) is counts
