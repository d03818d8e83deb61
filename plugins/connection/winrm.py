# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible's winrm, and beside it a way to start executables without a shell and without PowerShell."""

from __future__ import annotations

DOCUMENTATION = """
name: winrm
short_description: Run node operations and Ansible's tasks on Windows over WinRM
version_added: 0.1.0
author:
  - The Tidegate contributors (@tidegate)
description:
  - Everything that P(ansible.builtin.winrm#connection) does, with its options and variables, unchanged. So the modules
    for Windows that Ansible has go on working.
  - Tidegate's node operations go another way over the same connection. They start executables directly, use cmd.exe for
    batch files only, and need no PowerShell.
  - Certificates are verified, unless C(ansible_winrm_server_cert_validation=ignore) says otherwise.
requirements:
  - pywinrm
extends_documentation_fragment:
  - connection_pipelining
  - tidegate.delivery.winrm_options
"""

from functools import cached_property
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.connection.winrm import HAS_WINRM, HAS_XMLTODICT
from ansible.plugins.connection.winrm import Connection as AnsiblesWinrm

from ansible_collections.tidegate.delivery.plugins.module_utils.windows.remote_shell import RemoteShell
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.winrm_errors import not_connected, not_usable


class Connection(AnsiblesWinrm):  # type: ignore[misc]
    """One connection; what `directly` starts has a shell of its own, beside that of Ansible's tasks."""

    transport = "tidegate.delivery.winrm"

    @cached_property
    def directly(self) -> RemoteShell:
        """How node operations start executables, whatever Ansible's own tasks do on this connection."""
        return RemoteShell(self._host_name, self._connected_protocol)

    def close(self) -> None:
        """Delete the node operations' shell, and with it whatever still runs there; then Ansible's."""
        self._close_ours()
        super().close()

    def reset(self) -> None:
        self._close_ours()
        super().reset()

    def _close_ours(self) -> None:
        # A connection that never had its options may be closed, too.
        if "directly" in vars(self):
            self.directly.close()

    def _connected_protocol(self) -> Any:  # noqa: ANN401 (pywinrm's Protocol, if it is installed)
        """Connect as Ansible does it. The shell that it opens to try a transport has a long idle time-out: it goes."""
        kept: str | None = self.shell_id
        self.shell_id: str | None = None
        self._read_options()
        try:
            protocol, opened = self._winrm_connect(), self.shell_id
        except AnsibleConnectionFailure as error:
            raise not_connected(self._host_name, " ".join(str(error).split())[:500]) from None
        except AnsibleError as error:
            raise not_usable(self._host_name, error) from None
        finally:
            self.shell_id = kept
        if opened:
            protocol.close_shell(opened, close_session=False)
        return protocol

    def _read_options(self) -> None:
        if not (HAS_WINRM and HAS_XMLTODICT):
            raise not_usable(self._host_name, "pywinrm is not installed")
        try:
            self._build_winrm_kwargs()
        except AnsibleError as error:
            raise not_usable(self._host_name, error) from None

    @property
    def _host_name(self) -> str:
        return str(self.get_option("remote_addr"))
