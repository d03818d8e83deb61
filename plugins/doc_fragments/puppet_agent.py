# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the actions that ask a node's Puppet agent."""

from __future__ import annotations


class ModuleDocFragment:
    """Read by ansible-doc and, for the arguments, by plugin_utils/action/arguments.py."""

    DOCUMENTATION = r"""
options:
  confdir:
    description: Puppet's confdir on the node. By default the host's variable C(tidegate_puppet_confdir), else Puppet's own default.
    type: str
"""
