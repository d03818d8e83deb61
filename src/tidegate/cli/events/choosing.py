"""Which ledger, and whose events: as they are named, or as the inventory has them."""

from __future__ import annotations

import os

import click

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from tidegate.cli.options import Common
from tidegate.cli.session import answer, carry_out
from tidegate.ledger import SqlLedger
from tidegate.outcome import Exit, judge_question
from tidegate.shipping.ledgers import exists
from tidegate.store import PREFIX, Store

LEDGER = click.option("--ledger", metavar="URL", help="The ledger [default: the inventory's tidegate_ledger].")
ENVIRONMENT = click.option(
    "--environment", metavar="NAME", help="Whose events [default: the inventory's tidegate_environment]."
)


def chosen_ledger(common: Common, url: str | None, environment: str | None) -> tuple[str, str] | int:
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


def existing(url: str) -> str:
    """The URL of a ledger that is there. Raises BadInput when it is not."""
    if not exists(url):
        raise BadInput("there is no ledger", where=url.removeprefix(PREFIX), remedy="The first deployment makes it")
    return url
