"""The ledger whose events are cleaned before they are written, and copied elsewhere after."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Deployment, Entry, State
from tidegate.ledger import OF_ONE, PAGE, SqlLedger
from tidegate.store import Store

Clean = Callable[[Event], Event]
Written = Callable[[str], None]


class CopiedLedger(SqlLedger):
    """`clean` sees every event first; `written` is told the deployment's id after each transaction that wrote of it."""

    def __init__(self, store: Store, clean: Clean, written: Written) -> None:
        super().__init__(store)
        self._clean = clean
        self._written = written

    def append_all(self, events: Iterable[Event]) -> list[Entry]:
        """Write several, in their order: all or none."""
        cleaned = [self._clean(event) for event in events]
        written = super().append_all(cleaned)
        for deployment in dict.fromkeys(event.deployment for event in cleaned):
            self._written(deployment)
        return written

    def open(self, deployment: Deployment, event: Event, *, supersedes: tuple[str, Event] | None = None) -> Deployment:
        """Open it, and close the one it supersedes in the same transaction."""
        ended = (supersedes[0], self._clean(supersedes[1])) if supersedes else None
        opened = super().open(deployment, self._clean(event), supersedes=ended)
        for id_ in (*(ended or ())[:1], opened.id):
            self._written(str(id_))
        return opened

    def new_attempt(
        self, id: str, plan: str, nodes: tuple[str, ...], event: Event, *, revision: str | None = None
    ) -> Deployment:
        """Open it again as its next attempt."""
        opened = super().new_attempt(id, plan, nodes, self._clean(event), revision=revision)
        self._written(id)
        return opened

    def update_state(self, id: str, state: State, event: Event) -> Deployment:
        """Move it to `state`."""
        moved = super().update_state(id, state, self._clean(event))
        self._written(id)
        return moved

    def bodies(self, environment: str, deployment: str, since: int = 0) -> Iterator[str]:
        """A deployment's events after seq `since` as they are stored, oldest first."""
        last, full = since, True
        while full:
            with self._store.read() as connection:
                page = OF_ONE.run(connection, of=environment, deployment=deployment, after=last, page=PAGE).all()
            yield from (row.body for row in page)
            last, full = (page[-1].seq if page else last), len(page) == PAGE
