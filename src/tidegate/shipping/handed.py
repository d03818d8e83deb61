"""Ledgers that a shipper without the spool leaves to the one that has it: theirs may be other ones.

<spool>/ledgers/<digest>.json, one for each ledger and environment, until somebody has read it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from urllib.parse import urlsplit

from ansible_collections.tidegate.delivery.plugins.module_utils.whole_file import write_whole

_FOLDER = "ledgers"
_MAX = 64 * 1024


def hand_over(spool: Path, url: str, environment: str) -> None:
    """Leave it. Where it can't be written, or a password is in it, its next own playbook ships it."""
    if _has_password(url):
        return
    text = json.dumps({"ledger": url, "environment": environment}) + "\n"
    name = hashlib.sha256(f"{url}\n{environment}".encode()).hexdigest()[:16]
    with contextlib.suppress(OSError):
        (spool / _FOLDER).mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(spool / _FOLDER / f"{name}.json", lambda file: file.write(text.encode()))


def taken_over(spool: Path) -> list[tuple[str, str]]:
    """URLs and environments that others left, which are forgotten here."""
    found = []
    with contextlib.suppress(OSError):
        for path in sorted((spool / _FOLDER).glob("*.json")):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                with path.open("rb") as file:
                    told = json.loads(file.read(_MAX))
                found.append((str(told["ledger"]), str(told["environment"])))
            path.unlink(missing_ok=True)
    return found


def _has_password(url: str) -> bool:
    try:
        return urlsplit(url).password is not None
    except ValueError:
        return True
