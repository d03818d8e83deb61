"""What makes the playbooks of a test ship to a Graphite."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lab.graphite.server import Graphite

CALLBACKS = "tidegate.delivery.stop,tidegate.delivery.graphite"


def shipping_to(graphite: Graphite, spool: Path) -> Mapping[str, str]:
    """The environment for ansible-playbook and `tidegate events flush`."""
    return {
        "ANSIBLE_CALLBACKS_ENABLED": CALLBACKS,
        "TIDEGATE_GRAPHITE_CARBON": graphite.line,
        "TIDEGATE_GRAPHITE_WEB": graphite.url,
        "TIDEGATE_GRAPHITE_TIMEOUT": "2",
        "TIDEGATE_SPOOL": str(spool),
    }
