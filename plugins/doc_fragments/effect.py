# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option of every action that changes something."""

from __future__ import annotations


class ModuleDocFragment:
    """Read by ansible-doc and, for the arguments, by plugin_utils/action/arguments.py."""

    DOCUMENTATION = r"""
options:
  deployment:
    description: The id of the open deployment that permits this effect, as M(tidegate.delivery.plan) returned it.
    type: str
    required: true
"""
