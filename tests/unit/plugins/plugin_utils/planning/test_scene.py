from __future__ import annotations

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.plan.plan import NodeView, Served, SiteView, Standing
from ansible_collections.tidegate.delivery.plugins.plugin_utils.planning.scene import Seen

A, B = "a" * 40, "b" * 40


def seen(*served: Served) -> Seen:
    """Nodes that joined with what they serve."""
    nodes = (
        NodeView(f"n{number}", Standing.ONLINE, Served(each.version, each.digest), joined=each)
        for number, each in enumerate(served, 1)
    )
    return Seen((SiteView("main", ("lb1",), tuple(nodes), ()),), {})


def release(version: str, revision: str = "") -> Served:
    return Served(version, "bb", revision)


@pytest.mark.parametrize(
    ("there", "moving", "target", "before"),
    [
        ([release("1.0.0", A), release("1.0.0", A), release("1.1.0", B)], "n1 n2", release("1.1.0", B), ("1.0.0", A)),
        ([release("1.0.0"), release("1.0.0")], "n1 n2", release("1.1.0", B), ("1.0.0", "")),
        # Only the configuration is another one, of all nodes or of those that move.
        ([release("1.1.0", A), release("1.1.0", B)], "n1", release("1.1.0", B), ("1.1.0", A)),
        ([release("1.1.0", A), release("1.0.0", A), release("1.0.0", A)], "n1", release("1.1.0", B), ("1.1.0", A)),
        ([release("1.1.0"), release("1.1.0")], "n1 n2", release("1.1.0", B), ("1.1.0", "")),
        # Some of those that move get another version as well.
        ([release("1.1.0", A), release("1.0.0", A)], "n1 n2", release("1.1.0", B), ("1.0.0", A)),
        # Nobody tells a revision: what everybody serves already has nothing before it.
        ([release("1.1.0", A), release("1.1.0")], "", release("1.1.0"), ("", "")),
        ([release("1.1.0", B)], "n1", release("1.1.0", B), ("", "")),
        ([], "", release("1.1.0", B), ("", "")),
    ],
)
def test_the_release_before_is_a_version_and_its_configuration(
    there: list[Served], moving: str, target: Served, before: tuple[str, str]
) -> None:
    found = seen(*there).release_before(target, moving.split())
    assert (found.version, found.revision) == before
