# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts' variables, put together once a call: Ansible does it anew each time that a host is looked up."""

from __future__ import annotations

from typing import Any


class HostVariables:
    """What Ansible's `hostvars` is to one action, which changes nothing in it."""

    def __init__(self, hostvars: Any) -> None:  # noqa: ANN401 (ansible-core is untyped)
        self._hostvars = hostvars
        self._seen: dict[str, Any] = {}

    def __contains__(self, host: object) -> bool:
        return host in self._seen or host in self._hostvars

    def __getitem__(self, host: str) -> Any:  # noqa: ANN401
        """A host's variables, each templated when it is read. Raises KeyError for an unknown host."""
        if host not in self._seen:
            self._seen[host] = self._hostvars[host]
        return self._seen[host]

    def __iter__(self) -> Any:  # noqa: ANN401
        return iter(self._hostvars)
