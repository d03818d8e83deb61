"""Node operations over Ansible's own ssh connection, to a real sshd."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest
from ansible.playbook.play_context import PlayContext

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Node
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.connections import connect
from lab import control
from lab.layout import SSH_PORT, Layout

pytestmark = pytest.mark.lab
EVERY_BYTE = bytes(range(256)) * 64


def variables(layout: Layout, host: str) -> dict[str, Any]:
    """What inventories/lab says of a host's connection."""
    checked = f"-o UserKnownHostsFile={layout.state}/ssh/known_hosts -o StrictHostKeyChecking=yes"
    return {
        "ansible_host": layout.host(host).address,
        "ansible_port": SSH_PORT,
        "ansible_ssh_private_key_file": f"{layout.state}/ssh/id_ed25519",
        "ansible_ssh_common_args": f"{checked} -o GlobalKnownHostsFile=/dev/null -o IdentitiesOnly=yes",
        "ansible_control_path_dir": f"{layout.state}/run/cp",
    }


def over_ssh(layout: Layout, host: str) -> Node:
    return connect(host, {host: variables(layout, host)}, PlayContext(), False, ExitStack())


def test_output_is_byte_exact_and_the_two_streams_stay_apart(lab: Layout) -> None:
    node = over_ssh(lab, "n1")
    assert node.run(["cat"], stdin=EVERY_BYTE).stdout == EVERY_BYTE
    done = node.sh(r"printf 'a\r\nb\n\n'; printf 'err\r\n' >&2; exit 255")
    assert (done.rc, done.stdout, done.stderr.endswith(b"err\r\n")) == (255, b"a\r\nb\n\n", True)
    # Without standard input too, where Ansible's ssh plugin would allocate a tty by default.
    assert node.sh("[ -t 0 ] || [ -t 1 ] || printf 'no tty'").stdout == b"no tty"


def test_files_are_byte_exact(lab: Layout) -> None:
    node, path = over_ssh(lab, "n1"), str(lab.host("n1").tidegate_state / "probe")
    node.write(path, EVERY_BYTE)
    assert node.read(path) == EVERY_BYTE
    node.run(["rm", path])


def test_a_host_whose_key_is_not_known_is_not_talked_to(lab: Layout) -> None:
    impostor = {**variables(lab, "n1"), "ansible_host": lab.host("n2").address}
    known = impostor["ansible_ssh_common_args"].replace(
        "known_hosts ", "known_hosts -o HostKeyAlias=[unknown]:2222 ", 1
    )
    node = connect("n1", {"n1": {**impostor, "ansible_ssh_common_args": known}}, PlayContext(), False, ExitStack())
    with pytest.raises(Unreachable, match="Host key verification failed"):
        node.run(["true"])


def test_a_host_that_is_gone_is_unreachable(lab: Layout) -> None:
    control.stop_sshd(lab, "n1")
    try:
        with pytest.raises(Unreachable, match=r"Connection refused.*\(n1\)"):
            over_ssh(lab, "n1").run(["true"])
    finally:
        control.start_sshd(lab, "n1")
