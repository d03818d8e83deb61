"""What every command takes: where the inventory is, how to answer, what goes to ansible-playbook."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from tidegate.cli.completion import services
from tidegate.playbook import FORKS, Playbook

F = TypeVar("F", bound=Callable[..., Any])
JSON_OPTION = "--json"
_FURTHER = "tidegate.ansible_arguments"
_SHORT = re.compile(r"-[Clt]")
_PARTS = (
    *("--limit", "--tags", "--skip-tags", "--start-at-task", "--step", "--check", "--syntax-check"),
    *("--list-tasks", "--list-tags", "--list-hosts"),
)


@dataclass(frozen=True, slots=True)
class Common:
    """The options that all commands share."""

    inventories: tuple[str, ...]
    as_json: bool
    quiet: bool
    forks: int
    arguments: tuple[str, ...]

    @property
    def repeatable(self) -> tuple[list[str], list[str], list[str]]:
        """Extra variables, vault ids and files of vault passwords among what goes to ansible-playbook."""
        parser = argparse.ArgumentParser(add_help=False, exit_on_error=False, allow_abbrev=False)
        parser.add_argument("-e", "--extra-vars", action="append", default=[])
        parser.add_argument("--vault-id", action="append", default=[])
        parser.add_argument("--vault-password-file", "--vault-pass-file", action="append", default=[])
        try:
            found, _others = parser.parse_known_args(self.arguments)
        except argparse.ArgumentError:
            # ansible-playbook says what is wrong with them.
            return [], [], []
        return found.extra_vars, found.vault_id, found.vault_password_file

    def playbook(self, name: str, *, check: bool = False, **variables: Any) -> Playbook:  # noqa: ANN401
        """A playbook with these options; variables that are None or empty are left to the playbook's defaults."""
        given = {key: value for key, value in variables.items() if value not in (None, "", ())}
        return Playbook(name, self.inventories, given, check, self.forks, self.arguments)


class PlaybookCommand(click.Command):
    """A command that runs a playbook: what follows `--` is for ansible-playbook, whatever it looks like."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Click's own, for what stands before `--`."""
        end = args.index("--") if "--" in args else len(args)
        ctx.meta[_FURTHER] = tuple(args[end + 1 :])
        for word in args[end + 1 :]:
            _require_whole(word)
        return super().parse_args(ctx, args[:end])

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Click's own, and the `--`."""
        return [*super().collect_usage_pieces(ctx), "[-- ANSIBLE_ARGS]"]


def _require_whole(word: str) -> None:
    name = word.partition("=")[0]
    # ansible-playbook takes any beginning of an option that is clear.
    if _SHORT.match(word) or (len(name) > 3 and any(part.startswith(name) for part in _PARTS)):
        raise click.UsageError(
            f"{name} would run a part of the playbook, or only show it: a deployment is run whole. "
            "Leave nodes out with --exclude NODE, look first with --dry-run"
        )


def common_options(command: F) -> F:
    """`-i`, `--json`, `--quiet`, `--forks`, `-e` and what follows `--`; the command gets them as one `Common`."""

    def collected(
        inventory: tuple[str, ...],
        as_json: bool,
        quiet: bool,
        forks: int,
        extra_vars: tuple[str, ...],
        **rest: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        words = [word for each in extra_vars for word in ("-e", each)]
        further = click.get_current_context().meta.get(_FURTHER, ())
        return command(Common(inventory, as_json, quiet, forks, (*words, *further)), **rest)

    collected.__name__, collected.__doc__ = command.__name__, command.__doc__
    collected.__click_params__ = list(getattr(command, "__click_params__", ()))  # type: ignore[attr-defined]
    wrapped: Any = collected
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]


def _existing(_context: click.Context, _parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    for source in value:
        # A list of hosts is written with a comma, as Ansible has it.
        if "," not in source and not Path(source).exists():
            raise click.BadParameter(f"there is no inventory {source!r}")
    return value


_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        *("-i", "--inventory"),
        multiple=True,
        envvar="TIDEGATE_INVENTORY",
        callback=_existing,
        type=click.Path(),
        help="The environment's inventory, as Ansible takes it [default: ansible.cfg's].",
    ),
    click.option(JSON_OPTION, "as_json", is_flag=True, help="Answer with one JSON document on standard output."),
    click.option("-q", "--quiet", is_flag=True, help="Show no progress, only how it ended."),
    click.option(
        "--forks",
        type=click.IntRange(1, 1000),
        default=FORKS,
        show_default=True,
        help="How many nodes at once; at least as many as the largest wave has.",
    ),
    click.option(
        *("-e", "--extra-vars"), multiple=True, help="Variables for ansible-playbook (key=value, JSON or @file)."
    ),
)


def named(_context: click.Context, _parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """The names that an option was told, none of them empty."""
    # A job's variable that is not set would otherwise show the pools, or repair all of them, and end with 0.
    if not all(name.strip() for name in value):
        raise click.BadParameter("the name is empty: give one, or leave the option out")
    return value


def _named_one(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """What an option was told, if it was: not empty, as a variable of a job that isn't set would be."""
    if value is not None and not value.strip():
        raise click.BadParameter("it is empty: give one, or leave the option out")
    return value


without_option = click.option(
    "--without",
    multiple=True,
    callback=named,
    metavar="LB",
    help="Go on without a load balancer whose HAProxy is down (proved on its host). Repeatable.",
)
revision_option = click.option(
    "--revision",
    callback=_named_one,
    metavar="REV",
    help="The configuration's revision that the compile servers must serve [default: what they serve].",
)
service_argument = click.argument("service", shell_complete=services)
optional_service = click.argument("service", required=False, shell_complete=services)
