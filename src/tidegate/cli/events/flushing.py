"""The command `events flush`: ships what is left, and says what was not taken."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import nullcontext
from pathlib import Path

import click
from rich.console import Console

from tidegate.cli.events.choosing import ENVIRONMENT, LEDGER, chosen_ledger, existing
from tidegate.cli.options import Common, PlaybookCommand, common_options
from tidegate.cli.session import answer
from tidegate.outcome import Exit, Verdict
from tidegate.shipping.configured import settings
from tidegate.shipping.shipper import Shipper, make_sink, taken
from tidegate.shipping.spool import require_folder
from tidegate.shipping.worker import Standing

_LOCK_S = 5.0


@click.command(cls=PlaybookCommand)
@click.option("--spool-only", is_flag=True, help="Only what playbooks left that have no ledger.")
@click.option("--wait", type=click.FloatRange(1, 86_400), default=300.0, show_default=True, help="Seconds at most.")
@LEDGER
@ENVIRONMENT
@common_options
def flush(common: Common, *, wait: float, spool_only: bool, ledger: str | None, environment: str | None) -> int:
    """Ship what has not arrived yet: the ledger's events and the spool's, to where ansible.cfg says.

    Ends with 0 when all has arrived, 4 when something is left or was not taken, 5 while a playbook's own process ships.
    What was not taken is named again each time, until its file in the spool's set-aside/ is removed.
    """
    found = None if spool_only else chosen_ledger(common, ledger, environment)
    if isinstance(found, int):
        return found
    sinks, folder = settings()
    spool = require_folder(folder)
    with taken(spool, _LOCK_S):
        shipper = Shipper(spool)
        for sink in sinks:
            shipper.add_sink(make_sink(sink, spool))
        if found is not None:
            shipper.add_ledger(existing(found[0]), found[1])
        console = Console(stderr=True, highlight=False)
        with console.status("shipping", spinner="dots") if console.is_terminal and not common.quiet else nullcontext():
            done = shipper.finish(wait)
    standing, aside = shipper.standing(), shipper.set_aside()
    document = {"command": "events flush", "sinks": [each.as_dict() for each in standing], "set_aside": aside}
    verdict = _verdict(standing, done, aside, shipper.aside_files())
    return answer(common, verdict, document, [f"{id_}: {why}" for id_, why in aside.items()])


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
