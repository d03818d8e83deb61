# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several short commands on a node in one go: each with a time limit and bounded output of its own."""

from __future__ import annotations

import base64
import binascii
import math
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, DeadlineExceeded
from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import excerpt
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Node
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.node import WindowsNode

OUTPUT_LIMIT = 64 * 1024
# Beyond the commands' own time limit: starting them, and handing over what they said.
_AROUND_S = 10.0
_KILL_AFTER_S = 2


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: the first 64 KiB of each output, and whether it was ended at its time limit.

    `asked_at`: a Unix time of this machine, before the command was sent.
    """

    rc: int
    stdout: bytes
    stderr: bytes
    seconds: float
    late: bool = False
    asked_at: float = 0.0


def run_each(node: Node, commands: Sequence[Sequence[str]], timeout: float) -> list[Ended]:
    """Run all at once, none by a shell, and wait for each at most `timeout` seconds (rounded up).

    Raises Unreachable when the node gives no complete answer, and BadInput when it can't run them at all. On Windows
    they run one after the other.
    """
    if isinstance(node, WindowsNode):
        return [_alone(node, argv, timeout) for argv in commands]
    at = time.time()
    return [replace(ended, asked_at=at) for ended in _together(node, commands, timeout)]


def _together(node: Node, commands: Sequence[Sequence[str]], timeout: float) -> list[Ended]:
    seconds = str(max(1, math.ceil(timeout)))
    calls = [f"one {number} {shlex.join([seconds, *argv])} &" for number, argv in enumerate(commands)]
    script = "\n".join([_FUNCTIONS, *calls, "wait", f"tell {len(commands)}"])
    try:
        done = node.sh(script, str(OUTPUT_LIMIT), timeout=float(seconds) + _KILL_AFTER_S + _AROUND_S)
    except DeadlineExceeded:
        # Something that a command left behind holds its output open: nothing of it is known.
        return [Ended(-1, b"", b"", timeout, late=True) for _ in commands]
    answers = [_ended(line, float(seconds)) for line in done.stdout.splitlines()]
    if done.rc != 0 or len(answers) != len(commands):
        raise BadInput(
            f"commands can't be run there: {excerpt(done.stderr, 200) or f'exit code {done.rc}'}",
            where=node.name,
            remedy="The node needs a POSIX shell, coreutils, Linux's /proc and a writable folder for temporary files",
        )
    return answers


def _alone(node: WindowsNode, argv: Sequence[str], timeout: float) -> Ended:
    at = time.time()
    try:
        done = node.run(argv, timeout=timeout)
    except DeadlineExceeded:
        return Ended(-1, b"", b"", timeout, late=True, asked_at=at)
    return Ended(done.rc, done.stdout[:OUTPUT_LIMIT], done.stderr[:OUTPUT_LIMIT], 0.0, asked_at=at)


def _ended(line: bytes, limit: float) -> Ended:
    try:
        rc, hundredths, stdout, stderr = line.split(b" ")
        seconds = int(hundredths) / 100
        told = Ended(int(rc), base64.b64decode(stdout), base64.b64decode(stderr), seconds)
    except (ValueError, binascii.Error):
        # An id that cat could not read: the command's own shell was killed.
        return Ended(-1, b"", b"", 0.0)
    late = told.rc in (124, 137) and seconds >= limit
    return Ended(told.rc, told.stdout, told.stderr, seconds, late)


# $1 output limit. Of more output than that the rest is read, too: a closed pipe would change how a command ends.
_FUNCTIONS = rf"""
limit=$1
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
keep() {{ head -c "$limit"; cat >/dev/null; }}
hundredths() {{ read -r up _ </proc/uptime; echo "${{up%.*}}${{up#*.}}"; }}
one() {{
  at=$dir/$1 seconds=$2; shift 2
  began=$(hundredths)
  {{
    {{ timeout -k {_KILL_AFTER_S} "$seconds" "$@" </dev/null; echo $? >"$at.rc"; }} 2>&1 >&3 3>&- | keep >"$at.err" 3>&-
  }} 3>&1 | keep >"$at.out"
  echo $(($(hundredths) - began)) >"$at.took"
}}
tell() {{
  number=0
  while [ "$number" -lt "$1" ]; do
    at=$dir/$number
    echo "$(cat "$at.rc") $(cat "$at.took") $(base64 -w0 <"$at.out") $(base64 -w0 <"$at.err")"
    number=$((number + 1))
  done
}}
"""
