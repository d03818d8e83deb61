from __future__ import annotations

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy_state import LoadBalancerState, OldWorker
from ansible_collections.tidegate.delivery.plugins.module_utils.pool_survey import described, survey
from tests.unit.plugins.module_utils import haproxy_rows as shown
from tests.unit.plugins.module_utils.haproxy_rows import MAINTENANCE, ONLINE, state
from tests.unit.plugins.module_utils.simulated_haproxy import one_after_the_other
from tests.unit.plugins.module_utils.test_haproxy import ACCESS, FakeNode, whole


def test_a_dead_load_balancer_is_a_value_beside_the_living() -> None:
    nodes = {"lb1": FakeNode(whole), "lb2": FakeNode(lambda frame: "")}
    found = survey(nodes, {"lb1": ACCESS, "lb2": ACCESS}, one_after_the_other)  # type: ignore[arg-type]
    assert isinstance(found["lb1"], LoadBalancerState)
    assert isinstance(found["lb2"], Unreachable)


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


def test_a_node_that_is_in_one_backend_only_has_no_cell() -> None:
    lonely = described(state("lb1", {"n1": shown.ON}), [(ONLINE, "other")])
    assert lonely["backends"][ONLINE]["n1"]["cell"] is None
