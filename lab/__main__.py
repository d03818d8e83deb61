"""`python -m lab up|down|status`: the lab's command line."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from lab import status
from lab.down import down
from lab.layout import DEFAULT_NET, DEFAULT_STATE, NET_VARIABLE, STATE_VARIABLE, Layout
from lab.progress import Progress
from lab.record import remembered_net
from lab.up import up

INTERRUPTED = 130


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m lab", description="Real servers on one machine's loopback network.")
    commands = top.add_subparsers(dest="command", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--state", help=f"state folder (default: ${STATE_VARIABLE}, else {DEFAULT_STATE})")
    common.add_argument("--net", help=f"127.<n> (default: the running lab's, ${NET_VARIABLE}, else {DEFAULT_NET})")
    commands.add_parser("up", parents=[common], help="start what does not run, wait until all is ready")
    ending = commands.add_parser("down", parents=[common], help="end every process of the lab")
    ending.add_argument("--purge", action="store_true", help="remove the state folder as well")
    showing = commands.add_parser("status", parents=[common], help="show what runs; exit 0 only if all is up")
    showing.add_argument("--json", action="store_true", help="print one JSON object")
    return top


def choose_layout(net: str | None, state: str | None) -> Layout:
    """As given; else the network is that of the environment, of the lab in the state folder, or the default."""
    folder = Layout.of(net, state).state
    return Layout.of(net or os.environ.get(NET_VARIABLE) or remembered_net(folder), folder)


def run(arguments: argparse.Namespace) -> int:
    """Carry out one command. The exit code; raises DomainError."""
    layout = choose_layout(arguments.net, arguments.state)
    if arguments.command == "status":
        return show_status(layout, as_json=arguments.json)
    say = Progress()
    if arguments.command == "up":
        up(layout, say)
        say(f"the lab is up; for Ansible: {exports(layout)}ansible-playbook -i inventories/lab …")
    else:
        down(layout, say, purge=arguments.purge)
    return 0


def exports(layout: Layout) -> str:
    """What must stand before a command that shall mean this lab; nothing for the default one."""
    values = ((NET_VARIABLE, layout.net, DEFAULT_NET), (STATE_VARIABLE, layout.state, Path(DEFAULT_STATE)))
    return "".join(f"{name}={value} " for name, value, default in values if value != default)


def show_status(layout: Layout, *, as_json: bool) -> int:
    found = status.report(layout)
    print(json.dumps(found.as_json(), indent=2) if as_json else status.table(found))
    return 0 if found.is_up else 1


def main(argv: Sequence[str] | None = None) -> int:
    try:
        return run(parser().parse_args(argv))
    except DomainError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        where = error.filename or "this machine"
        print(f"lab: {error.strerror or error} ({where}). Check rights, free space and limits there.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted; `up` goes on from here, `down` ends what runs", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
