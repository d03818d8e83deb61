"""A playbook that says what a test wrote down, in place of ansible-playbook."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tidegate import cli
from tidegate.cli import session
from tidegate.playbook import Playbook, Said
from tidegate.processes import Brood

PLAN: dict[str, Any] = {
    "msg": "tradeapi 1.1.0 to lab: 1 node in 1 wave (1)",
    "table": ["n1  online  1.0.0 -> 1.1.0  wave 1"],
    "folder": "/srv/deployments/tradeapi-1",
    "plan": {
        "service": "tradeapi",
        "version": "1.1.0",
        "nothing_to_do": False,
        "decisions_sha256": "abc123",
        "nodes": [
            {"name": "n1", "wave": 1, "site": "lab", "standing": "online", "from": "1.0.0", "to": "1.1.0"}
            | {"fate": "move", "why": ""}
        ],
        "waves": [{"number": 1, "nodes": ["n1"]}],
    },
}
OPENED = {**PLAN, "ansible_facts": {"tidegate_plan": {"deployment": "tradeapi-1"}}}


def end(action: str, result: dict[str, Any], *, ok: bool = True, host: str = "localhost", **options: str) -> Said:
    return Said("end", action=action, host=host, ok=ok, result=result, options=options)


@dataclass
class Script:
    """What each playbook says, by name, and which were run."""

    says: dict[str, tuple[int, Sequence[Said]]] = field(default_factory=dict)
    ran: list[Playbook] = field(default_factory=list)

    def run(
        self, playbook: Playbook, hear: Callable[[Said], None], tick: Callable[[], None], brood: Brood | None = None
    ) -> int:
        self.ran.append(playbook)
        rc, said = self.says[f"{playbook.name} --check" if playbook.check else playbook.name]
        for each in said:
            hear(each)
            tick()
        return rc

    def call(self, *words: str, typed: str | None = None) -> Result:
        return CliRunner().invoke(cli.tidegate, words, input=typed, standalone_mode=False)


def scripted(monkeypatch: pytest.MonkeyPatch) -> Script:
    script = Script()
    monkeypatch.setattr(session, "run_playbook", script.run)
    return script
