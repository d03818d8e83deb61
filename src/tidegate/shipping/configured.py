"""The callbacks' options as ansible.cfg and the environment have them: `python -m tidegate.shipping.configured`.

A process of its own, since Ansible's loader must be there before anything of the collection is imported. It answers one
JSON object on a pipe: `sinks` (the settings of each, with tokens and passwords) and `spool`, or `problem`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

_DEADLINE_S = 60.0


def settings() -> tuple[list[dict[str, Any]], Path]:
    """The sinks' settings and the spool's folder. Raises BadInput with the option that is wrong."""
    from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput

    done = subprocess.run(
        [sys.executable, "-m", __name__], capture_output=True, text=True, timeout=_DEADLINE_S, check=False
    )
    try:
        told = json.loads(done.stdout)
    except ValueError:
        words = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise BadInput(f"Ansible's configuration can't be read: {words[0][:300]}", where="ansible.cfg") from None
    if "problem" in told:
        raise BadInput(**told["problem"])
    return told["sinks"], Path(told["spool"])


def main() -> None:
    """Answer."""
    from ansible.plugins.loader import init_plugin_loader

    init_plugin_loader()
    from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
    from ansible_collections.tidegate.delivery.plugins.plugin_utils.shipping.sinks_in_use import sinks_in_use

    try:
        sinks, spool = sinks_in_use()
        told: dict[str, Any] = {"sinks": sinks, "spool": spool}
    except DomainError as error:
        told = {"problem": {"message": error.message, "where": error.where, "remedy": error.remedy}}
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
