# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which ledgers a play works with, as far as its inventory tells before its first task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible.template import Templar

_LEDGER = "tidegate_ledger"
_ENVIRONMENT = "tidegate_environment"


def ledgers_in_use(play: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401
    """URL and environment of the ledgers that the first host of the play and the controller name."""
    variables = play.get_variable_manager()
    inventory = variables._inventory
    # Groups that plays before this one make don't exist yet: the controller has the environment's variables, too.
    hosts = [*inventory.get_hosts(play.hosts)[:1], inventory.get_host("localhost")]
    for host in dict.fromkeys(host for host in hosts if host is not None):
        known = variables.get_vars(play=play, host=host)
        if known.get(_LEDGER) and known.get(_ENVIRONMENT):
            template = Templar(loader=variables._loader, variables=known).template
            yield str(template(known[_LEDGER])), str(template(known[_ENVIRONMENT]))
