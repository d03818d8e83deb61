from __future__ import annotations

from pathlib import Path

import pytest
import yaml

PLAYBOOKS = Path(__file__).resolve().parents[3] / "playbooks"


@pytest.mark.parametrize("name", ["deploy", "haproxy", "pool", "repair", "thaw"])
def test_what_acts_refuses_limit_before_anything_else(name: str) -> None:
    """With --limit the plays on localhost are skipped: nothing would be done, or only a part, with exit code 0."""
    first = yaml.safe_load((PLAYBOOKS / f"{name}.yml").read_text())[0]
    [task] = first["tasks"]
    assert (first["hosts"], task["when"]) == ("all", "ansible_limit is defined")
    assert "--limit drops" in task["ansible.builtin.fail"]["msg"]
