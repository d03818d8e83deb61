# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node's boot: which one it is, and whether the node asks for another."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Node
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.boot import booted_at, pending_reboot, same_boot
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.node import WindowsNode

# Sets $root and $boot. Where several nodes share one machine, as in the lab, what tells them apart is below a folder.
BOOT = r"""
root=${TIDEGATE_NODE_ROOT-}
read -r boot <"$root/proc/sys/kernel/random/boot_id"
"""

# /run/reboot-required and the packages that ask for it: Debian's and Ubuntu's packages (reboot-notifier(8),
# update-notifier). /run/systemd/shutdown/scheduled: systemd-logind's note of a planned shutdown; Puppet's `reboot`
# type makes one, a minute ahead.
LOOK_AT_BOOT = (
    BOOT
    + r"""
echo "boot = $boot"
if [ -e "$root/run/reboot-required" ]; then
  echo "required = $(tr '\n' ' ' 2>/dev/null <"$root/run/reboot-required.pkgs" | head -c 300)"
fi
[ ! -e "$root/run/systemd/shutdown/scheduled" ] || echo "scheduled ="
"""
)
_LINE = re.compile(r"(boot|required|scheduled) =(?: (.*))?")


@dataclass(frozen=True, slots=True)
class Boot:
    """`id` changes with every boot; on Windows it is when that was. `required`: why the node asks for a reboot, empty
    when it does not. `scheduled`: it is about to reboot by itself."""

    id: str
    required: str = ""
    scheduled: bool = False

    def is_same(self, other: Boot) -> bool:
        """Whether both are one boot."""
        return self.id == other.id or same_boot(self.id, other.id)

    @property
    def pending(self) -> str:
        """Why a reboot is still to come; empty when none is."""
        return "it is about to reboot by itself (/run/systemd/shutdown/scheduled)" if self.scheduled else self.required


class OnPending(StrEnum):
    """What a reboot that the node asks for after a good run means: nothing, that the run's outcome is
    `reboot_pending`, or that the caller reboots. One that comes by itself is never ignored."""

    IGNORE = "ignore"
    HOLD = "hold"
    IF_PENDING = "if_pending"

    def asks(self, node: Node) -> bool:
        """Whether a node is looked at after a good run: on Windows nothing can be seen that is never ignored."""
        return self is not OnPending.IGNORE or not isinstance(node, WindowsNode)

    def counts(self, boot: Boot) -> bool:
        """Whether it makes a good run one that is not."""
        return self is not OnPending.IF_PENDING and bool(boot.scheduled or (self is OnPending.HOLD and boot.required))


def look_at_boot(node: Node, *, only_pending: bool = False) -> Boot:
    """Ask the node; with `only_pending` a Windows node's boot itself is left out, which takes another program.

    Whether a reboot is scheduled no program on Windows tells. Raises Unreachable, also when the answer is none; of a
    Windows node also BadInput.
    """
    if isinstance(node, WindowsNode):
        return Boot("" if only_pending else booted_at(node), pending_reboot(node))
    done = node.sh(LOOK_AT_BOOT)
    return read_boot(node.name, done.text, done.complaint)


def which_boot(node: Node) -> Boot:
    """Only which boot it is, as one asks while the node goes down or comes up. Raises what `look_at_boot` does.

    What is pending takes a Windows node another program, which a node that is going down may no longer start.
    """
    return Boot(booted_at(node)) if isinstance(node, WindowsNode) else look_at_boot(node)


def read_boot(node: str, text: str, complaint: str = "") -> Boot:
    """What LOOK_AT_BOOT said, whatever else stands around its lines. Raises Unreachable when it told no boot id."""
    found = {line[1]: (line[2] or "").strip() for line in map(_LINE.fullmatch, text.splitlines()) if line}
    if not found.get("boot"):
        raise Unreachable(
            f"the node does not tell its boot id{': ' + complaint if complaint else ''}",
            where=node,
            remedy="The node needs a POSIX shell, coreutils and Linux's /proc",
        )
    return Boot(found["boot"], _why(found), "scheduled" in found)


def _why(found: dict[str, str]) -> str:
    if "required" not in found:
        return ""
    packages = " ".join(dict.fromkeys(found["required"].split()))
    return f"/run/reboot-required is there{', because of ' + packages if packages else ''}"
