# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A ledger's entry as it leaves: the event as it is stored, its hash, and when what it tells began."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import SCHEMA, json_schema, stamp

NAME = f"tidegate.event/{SCHEMA}"


def shipped(body: str, hash_: str) -> dict[str, Any]:
    """The object that Splunk gets for an entry: `body` is its canonical text, `hash_` what the ledger has for it.

    With `seq` the hash is the anchor that leaves with every event: whoever shortens or rewrites the chain later can't
    change what has arrived elsewhere. Raises BadInput for a text that is no event.
    """
    try:
        record: dict[str, Any] = json.loads(body)
        at, took, nodes = str(record["at"]), int(record["duration_ms"] or 0), record["nodes"]
        record["hash"] = hash_
        record["start"] = _before(at, took) if took else at
        if len(nodes) == 1:
            record["node"] = nodes[0]
        # Last, and its lists at its end: Splunk takes fields from the first 5,000 characters of an event alone
        # (limits.conf, [spath] extraction_cutoff).
        record["details"] = dict(sorted(record.pop("details").items(), key=lambda each: isinstance(each[1], list)))
    except (AttributeError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise BadInput(
            f"an entry is no event ({type(error).__name__})",
            where=f"ledger, hash {hash_[:16]}",
            remedy="Somebody wrote it there by hand: compare the chain's hashes",
        ) from error
    return record


def epoch_s(at: str) -> float:
    """Seconds since 1970 of a time as the ledger writes it, ISO 8601 in UTC with milliseconds."""
    return _parsed(at).timestamp()


def shipped_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of what `shipped` gives."""
    ledger = json_schema()
    properties = ledger["properties"] | {
        "hash": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "start": ledger["properties"]["at"],
        "node": {**ledger["properties"]["service"], "minLength": 1},
    }
    return {
        **ledger,
        "$id": f"urn:{NAME.replace('/', ':').replace('.', ':')}",
        "title": f"Tidegate event as it is shipped ({NAME})",
        "properties": properties,
        "required": sorted(set(properties) - {"node"}),
    }


def _parsed(at: str) -> datetime:
    return datetime.strptime(at, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


def _before(at: str, milliseconds: int) -> str:
    return stamp(_parsed(at) - timedelta(milliseconds=milliseconds))
