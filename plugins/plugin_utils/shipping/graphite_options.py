# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the callback tidegate.delivery.graphite as the shipper's settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.plugin_utils.shipping.secret_file import read_secret

CALLBACK = "tidegate.delivery.graphite"
_OF_CARBON = ("carbon", "prefix", "interval", "timeout")
_OF_WEB = ("web", "user", "validate_certs", "timeout")


def graphite_sinks(option: Callable[[str], Any]) -> list[dict[str, Any]]:
    """The settings of carbon, of graphite-web, or of both, checked. Raises BadInput with the option that is wrong."""
    from tidegate.shipping.graphite.settings import carbon_settings, web_settings

    found: list[dict[str, Any]] = []
    if option("carbon"):
        told: dict[str, Any] = {"sink": "graphite", **{name: option(name) for name in _OF_CARBON}}
        carbon_settings(told)
        found.append(told)
    if option("web"):
        file = option("password_file")
        password = read_secret(str(file), "password") if file else ""
        told = {"sink": "graphite-web", **{name: option(name) for name in _OF_WEB}}
        told |= {"password": password, "ca_file": str(option("ca_file") or "")}
        web_settings(told)
        found.append(told)
    if not found:
        raise BadInput(
            "neither carbon nor web is set",
            where=CALLBACK,
            remedy="Set one or both in ansible.cfg, section tidegate_graphite, or TIDEGATE_GRAPHITE_CARBON and _WEB",
        )
    return found
