"""What the starter tells the shipper, line by line on its standard input.

Each line is a JSON object with any of: `spool` and `drain` (the first line must have `spool`), `sinks` (a list of
objects with `sink` and that sink's settings), `ledger` with `environment`. An empty line only wakes it.
"""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput

MAX_LINE = 256 * 1024


def parsed(line: bytes) -> dict[str, Any]:
    """The object of a line; empty for a wake. Raises BadInput for anything else."""
    if not line.strip():
        return {}
    try:
        told = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadInput("a line is no JSON", where="the shipper's standard input") from error
    if not isinstance(told, dict):
        raise BadInput("a line is no object", where="the shipper's standard input")
    return told
