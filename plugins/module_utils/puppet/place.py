# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two places of a node's pins: files of Hiera's on every compile server, or an external fact on the node itself."""

from __future__ import annotations

from enum import StrEnum

from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.hiera import HieraFile, read_hiera
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.node_fact import fact_text, read_fact


class Place(StrEnum):
    """Where pins are. What a deployment may set, keep and remove is the same in both."""

    HIERA = "hiera"
    FACT = "fact"

    def read(self, path: str, data: bytes | None) -> HieraFile:
        """The file in these bytes; None is a file that isn't there. Raises BadInput when it is no such file."""
        return read_fact(path, data) if self is Place.FACT else read_hiera(path, data)

    def written(self, text: str) -> bytes | None:
        """The bytes of a file with this text; None when nothing is left in it."""
        return (fact_text(text) if self is Place.FACT else text).encode() or None
