"""The commands that ask: status, pools, history, validate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from tidegate.cli.options import Common, PlaybookCommand, common_options, optional_service
from tidegate.cli.session import answer, carry_out
from tidegate.outcome import Exit, Verdict, judge, judge_question


@click.command(cls=PlaybookCommand)
@optional_service
@common_options
def status(common: Common, service: str | None) -> int:
    """Show where every node is, what it serves, and who holds what."""
    return _ask(common, "status", "service_info", ("services", "locks", "ledger"), service=service)


@click.command(cls=PlaybookCommand)
@optional_service
@click.option("--leave", metavar="NODE", help="Take a node out of the service's online pool, by hand.")
@click.option("--join", metavar="NODE", help="Verify a node that was taken out by hand, and bring it back.")
@common_options
def pools(common: Common, service: str | None, leave: str | None, join: str | None) -> int:
    """Show the pools on every load balancer, or move one node by hand."""
    if leave and join:
        raise click.UsageError("--leave and --join exclude each other")
    if not (leave or join):
        return _ask(common, "pools", "service_info", ("pools",), service=service)
    if not service:
        raise click.UsageError("name the service whose node shall move: tidegate pools SERVICE --leave NODE")
    moved: dict[str, Any] = {"service": service, "node": leave or join, "state": "maintenance" if leave else "online"}
    run = carry_out(common.playbook("pool", check=False, **moved), common, judge, f"moving {leave or join}")
    return answer(common, run.verdict, {"command": "pools", **moved}, [])


@click.command(cls=PlaybookCommand)
@optional_service
@click.option("--deployment", metavar="ID", help="One deployment with all its events.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many deployments.")
@common_options
def history(common: Common, service: str | None, deployment: str | None, limit: int) -> int:
    """Show past deployments, the newest first."""
    return _ask(
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


def _ask(common: Common, name: str, action: str, keys: tuple[str, ...], **variables: Any) -> int:  # noqa: ANN401
    run = carry_out(common.playbook(name, **variables), common, judge_question, f"asking for {name}")
    told = run.result(action)
    return answer(common, run.verdict, {"command": name, **{key: told.get(key) for key in keys}}, _table(told))


def _table(told: Mapping[str, Any]) -> list[str]:
    return [str(line) for line in told.get("table", ())]
