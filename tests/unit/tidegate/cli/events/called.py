"""`tidegate events` in the test's own process."""

from __future__ import annotations

from click.testing import CliRunner, Result

from tidegate.cli import tidegate


def in_process(*arguments: str) -> Result:
    return CliRunner().invoke(tidegate, ["events", *arguments], standalone_mode=False)
