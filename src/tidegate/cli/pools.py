"""The command `pools`: what the load balancers show, drift, and moving nodes by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from tidegate.cli.asking import tell
from tidegate.cli.deploying import DRY_RUN, YES, move
from tidegate.cli.options import Common, PlaybookCommand, common_options, named, optional_service, without_option
from tidegate.cli.session import answer, carry_out
from tidegate.outcome import Exit, Verdict, judge, judge_question

_KEYS = ("pools", "drift", "not_judged")


def _one(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> str | None:
    """The node of an option; told twice, one of the two would be forgotten without a word."""
    if len(value) > 1:
        raise click.UsageError(f"--{parameter.name} moves one node: run it once for each of {', '.join(value)}")
    return next(iter(named(context, parameter, value)), None)


@click.command(cls=PlaybookCommand)
@optional_service
@click.option(
    "--leave",
    metavar="NODE",
    multiple=True,
    callback=_one,
    help="Take a node out of the service's online pool, by hand.",
)
@click.option(
    "--join",
    metavar="NODE",
    multiple=True,
    callback=_one,
    help="Verify a node that was taken out by hand, and bring it back.",
)
@click.option(
    "--adopt",
    metavar="NODE",
    multiple=True,
    callback=_one,
    help="Take over a node that somebody else took out, on your word.",
)
@click.option("--repair", is_flag=True, help="Take out again what Tidegate took out and what came back.")
@click.option(
    "--node", "nodes", multiple=True, metavar="NODE", callback=named, help="Repair this node only. Repeatable."
)
@click.option("--check", is_flag=True, help="End with exit code 6 when there is drift.")
@without_option
@YES
@DRY_RUN
@common_options
def pools(
    common: Common,
    service: str | None,
    leave: str | None,
    join: str | None,
    adopt: str | None,
    nodes: tuple[str, ...],
    without: tuple[str, ...],
    *,
    repair: bool,
    check: bool,
    yes: bool,
    dry_run: bool,
) -> int:
    """Show the pools on every load balancer and where they drifted from the ledger, repair that, or move a node.

    --repair and --adopt ask before they begin.
    """
    asked = {"--leave": leave, "--join": join, "--adopt": adopt, "--repair": repair}
    wanted = {option: given for option, given in asked.items() if given}
    _require_sense(wanted, service, nodes, repair=repair, check=check, asks=yes or dry_run, asked=adopt or repair)
    if without and not (leave or join or adopt):
        raise click.UsageError("--without goes with --leave, --join and --adopt")
    left_out = {"without": list(without)} if without else {}
    if repair:
        return move(common, "repair", {"service": service, "nodes": list(nodes)}, yes=yes, dry_run=dry_run)
    if adopt:
        taken = {"service": service, "node": adopt, "state": "adopted", **left_out}
        return move(common, "pool", taken, yes=yes, dry_run=dry_run)
    if not (leave or join):
        return _show(common, service, check=check)
    moved: dict[str, Any] = {"service": service, "node": leave or join, "state": "maintenance" if leave else "online"}
    moved |= left_out
    run = carry_out(common.playbook("pool", check=False, **moved), common, judge, f"moving {leave or join}")
    return answer(common, run.verdict, {"command": "pools", **moved}, [])


def _require_sense(
    wanted: Mapping[str, str | bool],
    service: str | None,
    nodes: tuple[str, ...],
    *,
    repair: bool,
    check: bool,
    asks: bool,
    asked: object,
) -> None:
    if len(wanted) > 1:
        raise click.UsageError("--leave, --join, --adopt and --repair exclude each other")
    if wanted and not service:
        option, given = next(iter(wanted.items()))
        example = option if given is True else f"{option} {given}"
        raise click.UsageError(f"name the service: tidegate pools SERVICE {example}")
    if nodes and not repair:
        raise click.UsageError("--node says which nodes --repair looks at")
    if check and wanted:
        raise click.UsageError("--check tells whether there is drift, and moves nothing: give it alone")
    if asks and not asked:
        raise click.UsageError("--yes and --dry-run go with --repair and --adopt")


def _show(common: Common, service: str | None, *, check: bool) -> int:
    run = carry_out(common.playbook("pools", service=service), common, judge_question, "asking for pools")
    told, verdict = run.result("service_info"), run.verdict
    if check and verdict.exit is Exit.DONE:
        verdict = _checked(told) or verdict
    return tell(common, "pools", verdict, told, _KEYS)


def _checked(told: Mapping[str, Any]) -> Verdict | None:
    """The verdict on drift, also when nobody can tell; None when there is none."""
    if told.get("drift"):
        return Verdict(Exit.DRIFT, "drift", str(told.get("msg", "")))
    silent = dict.fromkeys(str(pool["problem"]) for pool in told.get("pools", ()) if pool["problem"])
    if silent:
        return Verdict(Exit.REFUSED, "refused", f"nobody can tell whether there is drift: {'; '.join(silent)}")
    return None
