"""Completion for shells: the commands and options by click, services by the descriptors that are at hand."""

from __future__ import annotations

import os
from pathlib import Path

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")
_VARIABLE = "_TIDEGATE_COMPLETE"


def services(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The services that begin so: the descriptors in $TIDEGATE_SERVICES, by default those in ./services."""
    folder = Path(os.environ.get("TIDEGATE_SERVICES", "services"))
    names = (path.stem for path in folder.glob("*.y*ml")) if folder.is_dir() else ()
    return sorted(name for name in names if name.startswith(incomplete))


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script for a shell.

    \b
    bash:  source <(tidegate completion bash)
    zsh:   source <(tidegate completion zsh)
    fish:  tidegate completion fish | source
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.ClickException(f"{shell} is unknown")
    root = context.find_root().command
    click.echo(kind(root, {}, "tidegate", _VARIABLE).source())
