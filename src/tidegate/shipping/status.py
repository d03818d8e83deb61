"""How it stands with the shipping, as the spool's status.json tells it to others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

STATUS = "status.json"
_MAX = 1024 * 1024


def problems(spool: Path, names: Sequence[str], pid: int) -> list[str]:
    """Of each of these sinks that is in trouble, or that would not have some events, what it is.

    Only as the process `pid` told it: what another one with other settings came to is not about this playbook.
    """
    try:
        with (spool / STATUS).open("rb") as file:
            told_by = json.loads(file.read(_MAX))
        ours = [each for each in told_by["sinks"] if each["sink"] in names and told_by["pid"] == pid]
        told = [f"{each['sink']}: {each['why']}. The events are kept" for each in ours if each["why"]]
        aside = [each for each in ours if each["set_aside"]]
        return told + [f"{each['sink']}: {each['set_aside']} events were not taken" for each in aside]
    except (OSError, ValueError, KeyError, TypeError):
        return []
