"""A real puppet agent with everything it writes below one folder."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import LocalShell, PosixNode
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.result import Request, Result
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.run import run
from tests.puppet_start import start_run


class AgentHome:
    """One agent, the node it is on (this machine), and runs of deployment d1 there."""

    def __init__(self, home: Path, *, server: str, certname: str, port: int = 8140, attempt: int = 0) -> None:
        self.home = home
        self.confdir = str(home / "etc")
        self.vardir = home / "var"
        self.root = home / "root"
        self.node = PosixNode("here", LocalShell({**os.environ, "TIDEGATE_NODE_ROOT": str(self.root)}))
        self._attempt = attempt
        self.boot()
        (home / "etc").mkdir()
        lines = ["[main]", f"certname = {certname}", f"server = {server}", f"serverport = {port}"]
        lines += [f"{name}dir = {home / name}" for name in ("var", "ssl", "run", "log", "public")]
        # Debian's server answers the first request of a kept-alive connection thirty seconds late.
        lines += ["http_keepalive_timeout = 0"]
        (home / "etc" / "puppet.conf").write_text("\n".join(lines) + "\n")

    def boot(self) -> None:
        """The node's boot is another one from now on: what a reboot leaves to be seen."""
        boot_id = self.root / "proc" / "sys" / "kernel" / "random" / "boot_id"
        boot_id.parent.mkdir(parents=True, exist_ok=True)
        boot_id.write_text(f"{uuid.uuid4()}\n")

    @contextmanager
    def settings(self, *lines: str) -> Iterator[None]:
        """These lines in puppet.conf for a while, instead of others about the same: of two the first would count."""
        file = self.home / "etc" / "puppet.conf"
        before = file.read_text()
        named = {line.split(" = ")[0] for line in lines}
        others = [line for line in before.splitlines() if line.split(" = ")[0] not in named]
        file.write_text("\n".join([*others, *lines]) + "\n")
        # Its second is the settings' cache's: it would pass for older.
        (self.home / "settings").unlink(missing_ok=True)
        try:
            yield
        finally:
            file.write_text(before)
            (self.home / "settings").unlink(missing_ok=True)

    def job(self, request: Request) -> Path:
        """The folder that the node keeps of a run."""
        return Path(request.folder, request.run_id)

    def request(self, attempt: int = 1, **changes: float | str) -> Request:
        fixed: dict[str, float | str] = {"timeout": 120.0, "wait_for_lock": 0.0, "interval": 1.0}
        return Request(
            folder=str(self.home / "jobs"),
            run_id=f"d1.here.{attempt}",
            family="d1.here.",
            confdir=self.confdir,
            settings_cache=str(self.home / "settings"),
            **{**fixed, **changes},  # type: ignore[arg-type]
        )

    def next_request(self, **changes: float | str) -> Request:
        """That of a run which there has not been yet."""
        self._attempt += 1
        return self.request(self._attempt, **changes)

    def start(self, **changes: float | str) -> Request:
        """Begin a run, and leave it alone."""
        request = self.next_request(**changes)
        start_run(self.node, request)
        return request

    def run(self, attempt: int = 1, **changes: float | str) -> Result:
        return run(self.node, self.request(attempt, **changes), lambda _line: None)

    @property
    def reason(self) -> str | None:
        """What stands in the agent's lock."""
        lock = self.vardir / "state" / "agent_disabled.lock"
        return str(json.loads(lock.read_text())["disabled_message"]) if lock.exists() else None
