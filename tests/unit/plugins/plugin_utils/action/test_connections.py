from __future__ import annotations

import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from ansible.playbook.play_context import PlayContext

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import PosixNode
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.connections import connect
from tests.waiting import PATIENCE_S

# Ansible's default: what applies without our ansible.cfg.
DEFAULT_ARGS = "-C -o ControlMaster=auto -o ControlPersist=60s"


def connected(tmp_path: Path, **variables: object) -> Any:
    """The Ansible connection of a node, with a user's own configuration."""
    given = {"ansible_ssh_args": DEFAULT_ARGS, "ansible_control_path_dir": str(tmp_path / "cp"), **variables}
    node = connect("n1", {"n1": given}, PlayContext(), False, ExitStack())
    assert isinstance(node, PosixNode)
    return node._execute._connection  # type: ignore[attr-defined]


def in_effect(connection: Any) -> dict[str, str]:
    """What ssh itself makes of the command line, by its option -G."""
    program, *options = [word.decode() for word in connection._build_command("ssh", "ssh", "n1", "true")]
    argv = [program, "-G", "-F", "/dev/null", *options]
    told = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=PATIENCE_S).stdout
    return dict(line.split(" ", 1) for line in told.splitlines() if " " in line)


def test_a_dead_way_ends_the_connection_without_our_ansible_cfg(tmp_path: Path) -> None:
    options = in_effect(connected(tmp_path))
    assert (options["serveraliveinterval"], options["serveralivecountmax"]) == ("5", "3")
    assert options["connecttimeout"] == "10"
    assert options["requesttty"] in ("auto", "false")


@pytest.mark.parametrize("option", ["ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args"])
def test_what_the_user_set_stays(tmp_path: Path, option: str) -> None:
    options = in_effect(connected(tmp_path, **{option: "-o serverAliveInterval=60 -o Compression=yes"}))
    assert (options["serveraliveinterval"], options["serveralivecountmax"]) == ("60", "3")
    assert options["compression"] == "yes"


def test_the_connection_is_not_shared_with_tasks_that_opened_theirs_without_it(tmp_path: Path) -> None:
    connection = connected(tmp_path)
    ansibles = connection._create_control_path("n1", None, None)
    ours = in_effect(connection)["controlpath"]
    assert ours.startswith(f"{tmp_path}/cp/t")
    assert ours != ansibles % {"directory": tmp_path / "cp"}
    assert in_effect(connected(tmp_path))["controlpath"] == ours, "ours share one"
    assert in_effect(connected(tmp_path, ansible_user="bob"))["controlpath"] != ours


def test_a_control_path_of_the_users_stays(tmp_path: Path) -> None:
    connection = connected(tmp_path, ansible_control_path="%(directory)s/mine")
    assert in_effect(connection)["controlpath"] == f"{tmp_path}/cp/mine"


def test_a_host_that_the_inventory_lacks_and_a_connection_that_does_not_fit() -> None:
    with pytest.raises(BadInput, match="host 'n1' is not in the inventory"):
        connect("n1", {}, PlayContext(), False, ExitStack())
    with pytest.raises(BadInput, match=r"connection 'winrm' can't carry.*n1: ansible_connection.*Use ssh, local or"):
        connect("n1", {"n1": {"ansible_connection": "winrm"}}, PlayContext(), False, ExitStack())
