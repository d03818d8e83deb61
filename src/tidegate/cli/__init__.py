"""The `tidegate` command: what the playbooks do, with a plan first, progress, and exit codes that mean something."""

from __future__ import annotations

import errno
import os
import signal
import sys

import click
from rich.console import Console

from ansible_collections.tidegate.delivery.plugins.module_utils import advice
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import printable
from ansible_collections.tidegate.delivery.plugins.module_utils.lasting_stream import to_nowhere
from ansible_collections.tidegate.delivery.plugins.module_utils.node.jobs_script import DETACHED
from ansible_collections.tidegate.delivery.plugins.module_utils.prctl import adopt_orphans
from tidegate.cli.asking import history, status, validate
from tidegate.cli.completion import completion
from tidegate.cli.deploying import deploy, plan, resume, rollback
from tidegate.cli.events import events
from tidegate.cli.frozen import frozen
from tidegate.cli.options import JSON_OPTION
from tidegate.cli.pools import pools
from tidegate.cli.reporting import report
from tidegate.cli.session import say_json
from tidegate.outcome import Exit, verdict_on


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="tidegate")
def tidegate() -> None:
    """Replace a running service with no downtime: in waves, tested before customers come, back when it fails.

    \b
    Exit codes: 0 done, 1 a fault of Tidegate, 2 bad usage or input, 3 failed and held,
    4 refused (nothing was moved), 5 locked by another run, 6 drift or a freeze was found (--check), 130 interrupted.
    """


_COMMANDS = (
    *(plan, deploy, rollback, resume, status, pools, frozen),
    *(history, events, report, validate, completion),
)
for _command in _COMMANDS:
    tidegate.add_command(_command)


# Where our output goes, a file for example: no fault of ours that a traceback would tell of.
_OF_A_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


def main() -> None:
    """The entry point."""
    os.environ[advice.BY_COMMAND] = "1"
    # Ours when a job started us, say by way of an agent that it restarted; none of what we start is such a job.
    os.environ.pop(DETACHED, None)
    adopt_orphans()
    sys.exit(_run())


def _run() -> int:
    # While no playbook runs there is nothing to bring to a safe point.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    try:
        code = tidegate.main(standalone_mode=False)
        return int(code or 0)
    except click.exceptions.Exit as ending:
        return ending.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _ended(Exit.INTERRUPTED, "interrupted", f"Interrupted. {advice.status()} shows how everything stands.")
    except click.ClickException as error:
        error.show()
        return _ended(Exit.USAGE, "bad_usage", error.format_message(), said=True)
    except DomainError as error:
        refused = verdict_on(error)
        return _ended(refused.exit, refused.outcome, refused.message)
    except BrokenPipeError:
        return Exit.FAULT
    except OSError as error:
        if error.errno not in _OF_A_DISK:
            raise
        return _ended(Exit.FAULT, "fault", f"what was to be said can't be written: {error.strerror}")


def _ended(code: Exit, outcome: str, message: str, *, said: bool = False) -> Exit:
    """Say it where it was asked for: whoever reads JSON gets a document whatever happened."""
    if not said:
        told = Console(stderr=True, soft_wrap=True)
        told.print(f"tidegate: {printable(message)}", style="red", markup=False, highlight=False)
    if JSON_OPTION in sys.argv[1:]:
        try:
            say_json(code, outcome, message)
            sys.stdout.flush()
        except OSError:
            to_nowhere(1)
    return code
