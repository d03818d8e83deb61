# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting the shipper beside ansible-playbook, and telling it what to ship. Nothing here waits for it or raises."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.node.jobs_script import DETACHED

_PROGRAM = ("-m", "tidegate.shipping")
# What Python and its TLS and proxies go by. Nothing else of the playbook's environment is the shipper's business.
_KEPT = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
    *("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "all_proxy", "ALL_PROXY"),
)


class Shipping:
    """One shipper for all callbacks of a process: the first one starts it, each adds its sink."""

    def __init__(self) -> None:
        self._pipe: int | None = None
        self._told: set[str] = set()
        self._users = 0
        self._process: subprocess.Popen[bytes] | None = None
        self.problem = ""

    @property
    def pid(self) -> int:
        """Its process; 0 when none was started."""
        return self._process.pid if self._process is not None else 0

    def ended(self) -> str:
        """How it ended without having been told to; empty while it lives."""
        code = self._process.poll() if self._process is not None and self._pipe is not None else None
        if code is None:
            return ""
        return f"by signal {-code}" if code < 0 else f"with exit code {code}"

    def add_sink(self, settings: Mapping[str, Any], spool: str, drain: float) -> None:
        """Have it ship there, too."""
        self._tell({"spool": spool, "drain": drain, "sinks": [dict(settings)]})

    def add_ledger(self, url: str, environment: str) -> None:
        """Have it ship what a ledger has, once."""
        if f"{url}\n{environment}" not in self._told and self._pipe is not None:
            line = json.dumps({"ledger": url, "environment": environment}).encode() + b"\n"
            if self._write(line):
                self._told.add(f"{url}\n{environment}")

    def wake(self) -> None:
        """There may be something new."""
        if self._pipe is not None:
            self._write(b"\n")

    def enter(self) -> None:
        """One more callback tells it what to do."""
        self._users += 1

    def leave(self) -> None:
        """One callback has told all; after the last one the shipper finishes by itself."""
        self._users -= 1
        if self._pipe is not None and self._users <= 0:
            self._write(b"\n")
            os.close(self._pipe)
            self._pipe = None
            self._told.clear()

    def _tell(self, told: Mapping[str, Any]) -> None:
        if self._pipe is None and not self._start():
            return
        self._write(json.dumps(told).encode() + b"\n")

    def _start(self) -> bool:
        # Marked as what outlives a run: `tidegate deploy` ends everything else that a playbook leaves behind. Without
        # the mark that Jenkins gives a job's processes, which it kills with the job.
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ} | {DETACHED: "shipper"}
        reading, writing = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, *_PROGRAM],
                stdin=reading,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
                cwd="/",
            )
        except OSError as error:
            os.close(writing)
            self.problem = error.strerror or type(error).__name__
            return False
        finally:
            os.close(reading)
        os.set_blocking(writing, False)
        self._pipe = writing
        return True

    def _write(self, data: bytes) -> bool:
        """Whether it was taken: all or nothing of what is shorter than 4,096 bytes (pipe(7), PIPE_BUF)."""
        # Full: it is busy, and looks by itself. Broken: it has ended, and the next one ships.
        try:
            return os.write(self._pipe if self._pipe is not None else -1, data) == len(data)
        except OSError:
            return False


_shipping = Shipping()


def shipping() -> Shipping:
    """That of this process."""
    return _shipping
