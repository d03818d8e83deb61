"""Ansible's plugin loaders in a process that isn't one of Ansible's own programs."""

from __future__ import annotations

from contextlib import ExitStack
from importlib import import_module

from ansible.playbook.play_context import PlayContext

from ansible_collections.tidegate.delivery.plugins.module_utils.windows.node import WindowsNode
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.connections import WINRM, connect
from lab.layout import PROJECT, WINRM_PORT, Host
from lab.windows_like import USER


def make_findable() -> None:
    """Have this collection's plugins found.

    Its packages are namespaces here. Ansible's importer, which comes first in its own programs, names a file.
    """
    for kind in ("connection", "doc_fragments"):
        package = import_module(f"ansible_collections.tidegate.delivery.plugins.{kind}")
        package.__file__ = str(PROJECT / "plugins" / kind / "__init__.py")


def over_winrm(host: Host, closing: ExitStack) -> WindowsNode:
    """One of the lab's Windows-like nodes, as an action reaches it."""
    make_findable()
    variables = {
        "ansible_connection": WINRM,
        "ansible_host": host.address,
        "ansible_port": WINRM_PORT,
        "ansible_user": USER,
        "ansible_password": (host.winrm / "password").read_text(),
        "ansible_winrm_transport": ["ntlm"],
        "ansible_winrm_ca_trust_path": str(host.winrm / "winrm.pem"),
    }
    found = connect(host.name, {host.name: variables}, PlayContext(), False, closing)
    assert isinstance(found, WindowsNode)
    return found
