# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that all callbacks share which have events shipped: one process ships for all of them."""

from __future__ import annotations


class ModuleDocFragment:
    """Read by ansible-doc, and by Ansible for the options."""

    DOCUMENTATION = r"""
options:
  drain:
    description:
      - Seconds that the shipping process goes on after the playbook has ended. It is the same process for every callback that ships.
    type: float
    default: 60.0
    env:
      - name: TIDEGATE_DRAIN
    ini:
      - section: tidegate
        key: drain
  ship:
    description: Whether this run ships. Without it what happens stays in the ledger, and the next run that ships has it.
    type: bool
    default: true
    env:
      - name: TIDEGATE_SHIP
    ini:
      - section: tidegate
        key: ship
  spool:
    description: The folder of the spool and of what is remembered of the shipping. It belongs to one user of one machine.
    type: path
    default: ~/.local/state/tidegate/spool
    env:
      - name: TIDEGATE_SPOOL
    ini:
      - section: tidegate
        key: spool
requirements:
  - the pipeline on the controller (C(pip install tidegate))
"""
