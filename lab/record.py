"""What a state folder remembers of its lab: that it is one, and its network."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Refused
from lab.files import write_file
from lab.layout import NET_VARIABLE, Layout

_NAME = "lab.json"


def remembered_net(state: Path) -> str | None:
    """The network of the lab in that folder; None if there is none."""
    try:
        found = json.loads((state / _NAME).read_text(encoding="utf-8"))["net"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"The lab's record can't be read: {error}", where=str(state / _NAME), remedy="Remove that file."
        ) from error
    return str(found)


def claim(layout: Layout) -> None:
    """Make the state and runtime folders this lab's. Raises BadInput or Refused, and then nothing was touched."""
    net = remembered_net(layout.state)
    if net is not None and net != layout.net:
        raise Refused(
            f"The lab in this folder has the network {net}, not {layout.net}",
            where=str(layout.state),
            remedy=f"Use --net {net} (or {NET_VARIABLE}), another --state, or `python -m lab down --purge` first.",
        )
    require_ours_or_empty(layout)
    _claim_runtime(layout)
    write_file(layout.state / _NAME, json.dumps({"net": layout.net, "runtime": str(layout.runtime)}) + "\n")


def require_ours_or_empty(layout: Layout) -> None:
    """Raises BadInput if the state folder holds something else than a lab, so that a purge can't remove that."""
    if not layout.state.exists() or (layout.state / _NAME).exists():
        return
    if not layout.state.is_dir() or {entry.name for entry in layout.state.iterdir()} - {layout.lock.name}:
        raise BadInput(
            "The state folder is no folder of a lab",
            where=str(layout.state),
            remedy="Give a folder that is empty or does not exist yet: --state",
        )


def _claim_runtime(layout: Layout) -> None:
    """The runtime folder's name can be guessed: it must be ours, and closed to others."""
    layout.runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
    if layout.runtime.is_symlink() or layout.runtime.stat().st_uid != os.geteuid():
        raise BadInput(
            "The folder for sockets belongs to somebody else",
            where=str(layout.runtime),
            remedy="Remove it, or use another --state.",
        )
    layout.runtime.chmod(0o700)
