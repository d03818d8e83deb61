# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node's Puppet agent says of itself: where its files are, whether it is disabled, whether it runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.node.jobs import JobState, found
from ansible_collections.tidegate.delivery.plugins.module_utils.node.jobs_script import FIND
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Completed, Node
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.agent_windows import ask
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.no_agent import NoAgent
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.outcome import PuppetOutcome
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.node import WindowsNode

_ASKED = "agent_catalog_run_lockfile agent_disabled_lockfile config lastrunreport"
_LOCK_LIMIT = 64 * 1024
_NO_PUPPET = 41
_NOT_ROOT = 42
_ASK_TIMEOUT = 60
# The answer's last part, and what a job's line begins with.
_DISABLED, _JOB = "disabled =\n", "job "

# $1 confdir or "", $2 the cache of the answer or "", $3 the most bytes of a lock file, $4 "" writes no cache, $5 a
# script that finds the jobs in folder $6 whose ids begin with $7, or "".
# puppet config print costs most of a second: its answer is kept for a day, or until puppet.conf changes.
_LOOK = rf"""
PATH=$PATH:/opt/puppetlabs/bin
program=$(command -v puppet) || exit {_NO_PUPPET}
# An ordinary user's puppet has settings, a certificate and a run lock of its own, unless it is told where they are.
[ -n "$1" ] || [ "$(id -u)" = 0 ] || {{ id -un; exit {_NOT_ROOT}; }}
kept() {{ sed -n "s/^$1 = //p" "$settings"; }}
fresh() {{
  [ -n "$settings" ] && [ -n "$(find "$settings" -mmin -1440 2>/dev/null)" ] &&
    [ -z "$(find "$(kept config)" -newer "$settings" 2>/dev/null)" ]
}}
settings=$2
if ! fresh; then
  made=$(mktemp) || exit; trap 'rm -f "$made"' EXIT
  "$program" config print --section agent ${{1:+--confdir "$1"}} {_ASKED} >"$made" || exit
  settings=$made
  [ -z "$2" ] || [ -z "$4" ] || {{ mkdir -p "$(dirname "$2")" && cp "$made" "$2.$$" && mv -f "$2.$$" "$2"; }} || exit
fi
echo "program = $program"; cat "$settings"
pid=$(cat "$(kept agent_catalog_run_lockfile)" 2>/dev/null)
case $pid in
  *[!0-9]* | "") ;;
  # As Puppet itself decides (Puppet::Util::Pidlock): a lock counts while its pid is a process that looks like puppet.
  *)
    case $(cat "/proc/$pid/comm" 2>/dev/null) in
      *puppet*) echo "running = $pid" ;;
      *ruby*) tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q puppet && echo "running = $pid" ;;
    esac ;;
esac
[ -z "$5" ] || sh -c "$5" tidegate "$6" "$7" | sed 's/^/job /'
lock=$(kept agent_disabled_lockfile)
[ ! -e "$lock" ] || {{ echo "disabled ="; head -c "$3" "$lock"; }}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A node's agent. `disabled`: the reason in its lock file, None when it is not disabled. `running`: the pid
    that holds its run lock."""

    program: str
    confdir: str
    disabled_lock: str
    report: str
    disabled: str | None = None
    running: int | None = None


def look(node: Node, confdir: str = "", *, settings_cache: str = "", keep: bool = True) -> Agent:
    """Ask the agent, in one remote call, or a few on Windows.

    `settings_cache`: a file on the node that keeps where its files are; without `keep` it is read if it is there and
    never written.

    Raises NoAgent when Puppet is not installed there or would run as an ordinary user, BadInput when its settings
    can't be read.
    """
    if isinstance(node, WindowsNode):
        told = ask(node, confdir, settings_cache, keep=keep)
        lock = None if told.disabled_lock is None else told.disabled_lock.decode(errors="backslashreplace")
        return _agent(confdir, told.settings, lock, told.running)
    return _told(node, confdir, _asked(node, confdir, settings_cache, keep=keep))


def look_with_runs(
    node: Node, confdir: str, *, settings_cache: str, folder: str, family: str
) -> tuple[Agent, dict[str, JobState]]:
    """The agent, and the jobs in `folder` whose ids begin with `family`, in one remote call; none on Windows.

    Raises as `look` does, and Unreachable.
    """
    if isinstance(node, WindowsNode):
        return look(node, confdir, settings_cache=settings_cache), {}
    done = _asked(node, confdir, settings_cache, FIND, folder, family)
    agent = _told(node, confdir, done)
    head = done.text.partition(_DISABLED)[0].splitlines()
    return agent, found(node, done, [line.removeprefix(_JOB) for line in head if line.startswith(_JOB)])


def _asked(node: Node, confdir: str, settings_cache: str, *find: str, keep: bool = True) -> Completed:
    kept = "keep" if keep else ""
    more: Sequence[str] = find or ("", "", "")
    return node.sh(_LOOK, confdir, settings_cache, str(_LOCK_LIMIT), kept, *more, timeout=_ASK_TIMEOUT)


def _told(node: Node, confdir: str, done: Completed) -> Agent:
    if done.rc == _NO_PUPPET:
        raise NoAgent(PuppetOutcome.NO_AGENT, "no puppet is on the PATH or in /opt/puppetlabs/bin", node.name)
    if done.rc == _NOT_ROOT:
        raise NoAgent(PuppetOutcome.NOT_ROOT, f"commands run as {done.text.strip()}", node.name)
    head, disabled, lock = done.text.partition(_DISABLED)
    values = dict(line.split(" = ", 1) for line in head.splitlines() if " = " in line)
    try:
        running = values.get("running")
        return _agent(confdir, values, lock if disabled else None, int(running) if running else None)
    except KeyError as missing:
        said = done.complaint
        raise BadInput(
            f"puppet config print did not tell {missing.args[0]}{': ' + said if said else ''}",
            where=f"{node.name}: {confdir or 'default confdir'}",
            remedy="Run `puppet config print --section agent` there",
        ) from None


def _agent(confdir: str, settings: Mapping[str, str], lock: str | None, running: int | None) -> Agent:
    """Raises KeyError for a setting that is missing."""
    return Agent(
        program=settings["program"],
        confdir=confdir,
        disabled_lock=settings["agent_disabled_lockfile"],
        report=settings["lastrunreport"],
        disabled=None if lock is None else _reason(lock),
        running=running,
    )


def _reason(lock: str) -> str:
    """The message in a disabled lock: JSON with `disabled_message`; whatever else is there disables as well."""
    try:
        content = json.loads(lock)
    except (ValueError, RecursionError):
        return lock.strip()
    message = content.get("disabled_message") if isinstance(content, dict) else None
    return message if isinstance(message, str) else ""
