# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node on which there is no Puppet agent to be asked."""

from __future__ import annotations

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.outcome import PuppetOutcome


class NoAgent(BadInput):
    """There is no agent that could be asked; `outcome` is what a run of it comes to."""

    def __init__(self, outcome: PuppetOutcome, detail: str, where: str) -> None:
        super().__init__(f"{outcome.said}: {detail}", where=where, remedy=outcome.remedy)
        self.outcome = outcome
        self.detail = detail
