# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Puppet actions read alike from options and inventory."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.node.jobs import job_id
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet import node_fact
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.connections import WINRM

_ABSOLUTE = re.compile(r"/|[A-Za-z]:\\")
_STATE_DIR = "/var/lib/tidegate"
# What is in it is trusted, and any user may make folders in C:\ProgramData. In Puppet's own, Puppet's package lets only
# Administrators and SYSTEM write (puppet-agent, resources/windows/wix/appdatafiles.wxs, O:SYG:SYD:P…).
_STATE_DIR_ON_WINDOWS = r"C:\ProgramData\PuppetLabs\Tidegate"


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


def facts_file(call: Call, host: str) -> str:
    """A node's file of pins among its external facts. Raises BadInput when its folder is no absolute path."""
    default = node_fact.FOLDER_ON_WINDOWS if on_windows(call, host) else node_fact.FOLDER
    return node_fact.fact_file(absolute(call, host, "tidegate_facts_dir", default))


def rollout_dir(call: Call, server: str) -> str:
    """A compile server's folder of pins. Raises BadInput when it is no absolute path."""
    return absolute(call, server, "tidegate_rollout_dir")


def absolute(call: Call, host: str, name: str, default: str = "") -> str:
    """A host's variable that is an absolute path there. Raises BadInput when it is something else."""
    folder = str(call.hostvar(host, name, default) if default else call.hostvar(host, name))
    if not _ABSOLUTE.match(folder) or ".." in re.split(r"[/\\]", folder):
        raise BadInput(f"{folder!r} is no absolute path", where=f"{host}: {name}", remedy="Give an absolute path")
    return folder


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
