"""The commands that move nodes: plan, deploy, rollback, resume."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from tidegate.cli.options import (
    Common,
    PlaybookCommand,
    common_options,
    named,
    revision_option,
    service_argument,
    without_option,
)
from tidegate.cli.session import Run, answer, carry_out
from tidegate.outcome import Exit, judge
from tidegate.playbook import Playbook

_EXCLUDE = click.option(
    "--exclude",
    multiple=True,
    callback=named,
    metavar="NODE",
    help="Leave a node as it is (pinned to its release). Repeatable.",
)
YES = click.option("-y", "--yes", is_flag=True, help="Don't ask; for Jenkins.")
DRY_RUN = click.option("-n", "--dry-run", is_flag=True, help="Show the plan and change nothing.")


@click.command(cls=PlaybookCommand)
@service_argument
@click.argument("version")
@_EXCLUDE
@without_option
@revision_option
@common_options
def plan(
    common: Common,
    service: str,
    version: str,
    exclude: tuple[str, ...],
    without: tuple[str, ...],
    revision: str | None,
) -> int:
    """Show what a deployment would do: waves, capacity, each node's way. Changes nothing."""
    given = {"service": service, "version": version, "revision": revision, **_left_out(exclude, without)}
    return _show_plan(common, "deploy", **given)


@click.command(cls=PlaybookCommand)
@service_argument
@click.argument("version")
@_EXCLUDE
@without_option
@revision_option
@YES
@DRY_RUN
@common_options
def deploy(
    common: Common,
    service: str,
    version: str,
    exclude: tuple[str, ...],
    without: tuple[str, ...],
    revision: str | None,
    yes: bool,
    dry_run: bool,
) -> int:
    """Bring a version to all nodes of a service, wave by wave. Run again after anything, it goes on."""
    given = {"service": service, "version": version, "revision": revision, **_left_out(exclude, without)}
    return move(common, "deploy", given, yes=yes, dry_run=dry_run)


@click.command(cls=PlaybookCommand)
@service_argument
@_EXCLUDE
@without_option
@revision_option
@YES
@DRY_RUN
@common_options
def rollback(
    common: Common,
    service: str,
    exclude: tuple[str, ...],
    without: tuple[str, ...],
    revision: str | None,
    yes: bool,
    dry_run: bool,
) -> int:
    """Go back to what was served before the open, or else the last, deployment."""
    given = {"service": service, "revision": revision, **_left_out(exclude, without)}
    return move(common, "rollback", given, yes=yes, dry_run=dry_run)


@click.command(cls=PlaybookCommand)
@service_argument
@YES
@DRY_RUN
@common_options
def resume(common: Common, service: str, yes: bool, dry_run: bool) -> int:
    """Go on with the service's open deployment, as it was begun."""
    return move(common, "resume", {"service": service}, yes=yes, dry_run=dry_run)


def _left_out(exclude: tuple[str, ...], without: tuple[str, ...]) -> dict[str, Any]:
    return {"exclude": list(exclude), **({"without": list(without)} if without else {})}


def move(common: Common, name: str, given: dict[str, Any], *, yes: bool, dry_run: bool) -> int:
    """Show the plan, ask, and run what was agreed to; `yes` doesn't ask, `dry_run` only shows."""
    if dry_run:
        return _show_plan(common, name, **given)
    confirmed = ""
    if not yes:
        if not _somebody_there():
            raise click.UsageError("nobody can be asked here: say --yes, or look first with --dry-run")
        run = _planned(common, name, given)
        if run.verdict.exit is not Exit.DONE or run.interrupted or run.verdict.outcome == "nothing_to_do":
            return _answer_plan(common, name, run)
        confirmed = _confirm(run)
    beginning = f"{name} {given['service']} {given.get('version', '')}".rstrip()
    playbook = common.playbook(name, **given, confirmed=confirmed)
    run = carry_out(playbook, common, judge, f"{beginning}: planning", with_plan=yes)
    return _answer_move(common, name, run)


def _show_plan(common: Common, name: str, **given: Any) -> int:  # noqa: ANN401
    # What is there right now, also while a service that shares nodes is being deployed.
    return _answer_plan(common, "plan", _planned(common, name, {**given, "wait": "0s"}))


def _planned(common: Common, name: str, given: Mapping[str, Any]) -> Run:
    playbook: Playbook = common.playbook(name, check=True, **given)
    return carry_out(playbook, common, judge, f"planning {name} {given['service']}")


def _confirm(run: Run) -> str:
    """Ask; the digest of what was agreed to, so that another plan than this one is refused."""
    for line in _plan_lines(run):
        click.echo(line, err=True)
    click.confirm("Go on?", abort=True, err=True)
    return str(run.result("plan")["plan"].get("decisions_sha256", ""))


def _somebody_there() -> bool:
    return sys.stdin.isatty()


def _plan_lines(run: Run) -> list[str]:
    return [str(line) for line in run.result("plan").get("table", [])]


def _answer_plan(common: Common, name: str, run: Run) -> int:
    return answer(common, run.verdict, {"command": name, "plan": run.result("plan").get("plan")}, _plan_lines(run))


def _answer_move(common: Common, name: str, run: Run) -> int:
    planned, ended = run.result("plan"), run.result("deployment")
    facts = planned.get("ansible_facts", {}).get("tidegate_plan", {})
    document = {
        "command": name,
        "deployment": facts.get("deployment", ""),
        "folder": ended.get("folder") or planned.get("folder", ""),
        "plan": planned.get("plan"),
        "summary": ended.get("summary"),
    }
    return answer(common, run.verdict, document, _closing_lines(document, quiet=common.quiet))


def _closing_lines(document: Mapping[str, Any], *, quiet: bool) -> list[str]:
    if quiet or not document["folder"]:
        return []
    return [f"folder: {document['folder']}"]
