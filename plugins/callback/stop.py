# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has ansible-playbook stop at a safe point when it is interrupted."""

from __future__ import annotations

DOCUMENTATION = r"""
name: stop
type: aggregate
short_description: Stop a deployment at a safe point
version_added: 0.1.0
description:
  - From the first step of a deployment on, SIGINT (Ctrl-C), SIGTERM and SIGHUP (a closed terminal) no longer end
    C(ansible-playbook) in the middle of a step. They ask it to stop at the next safe point.
  - Steps that have not begun do not begin. A drain is undone; a wait for Puppet, tests, health or warm-up is given up;
    a join that has begun is brought to its end. Then the deployment is held, its locks are released, and the message
    says what to run next.
  - A second SIGINT or SIGTERM, a second or more after the first, ends C(ansible-playbook) and its workers at once with
    exit code 130. The next run takes the locks over.
  - Standard output that goes away (a closed terminal, the end of the program that it is piped into) asks to stop, too.
  - Before that first step, and in playbooks without one, signals do what they always do.
options: {}
requirements:
  - enabled in the configuration (C(callbacks_enabled = tidegate.delivery.stop) in C([defaults]) of C(ansible.cfg))
seealso:
  - module: tidegate.delivery.deployment
author:
  - The Tidegate contributors (@tidegate)
"""

from typing import Any, ClassVar

from ansible.plugins.callback import CallbackBase

from ansible_collections.tidegate.delivery.plugins.plugin_utils.stopping.signals import main_signals


class CallbackModule(CallbackBase):  # type: ignore[misc]  # ansible-core ships no type information
    """Tells the signals when a step of ours begins and when the playbook is over."""

    CALLBACK_VERSION: ClassVar[float] = 2.0
    CALLBACK_TYPE: ClassVar[str] = "aggregate"
    CALLBACK_NAME: ClassVar[str] = "tidegate.delivery.stop"
    CALLBACK_NEEDS_ENABLED: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self._signals = main_signals()

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:  # noqa: ANN401, ARG002
        """Before the task's first worker is forked."""
        self._signals.next_task(str(getattr(task, "resolved_action", None) or task.action))

    def v2_playbook_on_stats(self, stats: Any) -> None:  # noqa: ANN401, ARG002
        """When all plays are over."""
        self._signals.put_back()
