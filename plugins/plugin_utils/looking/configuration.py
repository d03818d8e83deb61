# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking the compile servers which configuration they serve."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Kind
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.revision import (
    Configuration,
    agreed,
    ask_revision,
    whichever,
)
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.puppet_options import confdir, state_dir

Told = Mapping[str, Mapping[str, Configuration]]


def told_configurations(call: Call, servers: Sequence[str], nodes: Iterable[str]) -> Told:
    """What each of the servers serves to these nodes right now, by server and environment. Raises the first's error."""
    environments = sorted({str(call.hostvar(node, "tidegate_puppet_environment", "production")) for node in nodes})

    def ask(server: str) -> dict[str, Configuration]:
        return {name: _ask(call, server, name) for name in environments}

    call.nodes(servers)
    told: dict[str, dict[str, Configuration]] = {}
    for server, answer in call.in_parallel(ask, servers).items():
        if isinstance(answer, DomainError):
            raise answer
        told[server] = answer
    return told


def of_all(told: Told, kind: Kind) -> Configuration:
    """The one configuration that they serve.

    Raises Refused when they don't serve the same: but for a rollback, which takes what there is (docs/decisions/0016).
    """
    return whichever(told) if kind is Kind.ROLLBACK else agreed(told)


def _ask(call: Call, server: str, environment: str) -> Configuration:
    own = confdir(call, server)
    name = hashlib.sha256(f"{own}\n{environment}".encode()).hexdigest()[:12]
    cache = f"{state_dir(call, server)}/puppet-config-version-{name}"
    return ask_revision(call.nodes([server])[server], environment, own, settings_cache=cache, keep=not call.check)
