# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Nagios on a host of the inventory."""

from __future__ import annotations

from ansible_collections.tidegate.delivery.plugins.module_utils.nagios.server import Nagios, find_nagios
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Node
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call


def nagios_of(call: Call, server: str) -> tuple[Node, Nagios]:
    """The node of that host, and the Nagios that its variables name or that is in a usual place. Raises BadInput."""
    node = call.nodes([server])[server]
    return node, find_nagios(node, str(call.hostvar(server, "tidegate_nagios_config", "")))
