"""The commands `tidegate events …`."""

from __future__ import annotations

import json

import click

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.shipped import shipped_schema
from tidegate.cli.events.flushing import flush
from tidegate.cli.events.tailing import tail
from tidegate.outcome import Exit


@click.group()
def events() -> None:
    """Look at the ledger's events, and ship them."""


@events.command()
def schema() -> int:
    """Print the JSON schema of an event as it is shipped."""
    click.echo(json.dumps(shipped_schema(), indent=2))
    return Exit.DONE


for _command in (tail, flush):
    events.add_command(_command)
