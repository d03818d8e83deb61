"""A real puppet agent with everything it writes below one folder."""

from __future__ import annotations

import json
from pathlib import Path

from ansible_collections.tidegate.delivery.plugins.module_utils.node import LocalShell, PosixNode
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet_run import Request, Result, run


class AgentHome:
    """One agent, the node it is on (this machine), and runs of deployment d1 there."""

    def __init__(self, home: Path, *, server: str, certname: str, port: int = 8140) -> None:
        self.home = home
        self.confdir = str(home / "etc")
        self.vardir = home / "var"
        self.node = PosixNode("here", LocalShell())
        (home / "etc").mkdir()
        lines = ["[main]", f"certname = {certname}", f"server = {server}", f"serverport = {port}"]
        lines += [f"{name}dir = {home / name}" for name in ("var", "ssl", "run", "log", "public")]
        # Debian's server answers the first request of a kept-alive connection thirty seconds late.
        lines += ["http_keepalive_timeout = 0"]
        (home / "etc" / "puppet.conf").write_text("\n".join(lines) + "\n")

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

    def run(self, attempt: int = 1, **changes: float | str) -> Result:
        return run(self.node, self.request(attempt, **changes), lambda _line: None)

    @property
    def reason(self) -> str | None:
        """What stands in the agent's lock."""
        lock = self.vardir / "state" / "agent_disabled.lock"
        return str(json.loads(lock.read_text())["disabled_message"]) if lock.exists() else None
