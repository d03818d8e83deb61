"""The command `frozen`: where Puppet is disabled and by whom, and thawing what dead deployments left so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from tidegate.cli.asking import tell
from tidegate.cli.deploying import DRY_RUN, YES, move
from tidegate.cli.options import Common, PlaybookCommand, common_options, named, optional_service
from tidegate.cli.session import carry_out
from tidegate.outcome import Exit, Verdict, judge_question


@click.command(cls=PlaybookCommand)
@optional_service
@click.option("--thaw", is_flag=True, help="End the freezes that dead deployments left.")
@click.option(
    "--node",
    "nodes",
    multiple=True,
    metavar="NODE",
    callback=named,
    help="Thaw this node only, also after a deployment that the ledger doesn't know. Repeatable.",
)
@click.option("--check", is_flag=True, help="End with exit code 6 when a dead deployment left something frozen.")
@YES
@DRY_RUN
@common_options
def frozen(
    common: Common,
    service: str | None,
    nodes: tuple[str, ...],
    *,
    thaw: bool,
    check: bool,
    yes: bool,
    dry_run: bool,
) -> int:
    """Show where Puppet is disabled and by whom, and thaw what dead deployments left so.

    --thaw asks before it begins. What somebody else froze stays.
    """
    if thaw and not service:
        raise click.UsageError("name the service: tidegate frozen SERVICE --thaw")
    if thaw and check:
        raise click.UsageError("--check tells whether something is left, and thaws nothing: give it alone")
    if not thaw and (nodes or yes or dry_run):
        raise click.UsageError("--node, --yes and --dry-run go with --thaw")
    if thaw:
        return move(common, "thaw", {"service": service, "nodes": list(nodes)}, yes=yes, dry_run=dry_run)
    run = carry_out(common.playbook("frozen", service=service), common, judge_question, "asking for freezes")
    told, verdict = run.result("puppet_freeze_info"), run.verdict
    if check and verdict.exit is Exit.DONE:
        verdict = _checked(told) or verdict
    return tell(common, "frozen", verdict, told, ("frozen",))


def _checked(told: Mapping[str, Any]) -> Verdict | None:
    """The verdict on what is left frozen, also when nobody can tell; None when there is nothing."""
    if told.get("msg"):
        return Verdict(Exit.DRIFT, "left_frozen", str(told["msg"]))
    silent = [f"{each['node']}: {each['why']}" for each in told.get("frozen", ()) if each["whose"] == "silent"]
    if silent:
        return Verdict(Exit.REFUSED, "refused", f"nobody can tell whether something is left: {'; '.join(silent)}")
    return None
