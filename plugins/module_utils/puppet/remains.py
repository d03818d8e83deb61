# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Puppet run left on its node: a report, and perhaps a reboot that is to come."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import (
    BadInput,
    DeadlineExceeded,
    DomainError,
    NotLetIn,
    Unreachable,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.node.boot import (
    LOOK_AT_BOOT,
    Boot,
    OnPending,
    look_at_boot,
    read_boot,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.node.jobs import AtEnd, JobState
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.agent import Agent
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.report import REPORT_LIMIT, Report, read_report
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.node import WindowsNode

# The first that is there: the report that was kept when the run ended, then the agent's last one, whoever's it is.
# $1 the job's folder, $2 the agent's report.
_TELL = (
    LOOK_AT_BOOT
    + rf"""
for path in "$1/kept" "$2"; do
  [ -e "$path" ] || continue
  if [ ! -f "$path" ]; then why="it is no file"
  elif [ ! -r "$path" ]; then why="it can't be read by $(id -un)"
  elif [ "$(wc -c <"$path")" -gt {REPORT_LIMIT} ]; then why="it is larger than {REPORT_LIMIT} bytes"
  else why=; fi
  echo "path = $path"; echo "why = $why"; [ -n "$why" ] || {{ echo "report = $(base64 -w0 <"$path")"; }}
  break
done
echo "told ="
"""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remains:
    """`report`: the node's last one, whoever's run wrote it, and its `path`; `problem`: why there is none."""

    path: str
    boot: Boot
    report: Report | None = None
    problem: str = ""


def at_end(agent: Agent) -> AtEnd:
    """What to ask for at the end of the agent's run."""
    return AtEnd(_TELL, agent.report)


def read_remains(node: str, agent: Agent, state: JobState) -> Remains:
    """What `at_end` told. Raises Unreachable when it is not whole."""
    boot = read_boot(node, state.told)
    values = dict(line.split(" =", 1) for line in state.told.splitlines() if " =" in line)
    if "told" not in values:
        raise Unreachable(
            "what the Puppet run left there was not told", where=node, remedy="The node needs base64 of coreutils"
        )
    path, why = (values.get(key, "").removeprefix(" ") for key in ("path", "why"))
    if not path:
        return Remains(path=agent.report, problem=f"there is no {agent.report}", boot=boot)
    if why:
        return Remains(path=path, problem=f"{path}: {why}", boot=boot)
    try:
        data = base64.b64decode(values.get("report", ""))
    except binascii.Error as error:
        return Remains(path=path, problem=f"{path} came with {error}", boot=boot)
    return _read(path, data, boot)


def look_for_remains(node: WindowsNode, agent: Agent, reboot: OnPending) -> Remains:
    """The same on Windows, which has no jobs that keep a report; a pending reboot only where it counts.

    Raises Unreachable, DeadlineExceeded and NotLetIn: then another question may tell.
    """
    boot = look_at_boot(node, only_pending=True) if reboot.asks(node) else Boot("")
    try:
        data = node.read(agent.report, limit=REPORT_LIMIT)
    except (Unreachable, DeadlineExceeded, NotLetIn):
        raise
    except DomainError as error:
        return Remains(path=agent.report, problem=str(error), boot=boot)
    if data is None:
        return Remains(path=agent.report, problem=f"there is no {agent.report}", boot=boot)
    return _read(agent.report, data, boot)


def _read(path: str, data: bytes, boot: Boot) -> Remains:
    try:
        return Remains(path=path, report=read_report(data), boot=boot)
    except BadInput as error:
        return Remains(path=path, problem=str(error), boot=boot)
