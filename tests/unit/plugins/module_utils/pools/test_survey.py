from __future__ import annotations

from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import OldWorker
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.survey import described
from tests.unit.plugins.module_utils import haproxy_rows as shown
from tests.unit.plugins.module_utils.haproxy_rows import MAINTENANCE, ONLINE, state


def test_servers_are_described_with_cells_where_a_pair_is_known() -> None:
    seen = described(
        state("lb1", {"n1": shown.ON, "n2": shown.TEST}, OldWorker(41, {(ONLINE, "n1"): 2}), OldWorker(42, None)),
        [(ONLINE, MAINTENANCE)],
    )
    online = seen["backends"][ONLINE]
    assert {name: (server["cell"], server["usable"], server["admin"]) for name, server in online.items()} == {
        "n1": ("ON", True, []),
        "n2": ("TEST", False, ["forced_maint"]),
    }
    assert online["n1"]["sessions"] == 2
    assert seen["backends"][MAINTENANCE]["n2"]["cell"] is None
    assert seen["old_workers"] == [{"pid": 41, "answers": True}, {"pid": 42, "answers": False}]


def test_a_server_without_checks_is_where_customers_reach_it() -> None:
    seen = described(state("lb1", {"n1": (("no check", 2, 0), shown.DISABLED)}), [(ONLINE, MAINTENANCE)])
    server = seen["backends"][ONLINE]["n1"]
    assert (server["cell"], server["status"], server["usable"]) == ("ON", "no check", False)


def test_a_node_that_is_in_one_backend_only_has_no_cell() -> None:
    lonely = described(state("lb1", {"n1": shown.ON}), [(ONLINE, "other")])
    assert lonely["backends"][ONLINE]["n1"]["cell"] is None
