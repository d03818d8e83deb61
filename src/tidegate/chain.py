"""Reading a chain of stored entries with suspicion."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import digest, genesis
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Anchor, Verdict


@dataclass(frozen=True, slots=True)
class Row:
    """An entry as it is stored: what the database's columns say, and the bytes."""

    seq: object
    prev: str
    hash: str
    event: str
    deployment: str
    body: bytes


def verify_rows(rows: Iterable[Row], chain: str, anchor: Anchor | None = None) -> Verdict:
    """Up to where the rows, in order, are the chain that was written.

    Without an anchor, a (seq, hash) that left with an event or report, the loss of the last entries can't be seen.
    """
    upto, head, met = 0, genesis(chain), anchor is None or anchor == (0, genesis(chain))
    for row in rows:
        problem = _problem(row, upto + 1, head, chain)
        if not problem and anchor is not None and anchor[0] == row.seq and anchor[1] != row.hash:
            problem = f"entry {row.seq} is not the one that the anchor names"
        if problem:
            return Verdict(upto, head, problem, anchored=anchor is not None)
        upto, head = upto + 1, row.hash
        met = met or anchor == (upto, head)
    lost = "" if met or anchor is None else f"the entries up to {anchor[0]}, which the anchor names, are missing"
    return Verdict(upto, head, lost, anchored=anchor is not None)


def _problem(row: Row, seq: int, prev: str, chain: str) -> str:
    if row.seq != seq:
        return f"entry {seq} is missing; {row.seq} stands in its place"
    if row.prev != prev:
        return f"entry {seq} does not name the entry before it"
    if digest(seq, prev, row.body) != row.hash:
        return f"entry {seq} is not what was written: its hash does not fit"
    return _inside(row, chain)


def _inside(row: Row, chain: str) -> str:
    """The body carries all that the columns say; a column that differs would hide the entry from a search."""
    try:
        body = json.loads(row.body)
        told = {key: body[key] for key in ("seq", "prev", "environment", "deployment", "id")}
    except (ValueError, KeyError, TypeError):
        return f"entry {row.seq} is not an event"
    stored = {
        "seq": row.seq, "prev": row.prev, "environment": chain, "deployment": row.deployment, "id": row.event
    }  # fmt: skip
    differing = [key for key in stored if stored[key] != told[key]]
    return f"entry {row.seq} is filed under another {differing[0]} than it says" if differing else ""
