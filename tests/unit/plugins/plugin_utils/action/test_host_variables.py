from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.host_variables import HostVariables


class Counting(dict[str, dict[str, Any]]):
    """Stands for Ansible's own, and counts."""

    asked = 0

    def __getitem__(self, host: str) -> dict[str, Any]:
        self.asked += 1
        return super().__getitem__(host)


def test_a_host_is_looked_up_once() -> None:
    theirs = Counting(n1={"port": 1}, n2={"port": 2})
    ours = HostVariables(theirs)
    assert [ours["n1"]["port"], ours["n1"]["port"], ours["n2"]["port"]] == [1, 1, 2]
    assert theirs.asked == 2


def test_hosts_are_those_of_the_inventory() -> None:
    ours = HostVariables({"n1": {}})
    assert ("n1" in ours, "n2" in ours, list(ours)) == (True, False, ["n1"])
    with pytest.raises(KeyError):
        ours["n2"]
