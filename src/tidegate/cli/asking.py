"""The commands that ask: status, history, validate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from tidegate.cli.options import Common, PlaybookCommand, common_options, optional_service
from tidegate.cli.session import answer, carry_out
from tidegate.outcome import Exit, Verdict, judge_question


@click.command(cls=PlaybookCommand)
@optional_service
@common_options
def status(common: Common, service: str | None) -> int:
    """Show where every node is, what it serves, and who holds what."""
    return ask(common, "status", "service_info", ("services", "locks", "ledger", "drift"), service=service)


@click.command(cls=PlaybookCommand)
@optional_service
@click.option("--deployment", metavar="ID", help="One deployment with all its events.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many deployments.")
@common_options
def history(common: Common, service: str | None, deployment: str | None, limit: int) -> int:
    """Show past deployments, the newest first."""
    return ask(
        common, "history", "deployment_info", ("deployments",), service=service, deployment=deployment, limit=limit
    )


@click.command(cls=PlaybookCommand)
@common_options
def validate(common: Common) -> int:
    """Check every service's descriptor, in all environments and against the inventory. Connects to nothing."""
    run = carry_out(common.playbook("validate"), common, judge_question, "validating the catalog")
    told = run.result("catalog_info")
    problems = list(told.get("problems", ()))
    verdict = run.verdict
    if problems:
        verdict = Verdict(Exit.USAGE, "invalid", str(told.get("msg", "")))
    document = {"command": "validate", "services": told.get("services", []), "problems": problems}
    return answer(common, verdict, document, _table(told))


def ask(common: Common, name: str, action: str, keys: tuple[str, ...], **variables: Any) -> int:  # noqa: ANN401
    """Run a playbook that only asks, and answer with its table or these keys of what the action told."""
    run = carry_out(common.playbook(name, **variables), common, judge_question, f"asking for {name}")
    return tell(common, name, run.verdict, run.result(action), keys)


def tell(common: Common, name: str, verdict: Verdict, told: Mapping[str, Any], keys: tuple[str, ...]) -> int:
    """Answer with an action's table, or with these keys of what it told."""
    return answer(common, verdict, {"command": name, **{key: told.get(key) for key in keys}}, _table(told))


def _table(told: Mapping[str, Any]) -> list[str]:
    return [str(line) for line in told.get("table", ())]
