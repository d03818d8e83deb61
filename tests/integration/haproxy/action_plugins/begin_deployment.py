"""Opens a deployment of the nodes and takes its lock, as plan does at the start of a playbook."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Kind
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.lock import node_lock, service_lock
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.record import Record, plan_digest


class ActionModule(ActionBase):  # type: ignore[misc]
    """Arguments: ledger, deployment, nodes, pools, without (who is down); `intent` makes it a move by hand.

    `checks` are those that the plan has of each node; `left`: the nodes are out already.
    """

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        pools = json.loads(json.dumps(self._task.args["pools"]))
        checks = json.loads(json.dumps(self._task.args.get("checks", {})))
        args = {key: str(value) for key, value in self._task.args.items()}
        name, nodes = args["deployment"], tuple(args["nodes"].split(","))
        record = Record(args["ledger"], "lab", name)
        if record.ledger.deployment(name) is None:
            wave = {"number": 1, "site": "main", "nodes": nodes, "load_balancers": ["lb1", "lb2"], "pools": pools}
            wave["without"] = [name for name in [args.get("without", "")] if name]
            intent = {"intent": args["intent"]} if "intent" in args else {}
            plan = json.dumps(
                {**intent, "nodes": {node: {"checks": checks.get(node, {})} for node in nodes}, "waves": [wave]}
            )
            event = Event(
                service="shop",
                environment="lab",
                deployment=name,
                attempt=1,
                step=Step.PLAN,
                outcome=Outcome.OK,
                details={"plan_sha256": plan_digest(plan)},
            )
            kind = Kind.HAND if intent else Kind.DEPLOY
            opened = Deployment(
                id=name, kind=kind, service="shop", environment="lab", nodes=nodes, services=("shop",), plan=plan
            )
            record.ledger.open(opened, event)
            if self._task.args.get("left"):
                record.ledger.append(replace(event, step=Step.LEAVE, nodes=nodes, details={}, id=uuid.uuid4().hex))
        locks = sorted([service_lock("lab", "shop"), *(node_lock("lab", node) for node in nodes)])
        record.locks.acquire(locks, record.holder(name, "test"), 300)
        return {"changed": False}
