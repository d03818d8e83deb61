# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking the Puppet agent of a Windows node where its files are, and what its locks say.

Paths are those of Puppet's packages for Windows (Puppet's documentation, "Where settings and files are").
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.no_agent import NoAgent
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.outcome import PuppetOutcome
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.node import WindowsNode
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.system32 import SYSTEM32

PROGRAM = r"C:\Program Files\Puppet Labs\Puppet\bin\puppet.bat"
CONFDIR = r"C:\ProgramData\PuppetLabs\puppet\etc"
_TASKLIST = rf"{SYSTEM32}\tasklist.exe"
_PATHS = ("agent_catalog_run_lockfile", "agent_disabled_lockfile", "lastrunreport")
_CONFIG = "config_sha256"
_LIMIT = 1024 * 1024
_PID = re.compile(rb"[0-9]{1,10}")
# Ruby starts slowly on Windows, where a scanner reads each of its files.
_ASK_TIMEOUT = 120
# Puppet::Util::Pidlock: a lock counts while its pid is a process of this program.
_RUBY = "ruby.exe"


@dataclass(frozen=True, slots=True)
class Told:
    """What the node told: settings by name, the lock that disables the agent, and the pid of a run that goes on."""

    settings: Mapping[str, str]
    disabled_lock: bytes | None
    running: int | None


def ask(node: WindowsNode, confdir: str, cache: str, *, keep: bool) -> Told:
    """Read settings and locks. `cache`: a file there that keeps where files are until puppet.conf changes; without
    `keep` it is never written. Raises BadInput when Puppet is not installed or its settings can't be read.
    """
    settings = _settings(node, confdir, cache, keep=keep)
    run_lock, disabled_lock = (settings[name] for name in _PATHS[:2])
    locks = node.read_all([run_lock, disabled_lock], limit=_LIMIT)
    pid = (locks[run_lock] or b"").strip()
    running = int(pid) if _PID.fullmatch(pid) and _is_ruby(node, int(pid)) else None
    return Told({"program": PROGRAM, **settings}, locks[disabled_lock], running)


def _settings(node: WindowsNode, confdir: str, cache: str, *, keep: bool) -> dict[str, str]:
    config = rf"{confdir or CONFDIR}\puppet.conf"
    found = node.read_all([config, *([cache] if cache else [])], limit=_LIMIT)
    digest = hashlib.sha256(found[config] or b"").hexdigest()
    kept = values((found.get(cache) or b"").decode(errors="replace"))
    if kept.get(_CONFIG) == digest and set(_PATHS) <= set(kept):
        return kept
    asked = _asked(node, confdir)
    if cache and keep:
        lines = [f"{name} = {value}\n" for name, value in {_CONFIG: digest, **asked}.items()]
        node.write(cache, "".join(lines).encode())
    return asked


def _asked(node: WindowsNode, confdir: str) -> dict[str, str]:
    argv = [PROGRAM, "config", "print", "--section", "agent", *(["--confdir", confdir] if confdir else []), *_PATHS]
    done = node.run(argv, timeout=_ASK_TIMEOUT)
    told = {name: value.replace("/", "\\") for name, value in values(done.text).items()}
    if missing := [name for name in _PATHS if name not in told]:
        if done.rc != 0 and not node.exists(PROGRAM):
            raise NoAgent(PuppetOutcome.NO_AGENT, f"there is no {PROGRAM}", node.name)
        raise BadInput(
            f"puppet config print did not tell {missing[0]}{': ' + done.said if done.said else ''}",
            where=f"{node.name}: {confdir or CONFDIR}",
            remedy="Run `puppet config print --section agent` there",
        )
    return {name: told[name] for name in _PATHS}


def values(text: str) -> dict[str, str]:
    """`name = value` lines."""
    return {
        name: value.strip() for name, equals, value in (line.partition(" = ") for line in text.splitlines()) if equals
    }


def _is_ruby(node: WindowsNode, pid: int) -> bool:
    done = node.run([_TASKLIST, "/nh", "/fo", "csv", "/fi", f"PID eq {pid}"])
    return image_of(done.text.splitlines(), pid).lower() == _RUBY


def image_of(lines: Sequence[str], pid: int) -> str:
    """The program of a process in `tasklist /nh /fo csv`; empty if it isn't there.

    What tasklist says then is in the node's language; a line of a process has its program and its pid first.
    """
    for row in csv.reader(lines):
        if len(row) > 1 and row[1] == str(pid):
            return row[0]
    return ""
