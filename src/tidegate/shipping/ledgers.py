"""An environment's ledger as what is shipped from: it has everything, refusals and moves by hand included."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, DomainError
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.shipped import epoch_s, shipped
from tidegate.ledger import SqlLedger
from tidegate.shipping.sinks import Item, NoEvent
from tidegate.store import PREFIX, Store


class LedgerSource:
    """Entries after a position, [seq, hash]. `problem` says why it could not be read the last time."""

    def __init__(self, url: str, environment: str) -> None:
        self._url, self._environment = url, environment
        self._ledger: SqlLedger | None = None
        self.key = f"ledger {hashlib.sha256(url.encode()).hexdigest()} {environment}"
        self.problem = ""

    def after(self, position: object, limit: int) -> list[tuple[object, Item | NoEvent]]:
        """At most `limit` entries after a position, each with its own."""
        since, anchor = _position(position)
        try:
            if self._ledger is None and not exists(self._url):
                return []  # nothing was recorded yet, and an empty ledger is not ours to make
            self._ledger = self._ledger or SqlLedger(Store(self._url))
            rows = self._ledger.stored(self._environment, max(0, since - 1), limit + bool(since))
            if since and rows and rows[0][:2] == (since, anchor):
                del rows[0]
            elif since:
                # Another ledger under the same URL: its entries have not been sent.
                rows = self._ledger.stored(self._environment, 0, limit)
            self.problem = ""
        except DomainError as error:
            self.problem = str(error)
            return []
        return [([seq, hash_], _item(body, hash_) or self._no_event(seq)) for seq, hash_, body in rows]

    def arrived(self, position: object) -> None:
        """Nothing to do: a ledger keeps what it has."""

    def _no_event(self, seq: int) -> NoEvent:
        why = "the ledger's entry is no event: somebody wrote it there by hand. Compare the chain's hashes"
        return NoEvent(f"{self._environment} {seq}", why)


def _position(position: object) -> tuple[int, str]:
    match position:
        case [int() as seq, str() as hash_]:
            return seq, hash_
    return 0, ""


def exists(url: str) -> bool:
    """Whether there is a ledger's file to read."""
    return not url.startswith(PREFIX) or Path(url.removeprefix(PREFIX)).is_file()


def _item(body: str, hash_: str) -> Item | None:
    try:
        fields = shipped(body, hash_)
        return Item("event", str(fields["id"]), epoch_s(fields["at"]), fields, len(body.encode()))
    except (BadInput, ValueError):
        return None
