# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of Ansible's own connection plugin winrm, as the installed Ansible documents them."""

from __future__ import annotations

from typing import Any

import yaml
from ansible.plugins.connection.winrm import DOCUMENTATION as ANSIBLES


class ModuleDocFragment:
    """What a subclass takes over: all of it, now and after the next Ansible.

    It extends `connection_pipelining`, which the subclass must name by itself.
    """

    DOCUMENTATION: str


def _options() -> dict[str, Any]:
    """Without Ansible's versions, which would pass for ours."""
    options = yaml.safe_load(ANSIBLES)["options"]
    return {name: {key: option[key] for key in option if key != "version_added"} for name, option in options.items()}


# Not in the class: ansible-test reads constants there, and fails on anything else.
ModuleDocFragment.DOCUMENTATION = yaml.safe_dump({"options": _options()})
