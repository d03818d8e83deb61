# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of health on a Windows node: what is one command on Linux takes several programs there."""

from __future__ import annotations

import time

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DeadlineExceeded
from ansible_collections.tidegate.delivery.plugins.module_utils.health.expectation import Difference, Differs
from ansible_collections.tidegate.delivery.plugins.module_utils.health.node_checks import NodeCheck, ProcessCheck
from ansible_collections.tidegate.delivery.plugins.module_utils.health.service_state import ServiceCheck
from ansible_collections.tidegate.delivery.plugins.module_utils.node.commands import run_each
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.node import WindowsNode
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.process_start import look_at_process
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.services import status


def differences(node: WindowsNode, check: NodeCheck, timeout: float) -> list[Difference]:
    """What differs. Raises Unreachable and BadInput."""
    asked_at = time.time()
    try:
        if isinstance(check, ProcessCheck):
            return check.judge_process(look_at_process(node, check.question, timeout), asked_at)
        if isinstance(check, ServiceCheck):
            return check.judge_windows(status(node, check.name))
    except DeadlineExceeded as error:
        return [Difference(Differs.TOO_SLOW, error.message)]
    return check.judge(run_each(node, [check.argv], timeout)[0])
