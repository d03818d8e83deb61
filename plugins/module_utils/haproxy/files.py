# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A load balancer's configuration: checked by HAProxy, put in place by a rename, loaded, and looked at after."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import (
    BadInput,
    DomainError,
    Locked,
    Refused,
    Unreachable,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.access import AdminAccess
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.files_script import CHECK, HOOK, PUT
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.runtime import (
    ANSWER_LIMIT,
    ANSWER_TIMEOUT,
    LOCK_TIMEOUT,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Node

# Reading a large configuration takes HAProxy seconds at most.
_CHECK_TIMEOUT = 60.0
_LONGEST_NOISE = 1500
# A shell's exit code for a program that it can't find.
_NOT_FOUND = 127
_MOST_SAVED_S = 60.0
_PATH = re.compile(r"/[A-Za-z0-9._/@+-]{1,200}")


@dataclass(frozen=True, slots=True)
class Files:
    """Where HAProxy's files are on its host. `base` are those that it is started with before `folder`."""

    folder: str
    base: tuple[str, ...]
    program: str
    reload: tuple[str, ...]
    timeout: float

    @property
    def written(self) -> str:
        """The one file that is ours."""
        return f"{self.folder}/tidegate.cfg"

    @property
    def hook(self) -> str:
        """The script that a reload by somebody else runs first. HAProxy reads `*.cfg` only."""
        return f"{self.folder}/tidegate-save-state.sh"

    @property
    def pending(self) -> str:
        """Stands there while what was put in place is not loaded yet; holds the pid of the script that does it."""
        return f"{self.folder}/.tidegate.reload"

    def drop_in(self) -> str:
        """A drop-in for HAProxy's systemd unit: check, save every state, then reload."""
        options = " ".join(f"-f {path}" for path in (*self.base, self.folder))
        return (
            "# Written by playbooks/haproxy.yml.\n"
            "[Service]\n"
            "ExecReload=\n"
            f"ExecReload={self.program} -c -q {options}\n"
            f"ExecReload=/bin/sh {self.hook}\n"
            "ExecReload=/bin/kill -USR2 $MAINPID\n"
        )

    def save_script(self, access: AdminAccess) -> str:
        """The text of `hook`."""
        values = {
            "socket": access.socket,
            "lock": access.lock,
            "folder": access.state_dir,
            "pending": self.pending,
            "wait": str(math.ceil(LOCK_TIMEOUT)),
            "io": str(math.ceil(ANSWER_TIMEOUT)),
            "limit": str(ANSWER_LIMIT + 1),
        }
        return "#!/bin/sh\n" + "".join(f"{name}={value}\n" for name, value in values.items()) + HOOK


def require_plain(files: Files, host: str, drop_in: str = "") -> None:
    """BadInput unless every path is absolute and has nothing that a shell, systemd or HAProxy reads otherwise."""
    programs = [files.program] if "/" in files.program else []
    for path in (files.folder, *files.base, *programs, *([drop_in] if drop_in else [])):
        if not _PATH.fullmatch(path) or ".." in PurePosixPath(path).parts:
            raise BadInput(
                f"{path!r} can't be one of HAProxy's paths",
                where=f"load balancer {host}",
                remedy="Use an absolute path of letters, digits and . _ / @ + -, without ..",
            )


class Configuration:
    """The configuration of the HAProxy on `node`; `lock` is how many seconds its host's lock is waited for."""

    def __init__(self, node: Node, access: AdminAccess, files: Files, *, lock: float = LOCK_TIMEOUT) -> None:
        self.access = access
        self._node, self._files, self._lock = node, files, lock

    def check(self, text: str) -> None:
        """Have HAProxy read the whole set of files with `text` among them. Raises Refused with what it says."""
        files = self._files
        argv = (files.folder, PurePosixPath(files.written).name, files.program, *files.base)
        done = self._node.sh(CHECK, *argv, stdin=text.encode(), timeout=_CHECK_TIMEOUT)
        if done.rc == _NOT_FOUND:
            raise BadInput(
                f"{files.program} can't be run: {_alerts(done.text)}",
                where=f"load balancer {self.access.host}",
                remedy="Set haproxy_program to HAProxy's program there",
            )
        if done.rc:
            raise Refused(
                f"HAProxy refuses the configuration, and the old files stay: {_alerts(done.text)}",
                where=f"load balancer {self.access.host}",
                remedy=f"Correct the file that it names; of {files.written} the cause is in the descriptors",
            )

    def is_pending(self) -> bool:
        """Whether an earlier run put something in place that was not loaded."""
        return self._node.exists(self._files.pending)

    def has_states(self, servers: Sequence[str]) -> bool:
        """Whether each backend has its state file; HAProxy warns of each that is missing."""
        script = 'while read -r backend; do [ -e "$1/$backend" ] || exit 1; done'
        return self._node.sh(script, self.access.state_dir, stdin=_names(servers).encode()).rc == 0

    def put(self, text: str, servers: Sequence[str]) -> str:
        """Put `text` in place and have it loaded; says what came of it in a few words.

        Raises Refused when HAProxy did not load it (then the old file is back), Locked when the host's lock stayed
        taken, Unreachable when no complete answer came: run it again.
        """
        files, access = self._files, self.access
        self._node.write(f"{access.state_dir}/.tidegate.servers.new", "".join(f"{line}\n" for line in servers).encode())
        self._node.write(f"{files.folder}/.tidegate.new", text.encode())
        seconds = math.ceil(files.timeout)
        paths = (files.written, access.socket, access.master_socket, access.lock, access.state_dir)
        limits = (math.ceil(self._lock), math.ceil(ANSWER_TIMEOUT), ANSWER_LIMIT + 1, seconds)
        done = self._node.sh(
            PUT, *paths, *map(str, limits), *files.reload, timeout=self._lock + _MOST_SAVED_S + 2 * seconds
        )
        word, _, said = done.text.strip().partition(" ")
        match word:
            case "reloaded":
                return "put in place and loaded"
            case "idle":
                return "put in place; HAProxy is not running here: start it"
        raise self._failed(word, said, done.stderr.decode(errors="backslashreplace"))

    def _failed(self, word: str, said: str, noise: str) -> DomainError:
        place = f"load balancer {self.access.host}"
        back = f"{self._files.written} is again what it was, and HAProxy goes on with it"
        match word:
            case "locked":
                remedy = f"Wait, or see who holds it: fuser -v {self.access.lock}"
                return Locked(f"the lock stayed taken for {self._lock:.0f} s", where=place, remedy=remedy)
            case "lockfile":
                return Refused(
                    f"the lock file {self.access.lock} can't be written",
                    where=place,
                    remedy="Set tidegate_haproxy_lock",
                )
            case "tool":
                return Refused(
                    f"{said} is not installed", where=place, remedy="Install socat, util-linux, grep and awk there"
                )
            case "master":
                what = f"HAProxy runs, but its master's socket {self.access.master_socket} did not answer"
                remedy = "Nothing was changed. Start HAProxy with -W and -S, or correct tidegate_haproxy_master_socket"
                return Refused(what, where=place, remedy=remedy)
            case "unsaved":
                what = f"the states of {said} could not be saved before the reload"
                return Refused(what, where=place, remedy=f"Nothing was changed. Look at {self.access.state_dir}")
            case "failed":
                what = f"HAProxy did not load the new configuration: {said[-_LONGEST_NOISE:]}"
                return Refused(what, where=place, remedy=f"{back}. Look at HAProxy's log, then run it again")
            case "unknown":
                what = f"HAProxy was reloaded, but does not know backend {said}"
                folder = self._files.folder
                return Refused(what, where=place, remedy=f"Start HAProxy with `-f {folder}`: docs/haproxy.md says how")
        detail = (said or noise).strip()[-300:]
        return Unreachable(
            f"the answer broke off{': ' + detail if detail else ''}",
            where=place,
            remedy="Run it again: it goes on where this one ended",
        )


def _names(servers: Sequence[str]) -> str:
    return "".join(f"{name}\n" for name in dict.fromkeys(line.partition(" ")[0] for line in servers))


def _alerts(text: str) -> str:
    """What HAProxy gives as the cause; all that it said when it names none."""
    alerts = [line for line in text.splitlines() if "[ALERT]" in line]
    return " ".join(" ".join(alerts or text.splitlines()).split())[:_LONGEST_NOISE]
