# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load balancers of the inventory and names of HAProxy's configuration, as options give them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.access import VARIABLES, AdminAccess
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.runtime import (
    LOCK_TIMEOUT,
    Admin,
    Runtime,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import NAME
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.left_out import LeftOut

if TYPE_CHECKING:
    from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call


def accesses(call: Call, names: Sequence[str]) -> dict[str, AdminAccess]:
    """Where HAProxy is administered on each of these hosts. Raises BadInput naming host and variable."""
    return {
        name: AdminAccess.from_hostvars(name, {variable: call.hostvar(name, variable, "") for variable in VARIABLES})
        for name in names
    }


def admin_of(
    call: Call, name: str, backends: Sequence[str] = (), *, without: Collection[str] = (), lock: float = LOCK_TIMEOUT
) -> Admin:
    """The Runtime API of one load balancer; of one in `without` the saved states of `backends` while it is down."""
    node = call.nodes([name])[name]
    running = Runtime(node, accesses(call, [name])[name], lock=lock)
    return LeftOut(node, running, backends, lock=lock) if name in without else running


def checked_name(name: str) -> str:
    """A backend's or server's name as HAProxy allows it. Raises BadInput: it would become part of a command."""
    if not NAME.fullmatch(name):
        raise BadInput(
            f"{name!r} is no name of a backend or server",
            where="pools, nodes",
            remedy="HAProxy's names have letters, digits and . : _ -",
        )
    return name
