# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Puppet actions read alike from options and inventory."""

from __future__ import annotations

import hashlib
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.jobs import job_id
from ansible_collections.tidegate.delivery.plugins.plugin_utils.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.connections import WINRM

_STATE_DIR = "/var/lib/tidegate"
_STATE_DIR_ON_WINDOWS = r"C:\ProgramData\Tidegate"


def confdir(call: Call, host: str = "") -> str:
    """Puppet's confdir on a host, the task's by default; empty for Puppet's own default."""
    return str(call.args.get("confdir") or call.hostvar(host or call.host, "tidegate_puppet_confdir", ""))


def state_dir(call: Call, host: str = "") -> str:
    """Where Tidegate keeps its own files on a host, the task's by default."""
    host = host or call.host
    default = _STATE_DIR_ON_WINDOWS if on_windows(call, host) else _STATE_DIR
    return str(call.hostvar(host, "tidegate_state_dir", default)).rstrip("/\\")


def on_windows(call: Call, host: str) -> bool:
    """Whether a host is reached over WinRM."""
    return bool(call.hostvar(host, "ansible_connection", "") == WINRM)


def jobs_folder(call: Call) -> str:
    """Where the task's host keeps the runs that were started there."""
    return f"{state_dir(call)}/jobs"


def run_family(call: Call) -> str:
    """The beginning of the ids of all of this deployment's Puppet runs on the task's host, whichever the attempt."""
    return job_id(call.deployment_id, call.host) + "."


def settings_cache(call: Call, host: str = "") -> str:
    """Where the node keeps what its agent told about its files; nowhere in check mode, which writes nothing."""
    name = hashlib.sha256(confdir(call, host).encode()).hexdigest()[:12]
    between = "\\" if on_windows(call, host or call.host) else "/"
    return "" if call.check else f"{state_dir(call, host)}{between}puppet-settings-{name}"


def service(call: Call) -> str:
    """The service that is deployed. In check mode the deployment may not be in the ledger yet."""
    try:
        return str(call.ledger.deployment.service)
    except Refused:
        if call.check:
            return "not opened yet"
        raise


def diff(before: str, after: str, header: str) -> dict[str, Any]:
    """One entry of Ansible's diff."""
    return {"before": before, "after": after, "before_header": header, "after_header": header}
