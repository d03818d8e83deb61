"""The commands `events tail`, `events flush` and `events schema`."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import click
from rich.console import Console

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import printable, printable_json
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step, parse
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import Entry
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.past import events_table
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.shipped import shipped, shipped_schema
from tidegate.cli.options import Common, PlaybookCommand, common_options
from tidegate.cli.session import answer, carry_out
from tidegate.ledger import SqlLedger
from tidegate.outcome import Exit, Verdict, judge_question
from tidegate.shipping.configured import settings
from tidegate.shipping.ledgers import exists
from tidegate.shipping.shipper import Shipper, make_sink, taken
from tidegate.shipping.spool import require_folder
from tidegate.shipping.worker import Standing
from tidegate.store import PREFIX, Store

_PAGE = 1000
_FOLLOW_S = 0.5
_LOCK_S = 5.0
_Stored = tuple[int, str, str]

_LEDGER = click.option("--ledger", metavar="URL", help="The ledger [default: the inventory's tidegate_ledger].")
_ENVIRONMENT = click.option(
    "--environment", metavar="NAME", help="Whose events [default: the inventory's tidegate_environment]."
)


@click.group()
def events() -> None:
    """Look at the ledger's events, and ship them."""


@events.command(cls=PlaybookCommand)
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until interrupted.")
@click.option("-n", "--lines", type=click.IntRange(0, 100_000), default=20, show_default=True, help="How many.")
@click.option("--service", metavar="SERVICE", help="Of this service only.")
@click.option("--deployment", metavar="ID", help="Of this deployment only.")
@click.option("--step", type=click.Choice([each.value for each in Step]), help="Of this step only.")
@click.option("--bad", is_flag=True, help="Only what failed, was refused, held, stopped or is not sure.")
@_LEDGER
@_ENVIRONMENT
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
    found = _ledger(common, ledger, environment)
    if isinstance(found, int):
        return found
    url, name = found
    store = SqlLedger(Store(_existing(url)))
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


@events.command(cls=PlaybookCommand)
@click.option("--spool-only", is_flag=True, help="Only what playbooks left that have no ledger.")
@click.option("--wait", type=click.FloatRange(1, 86_400), default=300.0, show_default=True, help="Seconds at most.")
@_LEDGER
@_ENVIRONMENT
@common_options
def flush(common: Common, *, wait: float, spool_only: bool, ledger: str | None, environment: str | None) -> int:
    """Ship what has not arrived yet: the ledger's events and the spool's, to where ansible.cfg says.

    Ends with 0 when all has arrived, 4 when something is left or was not taken, 5 while a playbook's own process ships.
    What was not taken is named again each time, until its file in the spool's set-aside/ is removed.
    """
    found = None if spool_only else _ledger(common, ledger, environment)
    if isinstance(found, int):
        return found
    sinks, folder = settings()
    spool = require_folder(folder)
    with taken(spool, _LOCK_S):
        shipper = Shipper(spool)
        for sink in sinks:
            shipper.add_sink(make_sink(sink, spool))
        if found is not None:
            shipper.add_ledger(_existing(found[0]), found[1])
        console = Console(stderr=True, highlight=False)
        with console.status("shipping", spinner="dots") if console.is_terminal and not common.quiet else nullcontext():
            done = shipper.finish(wait)
    standing, aside = shipper.standing(), shipper.set_aside()
    document = {"command": "events flush", "sinks": [each.as_dict() for each in standing], "set_aside": aside}
    verdict = _verdict(standing, done, aside, shipper.aside_files())
    return answer(common, verdict, document, [f"{id_}: {why}" for id_, why in aside.items()])


@events.command()
def schema() -> int:
    """Print the JSON schema of an event as it is shipped."""
    click.echo(json.dumps(shipped_schema(), indent=2))
    return Exit.DONE


def _verdict(standing: Sequence[Standing], done: bool, aside: Collection[str], files: Sequence[Path]) -> Verdict:
    told = "; ".join(
        f"{each.sink}: {each.shipped} shipped"
        + (f", {each.set_aside} not taken" if each.set_aside else "")
        + (f", {each.why}" if each.why else "")
        for each in standing
    )
    if done and aside:
        # A playbook's process may have set it aside, and its warning is long gone: told until somebody has seen to it.
        said = f"All has arrived but what was not taken, which is named. {told}"
        again = f". This is told until you remove {', '.join(map(str, files))}" if files else ""
        return Verdict(Exit.REFUSED, "set_aside", said + again)
    if done:
        return Verdict(Exit.DONE, "shipped", told)
    if any(each.refused for each in standing):
        return Verdict(Exit.REFUSED, "refused", f"Nothing more can be shipped until this is mended. {told}")
    return Verdict(Exit.REFUSED, "left", f"Not all has arrived, and what is left is kept. {told}")


def _ledger(common: Common, url: str | None, environment: str | None) -> tuple[str, str] | int:
    """Where to read; an exit code when the inventory doesn't tell."""
    if environment and url:
        return url, _with_events(url, environment)
    # A process that ships for it would have the spool, and what is wrong would be told to nobody.
    os.environ["TIDEGATE_SHIP"] = "false"
    run = carry_out(common.playbook("history", limit=1), common, judge_question, "asking for the ledger")
    told = run.result("deployment_info")
    if run.verdict.exit is not Exit.DONE or not told.get("ledger"):
        return answer(common, run.verdict, {"command": "events"}, [])
    found = url or str(told["ledger"])
    return found, _with_events(found, environment) if environment else str(told["environment"])


def _with_events(url: str, environment: str) -> str:
    """An environment that somebody named: a typing error has none."""
    if exists(url) and not SqlLedger(Store(url)).stored(environment, 0, 1):
        raise BadInput(f"the ledger has no event of environment {environment[:60]!r}", where="--environment")
    return environment


def _existing(url: str) -> str:
    if not exists(url):
        raise BadInput("there is no ledger", where=url.removeprefix(PREFIX), remedy="The first deployment makes it")
    return url


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
