# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who our controller is, and the end of a worker whose controller died.

Ansible's workers call setsid, so neither SIGHUP nor the kill of ansible-playbook's process group reaches
them: observed on ansible-core 2.19 and 2.21, an orphaned action ran on and made its effect. It is ended by SIGKILL:
a SIGTERM only asks a worker to stop (see signals.py), and there is nobody left to hold the wave.
"""

from __future__ import annotations

import os

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.prctl import end_with_parent

# The linear strategy imports an action before it forks: then this is ansible-playbook's own pid.
_IMPORTED_BY = os.getpid()


def controller_pid() -> int:
    """The pid of the ansible-playbook that this worker works for."""
    return os.getppid()


def end_with_controller() -> None:
    """Have this worker ended when its controller dies; refuse when that has happened already.

    Raises Refused. Call it first: an effect after this line is never made by an orphan.
    """
    end_with_parent()
    parent = os.getppid()
    imported_before_fork = os.getpid() != _IMPORTED_BY
    if parent == 1 or (imported_before_fork and parent != _IMPORTED_BY):
        raise Refused(
            "the ansible-playbook that started this action is gone",
            remedy="Nothing was done. Run the same command again: it continues where it stopped",
        )
