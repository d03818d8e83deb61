# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where events are shipped to, by all that ansible.cfg and the environment say."""

from __future__ import annotations

from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.plugin_utils.shipping import graphite_options, splunk_options
from ansible_collections.tidegate.delivery.plugins.plugin_utils.shipping.callback_options import options_of


def sinks_in_use() -> tuple[list[dict[str, Any]], str]:
    """The settings of every sink, and the spool's folder. Raises BadInput with the option that is wrong."""
    splunk, graphite = options_of(splunk_options.CALLBACK), options_of(graphite_options.CALLBACK)
    found: list[dict[str, Any]] = []
    if splunk("url"):
        found.append(splunk_options.splunk_sink(splunk))
    if graphite("carbon") or graphite("web"):
        found += graphite_options.graphite_sinks(graphite)
    if not found:
        raise BadInput(
            "nothing says where events are shipped to",
            where="ansible.cfg",
            remedy="Set url in section tidegate_splunk (TIDEGATE_SPLUNK_URL), or carbon or web in tidegate_graphite",
        )
    return found, str(splunk("spool"))
