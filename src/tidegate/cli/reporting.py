"""The command `report`: one HTML file that tells a deployment."""

from __future__ import annotations

from pathlib import Path

import click

from tidegate.cli.asking import ask
from tidegate.cli.completion import services
from tidegate.cli.options import Common, PlaybookCommand, common_options


@click.command(cls=PlaybookCommand)
@click.argument("deployment", metavar="DEPLOYMENT|SERVICE", shell_complete=services)
@click.option(
    *("-o", "--output"),
    type=click.Path(dir_okay=False),
    help="Where the file goes [default: report.html in the deployment's folder].",
)
@common_options
def report(common: Common, deployment: str, output: str | None) -> int:
    """Make a deployment's report anew from the ledger: one HTML file. Of a service, its newest deployment's.

    Every deployment makes its own when it is held, closed or superseded.
    """
    if not deployment.strip():
        raise click.UsageError("the name is empty: give a deployment's id or a service")
    if output is not None and not output.strip():
        raise click.UsageError("--output is empty: give a file, or leave the option out")
    dest = str(Path(output).absolute()) if output else None
    return ask(common, "report", "deployment_report", ("deployment", "path"), of=deployment, dest=dest)
