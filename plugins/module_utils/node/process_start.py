# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a service's process has been running, read on its node.

Ages are compared, and no times of day: the node measures its process' age by its own clock since boot, and how long ago
the deployment's step began is measured where that was written. That the two clocks differ means nothing then.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import excerpt
from ansible_collections.tidegate.delivery.plugins.module_utils.node.commands import Ended
from ansible_collections.tidegate.delivery.plugins.module_utils.values import format_duration

_UNIT = re.compile(r"[A-Za-z0-9:_.@$+~ \\-]{1,255}")
_ABSOLUTE = re.compile(r"/|[A-Za-z]:\\")
_NOT_FOUND = 44


class FoundBy(StrEnum):
    """How the process is found on its node."""

    UNIT = "unit"
    """systemd's unit: its main process, after systemctl(1), MainPID. On Windows a service."""
    PID_FILE = "pid_file"
    PORT = "port"
    """Whoever listens there; of several the oldest, so that a process that only hands on its socket counts."""


@dataclass(frozen=True, slots=True)
class ProcessQuestion:
    """Which process; `address` is where a port is listened at, with `` for any address of the node."""

    by: FoundBy
    what: str
    address: str = ""

    def __post_init__(self) -> None:
        fits = {
            FoundBy.UNIT: bool(_UNIT.fullmatch(self.what)) and not self.what.startswith("-"),
            FoundBy.PID_FILE: bool(_ABSOLUTE.match(self.what)) and self.what.isprintable(),
            FoundBy.PORT: self.what.isdecimal() and 1 <= int(self.what) <= 65535,
        }
        if not fits[self.by]:
            raise BadInput(
                f"no process is found by {self.by} {self.what[:80]!r}",
                where=f"process.{self.by}",
                remedy="Name a systemd unit or a Windows service, a full path of a pid file, or a port from 1 to 65535",
            )

    @property
    def argv(self) -> list[str]:
        """The command that tells process id and age."""
        return ["/bin/sh", "-c", _SCRIPT, "tidegate", self.by.value, self.what, self.address]

    def __str__(self) -> str:
        return f"the process of {self.by.replace('_', ' ')} {self.what}"


@dataclass(frozen=True, slots=True)
class Process:
    """A process on the node: its id, and how long it has been running, in seconds."""

    pid: int
    age: float


def read_process(question: ProcessQuestion, ended: Ended) -> Process | str:
    """The process, or a sentence that says why it can't be told."""
    words = ended.stdout.split()
    if ended.rc == 0 and len(words) == 2 and all(word.lstrip(b"-").isdigit() for word in words):
        return Process(int(words[0]), int(words[1]) / 100)
    if ended.rc == _NOT_FOUND:
        return f"there is no such process: {question}"
    said = excerpt(ended.stderr, 120) or excerpt(ended.stdout, 120)
    return f"{question} can't be told (exit code {ended.rc}{': ' + said if said else ''})"


def too_old(process: Process, since_age: float) -> str:
    """Why the process is from before what began `since_age` seconds ago; empty when it isn't."""
    if process.age < since_age:
        return ""
    return (
        f"process {process.pid} started {format_duration(process.age)} ago, before the deployment's step, which began "
        f"{format_duration(since_age)} ago"
    )


# $1 how, $2 what, $3 address. POSIX sh, Linux's /proc (proc(5)), getconf, find and awk. /proc/net/tcp has addresses as
# hexadecimal numbers in the machine's byte order, which is taken for little-endian.
_SCRIPT = rf"""
# First of all: whatever takes its time from here on must not make the process look older.
read -r up _ </proc/uptime
missing() {{ exit {_NOT_FOUND}; }}
holders() {{
  hex=$(printf '%04X' "$2")
  wanted=$(printf '%s' "$1" | awk -F. 'NF == 4 && /^[0-9.]+$/ {{ printf "%02X%02X%02X%02X", $4, $3, $2, $1 }}')
  inodes=$(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v port="$hex" -v wanted="$wanted" '
    $4 == "0A" {{
      split($2, at, ":"); own = substr(at[1], length(at[1]) - 7)
      if (at[2] == port && (wanted == "" || own == wanted || at[1] ~ /^0+$/)) print $10
    }}')
  [ -n "$inodes" ] || missing
  for inode in $inodes; do
    find /proc/[0-9]*/fd -lname "socket:\[$inode\]" 2>/dev/null
  done | sed 's|^/proc/\([0-9]*\)/.*|\1|' | sort -un
}}
case $1 in
  unit) pids=$(systemctl show --property MainPID --value -- "$2") || exit 1; [ "$pids" != 0 ] || missing ;;
  pid_file) read -r pids _ <"$2" || [ -n "$pids" ] || missing ;;
  port) pids=$(holders "$3" "$2") || exit $?
    [ -n "$pids" ] || {{ echo "whoever listens there is another user's: only root can see it" >&2; exit 1; }} ;;
esac
ticks=$(getconf CLK_TCK)
oldest= found=
for pid in $pids; do
  case $pid in *[!0-9]*) echo "$pid is no process id" >&2; exit 1 ;; esac
  read -r stat 2>/dev/null <"/proc/$pid/stat" || continue
  set -- ${{stat##*) }}
  [ "$1" != Z ] || continue
  shift 19
  if [ -z "$oldest" ] || [ "$1" -lt "$oldest" ]; then oldest=$1 found=$pid; fi
done
[ -n "$found" ] || missing
echo "$found $((${{up%.*}}${{up#*.}} - oldest * 100 / ticks))"
"""
