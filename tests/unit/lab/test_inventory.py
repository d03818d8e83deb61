"""The inventory and `lab.layout` say the same, for a shallow and for a deep state folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lab.layout import PROJECT, WINRM_PORT, Host, Kind, Layout
from lab.windows_like import USER
from tests.waiting import PATIENCE_S

INVENTORY = PROJECT / "inventories" / "lab"


def ask_ansible(tmp_path: Path, state: Path) -> dict[str, dict[str, Any]]:
    """What a play sees of each host's variables."""
    names = sorted(
        {*common(Layout("127.77", state)), *SPECIAL, "group_names", "ansible_connection", "ansible_python_interpreter"}
    )
    seen = "{{ {" + ", ".join(f"'{name}': {name} | default('-')" for name in names) + "} | to_json }}"
    task = {"name": "Write", "ansible.builtin.debug": {"msg": seen}}
    (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [task]}]))
    environ = {**os.environ, "TIDEGATE_LAB_NET": "127.77", "TIDEGATE_LAB_STATE": str(state)}
    environ |= {"ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
    argv = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(INVENTORY), str(tmp_path / "play.yml")]
    done = subprocess.run(argv, cwd=PROJECT, env=environ, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stdout + done.stderr
    return parse(done.stdout)


def parse(output: str) -> dict[str, dict[str, Any]]:
    """`ok: [host] => {"msg": …}` blocks of the default callback."""
    blocks = (block.split("] => ", 1) for block in output.split("\nok: [")[1:])
    return {host: json.loads(json.JSONDecoder().raw_decode(rest)[0]["msg"]) for host, rest in blocks}


def common(layout: Layout) -> dict[str, str]:
    """Variables of every host."""
    return {
        "tidegate_environment": "lab",
        "tidegate_ledger": f"sqlite:///{layout.ledger}",
        "tidegate_services": str(PROJECT / "services"),
    }


SPECIAL = (
    "ansible_host",
    "ansible_port",
    "ansible_user",
    "ansible_winrm_ca_trust_path",
    "tidegate_certname",
    "ansible_ssh_private_key_file",
    "ansible_ssh_common_args",
    "ansible_control_path_dir",
    "tidegate_address",
    "tidegate_state_dir",
    "tidegate_puppet_confdir",
    "tidegate_facts_dir",
    "tidegate_haproxy_socket",
    "tidegate_haproxy_master_socket",
    "tidegate_haproxy_state_dir",
    "tidegate_haproxy_lock",
    "tidegate_haproxy_process",
    "tidegate_haproxy_log",
    "tidegate_rollout_dir",
    "tidegate_test_dir",
)


@pytest.mark.parametrize("depth", [1, 12])
def test_inventory_and_layout_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, depth: int) -> None:
    monkeypatch.undo()  # The real place for short folders.
    state = Path("/tmp").joinpath(*["deepfolder"] * depth)
    layout = Layout("127.77", state)
    assert layout.runtime_is_elsewhere is (depth == 12)
    seen = ask_ansible(tmp_path, state)
    assert set(seen) == {"localhost", *(host.name for host in layout.ssh_hosts), "n4"}
    assert seen["localhost"]["ansible_connection"] == "local"
    for variables in seen.values():
        assert Path(variables["ansible_python_interpreter"]).samefile(sys.executable)
        assert {name: variables[name] for name in common(layout)} == common(layout)
    for host in layout.ssh_hosts:
        check_host(layout, host.name, seen[host.name])
    for host in layout.windows_like:
        check_windows_like(host, seen[host.name])


def check_windows_like(host: Host, variables: dict[str, Any]) -> None:
    expected = {
        "ansible_connection": "tidegate.delivery.winrm",
        "ansible_host": host.address,
        "ansible_port": WINRM_PORT,
        "ansible_user": USER,
        "ansible_winrm_ca_trust_path": str(host.winrm / "winrm.pem"),
        "tidegate_address": host.address,
        "tidegate_state_dir": r"C:\ProgramData\PuppetLabs\Tidegate",
        "tidegate_puppet_confdir": "",
        "tidegate_facts_dir": r"C:\ProgramData\PuppetLabs\facter\facts.d",
        "tidegate_certname": host.certname,
    }
    assert {key: variables[key] for key in expected} == expected


def check_host(layout: Layout, name: str, variables: dict[str, Any]) -> None:
    host = layout.host(name)
    expected: dict[str, object] = {
        "ansible_host": host.address,
        "ansible_port": 2222,
        "ansible_ssh_private_key_file": str(layout.ssh_key),
        "ansible_control_path_dir": str(layout.control_path_dir),
        "tidegate_address": host.address,
        "tidegate_state_dir": str(host.tidegate_state),
        "tidegate_puppet_confdir": str(host.puppet_confdir),
        "tidegate_facts_dir": str(host.facts_dir),
    }
    if host.kind is Kind.LOAD_BALANCER:
        expected["tidegate_haproxy_socket"] = str(host.haproxy_socket)
        expected["tidegate_haproxy_master_socket"] = str(host.haproxy_master_socket)
        expected["tidegate_haproxy_state_dir"] = str(host.haproxy_state_dir)
        expected["tidegate_haproxy_lock"] = str(host.haproxy_lock)
        expected["tidegate_haproxy_process"] = str(host.haproxy_master_socket)
        expected["tidegate_haproxy_log"] = str(host.haproxy_log)
    if host.kind is Kind.PUPPETSERVER:
        expected["tidegate_rollout_dir"] = str(layout.rollout_dir)
    if host.kind is Kind.TESTBOX:
        expected["tidegate_test_dir"] = str(host.test_dir)
    assert {key: variables[key] for key in expected} == expected
    assert f"UserKnownHostsFile={layout.known_hosts} " in variables["ansible_ssh_common_args"]
    assert "StrictHostKeyChecking=yes" in variables["ansible_ssh_common_args"]
    assert groups(layout, name) == set(variables["group_names"]) - {"lab", "nodes"}


def groups(layout: Layout, name: str) -> set[str]:
    kinds = {Kind.LOAD_BALANCER: {"edge"}, Kind.PUPPETSERVER: {"puppetservers"}, Kind.TESTBOX: {"testboxes"}}
    return kinds.get(layout.host(name).kind, {service.name for service in layout.services_on(name)})
