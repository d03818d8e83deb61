"""The command `frozen`: where Puppet is disabled and Nagios is silent, and ending what dead deployments left so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from tidegate.cli.asking import tell
from tidegate.cli.deploying import DRY_RUN, YES, move
from tidegate.cli.options import Common, PlaybookCommand, common_options, named, optional_service
from tidegate.cli.session import Run, carry_out
from tidegate.outcome import Exit, Verdict, judge_question


@click.command(cls=PlaybookCommand)
@optional_service
@click.option("--thaw", is_flag=True, help="End the freezes and downtimes that dead deployments left.")
@click.option(
    "--node",
    "nodes",
    multiple=True,
    metavar="NODE",
    callback=named,
    help="Thaw this node only, also after a deployment that the ledger doesn't know. Repeatable.",
)
@click.option("--check", is_flag=True, help="End with exit code 6 when a dead deployment left something.")
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
    """Show where Puppet is disabled and by whom, what is in downtime in Nagios, and end what dead deployments left so.

    Also where a dead deployment left Puppet the right to change a service: its next deployment takes that back.
    --thaw asks before it begins. What is somebody else's stays.
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
    told, verdict = _both(run), run.verdict
    if check and verdict.exit is Exit.DONE:
        verdict = _checked(told) or verdict
    return tell(common, "frozen", verdict, told, ("frozen", "open", "downtimes", "problems"))


def _both(run: Run) -> dict[str, Any]:
    """What was told of freezes and of downtimes; a service without a Nagios has none."""
    freezes, downtimes = run.result("puppet_freeze_info"), run.result("nagios_downtime_info")
    return {
        "left": {"left_frozen": str(freezes.get("msg") or ""), "left_in_downtime": str(downtimes.get("msg") or "")},
        "frozen": freezes.get("frozen"),
        "open": freezes.get("open"),
        "downtimes": downtimes.get("downtimes"),
        # Both look at the same descriptors.
        "problems": list(dict.fromkeys([*freezes.get("problems", ()), *downtimes.get("problems", ())])),
        "table": [*freezes.get("table", ()), *downtimes.get("table", ())],
    }


def _checked(told: Mapping[str, Any]) -> Verdict | None:
    """The verdict on what is left, also when nobody can tell; None when there is nothing."""
    left = {outcome: message for outcome, message in told["left"].items() if message}
    if left:
        return Verdict(Exit.DRIFT, next(iter(left)), "; ".join(left.values()))
    # The nodes of a service whose descriptor can't be read are not asked.
    silent = [*told["problems"]] + [
        f"{each['node'] or each.get('where') or each.get('server')}: {each['why']}"
        for key in ("frozen", "open", "downtimes")
        for each in told[key] or ()
        if each["whose"] == "silent"
    ]
    if silent:
        return Verdict(Exit.REFUSED, "refused", f"nobody can tell whether something is left: {'; '.join(silent)}")
    return None
