"""A Puppet run that somebody else started: what tests begin with."""

from __future__ import annotations

from ansible_collections.tidegate.delivery.plugins.module_utils.node import jobs
from ansible_collections.tidegate.delivery.plugins.module_utils.node.jobs import Limits
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Node
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.agent import Agent, look
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.judge import AGENT_ENV
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.result import Request
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.run import run_argv


def start_run(node: Node, request: Request, seen: Agent | None = None) -> None:
    """Start it as `run` does, and don't wait. `seen`: the agent as it was a moment ago."""
    agent = seen or look(node, request.confdir, settings_cache=request.settings_cache)
    limits = Limits(request.limit, keep=agent.report)
    assert jobs.start(node, request.folder, request.run_id, run_argv(agent, request), limits, AGENT_ENV)
