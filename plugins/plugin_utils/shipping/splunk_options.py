# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the callback tidegate.delivery.splunk as the shipper's settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.plugin_utils.shipping.secret_file import read_secret

CALLBACK = "tidegate.delivery.splunk"
_PASSED_ON = ("url", "index", "source", "sourcetype", "acknowledge", "validate_certs", "timeout", "acknowledge_timeout")


def splunk_sink(option: Callable[[str], Any]) -> dict[str, Any]:
    """The settings, checked. Raises BadInput with the option that is wrong."""
    from tidegate.shipping.splunk.settings import splunk_settings

    if not option("url"):
        raise BadInput(
            "it is not set",
            where=f"{CALLBACK}: url",
            remedy="Set it in ansible.cfg, section tidegate_splunk, or TIDEGATE_SPLUNK_URL",
        )
    told: dict[str, Any] = {name: option(name) for name in _PASSED_ON}
    told |= {"sink": "splunk", "token": _token(option), "ca_file": str(option("ca_file") or "")}
    splunk_settings(told)
    return told


def _token(option: Callable[[str], Any]) -> str:
    name = option("token_file")
    return read_secret(str(name), "token") if name else str(option("token") or "").strip()
