"""The command `events tail`: what the ledger has, for people and line by line."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import click

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import printable, printable_json
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step, parse
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Entry
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.past import events_table
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.shipped import shipped
from tidegate.cli.events.choosing import ENVIRONMENT, LEDGER, chosen_ledger, existing
from tidegate.cli.options import Common, PlaybookCommand, common_options
from tidegate.ledger import SqlLedger
from tidegate.outcome import Exit
from tidegate.store import Store

_PAGE = 1000
_FOLLOW_S = 0.5
_Stored = tuple[int, str, str]


@click.command(cls=PlaybookCommand)
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until interrupted.")
@click.option("-n", "--lines", type=click.IntRange(0, 100_000), default=20, show_default=True, help="How many.")
@click.option("--service", metavar="SERVICE", help="Of this service only.")
@click.option("--deployment", metavar="ID", help="Of this deployment only.")
@click.option("--step", type=click.Choice([each.value for each in Step]), help="Of this step only.")
@click.option("--bad", is_flag=True, help="Only what failed, was refused, held, stopped or is not sure.")
@LEDGER
@ENVIRONMENT
@common_options
def tail(
    common: Common,
    *,
    follow: bool,
    lines: int,
    ledger: str | None,
    environment: str | None,
    bad: bool,
    **only: str | None,
) -> int:
    """Show the last events. With --json each is a line of its own, as it is shipped."""
    found = chosen_ledger(common, ledger, environment)
    if isinstance(found, int):
        return found
    url, name = found
    store = SqlLedger(Store(existing(url)))
    wanted = partial(_wanted, only={key: value for key, value in only.items() if value is not None}, bad=bad)
    # Where all are wanted the last ones are the last numbers: a long ledger is not read from its beginning.
    since = 0 if bad or any(only.values()) else max(0, store.head(name)[0] - lines)
    kept, last = _read(store, name, since, wanted, lines)
    if not kept and lines and not follow:
        click.echo("no such event", err=True)
    try:
        _show(common, kept)
        while follow:
            time.sleep(_FOLLOW_S)
            new, last = _read(store, name, last, wanted, _PAGE)
            _show(common, new, header=False)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED  # which is how it ends, and nothing to tell
    return Exit.DONE


def _pages(ledger: SqlLedger, environment: str, since: int) -> Iterator[_Stored]:
    while page := ledger.stored(environment, since, _PAGE):
        yield from page
        since = page[-1][0]


def _read(
    ledger: SqlLedger, environment: str, since: int, wanted: Callable[[Event], bool], most: int
) -> tuple[list[_Stored], int]:
    """The last of the entries after `since` that are wanted, and the last number of all."""
    kept: list[_Stored] = []
    last = since
    for stored in _pages(ledger, environment, since):
        last = stored[0]
        try:
            if wanted(parse(stored[2])[0]):
                kept.append(stored)
                del kept[: max(0, len(kept) - most)]
        except BadInput as error:
            _tell_no_event(last, error)
    return kept, last


def _tell_no_event(seq: int, error: BadInput) -> None:
    """One that somebody wrote there by hand, or a newer Tidegate, must not hide all others."""
    click.echo(printable(f"entry {seq} can't be read: {error.message}"), err=True)


def _wanted(event: Event, *, only: Mapping[str, str], bad: bool) -> bool:
    if bad and (event.outcome.good or event.outcome in (Outcome.STARTED, Outcome.SKIPPED)):
        return False
    return all(str(getattr(event, name)) == value for name, value in only.items())


def _show(common: Common, found: list[_Stored], *, header: bool = True) -> None:
    if common.as_json:
        for seq, hash_, body in found:
            try:
                line = json.dumps(shipped(body, hash_), ensure_ascii=False)
            except BadInput as error:
                _tell_no_event(seq, error)
                continue
            click.echo(printable_json(line))
    elif found:
        table = events_table([Entry(seq, hash_, parse(body)[0]) for seq, hash_, body in found])
        click.echo(printable("\n".join(table if header else table[1:])))
