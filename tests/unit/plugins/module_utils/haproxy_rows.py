"""Rows as HAProxy 2.6.12 shows them, for tests of what is decided from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import (
    Admin,
    LoadBalancerState,
    OldWorker,
    ServerRow,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import Pool
from ansible_collections.tidegate.delivery.plugins.module_utils.values import Share

ONLINE, MAINTENANCE = "shop_online", "shop_maintenance"

# status, op, admin
READY = ("UP", 2, 0)
JUST_READY = ("UP 1/2", 2, 0)
DOWN = ("DOWN", 0, 0)
DRAIN = ("DRAIN", 2, 8)
DRAIN_DEAD = ("DOWN", 0, 8)
MAINT = ("MAINT", 0, 1)
DISABLED = ("MAINT", 0, 5)
READY_THOUGH_DISABLED = ("UP", 2, 4)
STOPPING = ("NOLB", 3, 0)

# Online and maintenance entry of each cell.
ON = (READY, DISABLED)
RISING = (DOWN, DISABLED)
DRAINED = (DRAIN, DISABLED)
OUT = (MAINT, DISABLED)
TEST = (MAINT, READY_THOUGH_DISABLED)
BOTH = (READY, READY_THOUGH_DISABLED)


def row(name: str = "n1", shown: tuple[str, int, int] = READY, backend: str = ONLINE, **other: object) -> ServerRow:
    status, op, admin = shown
    plain = ServerRow(
        backend=backend,
        name=name,
        status=status,
        op=op,
        admin=Admin(admin),
        weight=1,
        backup=False,
        sessions=0,
        queued=0,
        begun=0,
        checked=True,
        agent=False,
        tracks="",
        # Of each node its own.
        address=f"{name}.test:8080",
    )
    return replace(plain, **other)  # type: ignore[arg-type]


def state(
    host: str, nodes: Mapping[str, tuple[tuple[str, int, int], tuple[str, int, int]]], *old_workers: OldWorker
) -> LoadBalancerState:
    rows = [row(name, online) for name, (online, _) in nodes.items()]
    rows += [row(name, maintenance, MAINTENANCE) for name, (_, maintenance) in nodes.items()]
    return LoadBalancerState(
        host, "2.6.12", 100, 60, {each.key: each for each in rows}, {ONLINE: 0, MAINTENANCE: 0}, old_workers
    )


def pool(*nodes: str, floor: str = "1") -> Pool:
    return Pool(ONLINE, MAINTENANCE, Share.parse(floor), nodes or ("n1",))
