from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.puppet.agent_home import AgentHome


@pytest.fixture
def agent(tmp_path: Path) -> AgentHome:
    """A real agent with a confdir of its own, whose server nobody listens at."""
    return AgentHome(tmp_path, server="127.35.0.99", certname="alone.lab")
