# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds of every action that is done on the node itself, whatever the way there."""

from __future__ import annotations


class ModuleDocFragment:
    """Read by ansible-doc."""

    DOCUMENTATION = r"""
options: {}
attributes:
  platform:
    support: full
    platforms: posix, windows
    details: Linux over ssh or locally, and Windows over P(tidegate.delivery.winrm#connection).
"""
