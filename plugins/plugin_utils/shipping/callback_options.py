# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a callback, whether or not it is enabled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible import constants
from ansible.plugins.loader import callback_loader


def options_of(callback: str) -> Callable[[str], Any]:
    """Its options by name, as ansible.cfg and the environment have them.

    A relative path counts from the folder of ansible.cfg, as Ansible has it.
    """
    # Loading it is what makes Ansible read the options' definitions, under a name that only the loaded one knows.
    name = callback_loader.get(callback)._load_name
    return lambda option: constants.config.get_config_value(option, plugin_type="callback", plugin_name=name)
