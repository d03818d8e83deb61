"""Plays with an open deployment: one node, one test box, both this machine, and a ledger of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Kind
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.record import plan_digest
from tests.waiting import DEPLOYMENT_S
from tidegate.ledger import SqlLedger
from tidegate.store import Store

ROOT = Path(__file__).parents[3]
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")

# Takes the deployment's lock as the plan action does: its holder is the ansible-playbook that runs the play.
TAKE_LOCK = """
from ansible.plugins.action import ActionBase
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.lock import Holder, service_lock, this_process
from ansible_collections.tidegate.delivery.plugins.plugin_utils.stopping.controller import controller_pid
from tidegate.locks import SqlLocks
from tidegate.store import Store

class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        holder = Holder(user="test", process=this_process(controller_pid()), deployment="d1", doing="test")
        SqlLocks(Store(task_vars["tidegate_ledger"])).acquire([service_lock("test", "probe")], holder, 600)
        return {"changed": False}
"""


@dataclass(frozen=True)
class Play:
    """How a play ended: exit code, output, and the result of its last task."""

    rc: int
    output: str
    result: dict[str, Any]


class Place:
    """A folder with inventory, ledger and an open deployment d1 of service `probe` on n1."""

    def __init__(self, folder: Path, checks: dict[str, Any]) -> None:
        self.folder = folder
        self.ledger = SqlLedger(Store(f"sqlite:///{folder}/ledger.sqlite"))
        plan = {"nodes": {"n1": {"checks": {"probe": checks}}}, "waves": []}
        deployment = Deployment(
            id="d1", kind=Kind.DEPLOY, service="probe", environment="test", version="1.1.0", nodes=("n1",),
            services=("probe",), plan=json.dumps(plan),
        )  # fmt: skip
        opened = Event(
            service="probe", environment="test", deployment="d1", attempt=1, step=Step.PLAN, outcome=Outcome.OK,
            details={"plan_sha256": plan_digest(deployment.plan)},
        )  # fmt: skip
        self.ledger.open(deployment, opened)
        variables = {
            "ansible_connection": "local",
            "tidegate_environment": "test",
            "tidegate_ledger": f"sqlite:///{folder}/ledger.sqlite",
            "tidegate_test_dir": f"{folder}/tests",
        }
        hosts = {"all": {"hosts": {"n1": {}, "box": {}}, "vars": variables}}
        (folder / "hosts.json").write_text(json.dumps(hosts))
        (folder / "action_plugins").mkdir()
        (folder / "action_plugins" / "take_lock.py").write_text(TAKE_LOCK)

    def play(self, task: dict[str, Any], *, lock: bool = True, check: bool = False) -> Play:
        """Run the task on n1, after taking the deployment's lock."""
        play = {"hosts": "n1", "gather_facts": False, "tasks": [*([{"take_lock": {}}] if lock else []), task]}
        (self.folder / "play.yml").write_text(json.dumps([play]))
        environment = os.environ | {
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
            "ANSIBLE_CALLBACKS_ENABLED": "ansible.builtin.tree",
            "ANSIBLE_CALLBACK_TREE_DIR": str(self.folder / "results"),
            "ANSIBLE_LOG_PATH": str(self.folder / "ansible.log"),
            "ANSIBLE_NOCOLOR": "1",
        }
        argv = [str(PLAYBOOK), "-i", str(self.folder / "hosts.json"), str(self.folder / "play.yml"), "-vvv"]
        argv += ["--check"] if check else []
        done = subprocess.run(
            argv, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=DEPLOYMENT_S
        )
        result = json.loads((self.folder / "results" / "n1").read_text())
        return Play(done.returncode, done.stdout + done.stderr, result)

    def events(self, step: Step) -> list[Event]:
        """The deployment's events of this step, oldest first."""
        return [entry.event for entry in self.ledger.entries("test", "d1") if entry.event.step is step]
