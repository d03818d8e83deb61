# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The common value where it lives: asking for it to be raised, and what nodes would get if they had no pin."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, DomainError
from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import excerpt
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Node
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.hiera import Scalar

# Of one key on one server: a Puppet process each, about two seconds of processor time.
LOOKUP_TIMEOUT = 120.0
COMMAND_TIMEOUT = 120.0
_NO_PUPPET = 41
_NOTHING = "tidegate: no such value"
_MOST_TOLD = 3
# Of a merge request with its whole query; an event keeps twice that.
_LONGEST_ANSWER = 1000

# $1 Puppet's confdir or "", $2 environment, $3 the terminus of facts, $4 certname, $5 what is told for a value that
# isn't there, then the keys. The global layer, in which the pins are, is replaced by an empty one: what is told is
# what the environment's own data say. puppet-lookup(8): --hiera_config, --facts_terminus, --default.
_LOOK_UP = rf"""
PATH=$PATH:/opt/puppetlabs/bin
command -v puppet >/dev/null || exit {_NO_PUPPET}
confdir=$1 environment=$2 facts=$3 node=$4 nothing=$5; shift 5
empty=$(mktemp) || exit; trap 'rm -f "$empty"' EXIT
printf 'version: 5\nhierarchy: []\n' >"$empty"
for key; do
  told=$(puppet lookup ${{confdir:+--confdir "$confdir"}} --environment "$environment" --facts_terminus "$facts" \
    --node "$node" --hiera_config "$empty" --render-as json --default "$nothing" "$key") || exit
  printf '%s' "$told" | base64 -w 0; echo
done
"""


class NotServed(DomainError):
    """The compile servers don't serve the raised value yet: pins stay."""

    reason = "not_served"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How a compile server is asked: its confdir (empty for Puppet's own), where it keeps its nodes' facts."""

    confdir: str = ""
    facts: str = "json"


def look_up(server: Node, asked: Asked, certname: str, environment: str, keys: Sequence[str]) -> dict[str, Any]:
    """By key, what this server would look up for a node without a pin; a key that is nowhere is missing.

    Raises DomainError when it can't be looked up, as for a node whose facts the server doesn't have.
    """
    arguments = (asked.confdir, environment, asked.facts, certname, _NOTHING, *keys)
    done = server.sh(_LOOK_UP, *arguments, timeout=LOOKUP_TIMEOUT * len(keys))
    if done.rc == _NO_PUPPET:
        raise BadInput(
            "there is no puppet on the PATH or in /opt/puppetlabs/bin",
            where=server.name,
            remedy="Install the Puppet agent's package there: its `puppet lookup` is asked",
        )
    told = done.stdout.split()
    if done.rc != 0 or len(told) != len(keys):
        said = " ".join(done.stderr.decode(errors="backslashreplace").split())[-300:] or f"exit code {done.rc}"
        raise DomainError(
            f"can't look up the values of {certname}: {said}",
            where=server.name,
            remedy="Run `puppet lookup --node` there; tidegate_puppet_facts says where that server keeps facts",
        )
    try:
        values = {key: json.loads(b64decode(line)) for key, line in zip(keys, told, strict=True)}
    except (ValueError, RecursionError):
        raise DomainError(
            f"puppet lookup for {certname} answered no JSON: {excerpt(done.stdout, 200)}",
            where=server.name,
            remedy="Run `puppet lookup --render-as json` there",
        ) from None
    return {key: value for key, value in values.items() if value != _NOTHING}


def differing(where: str, found: Mapping[str, Any], wanted: Mapping[str, Scalar]) -> list[str]:
    """What of it is not as wanted, a sentence each."""
    return [
        f"{where}: {key} is {found.get(key, 'nowhere')}, not {value}"
        for key, value in wanted.items()
        if key not in found or str(found[key]) != str(value)
    ]


def shadowing(where: str, common: Mapping[str, Any], wanted: Mapping[str, Scalar]) -> list[str]:
    """Values that stand in our own layer's common file, above what is merged, and differ from it."""
    return [
        f"{where}: {key} is {common[key]} above it; take it out of that file"
        for key, value in wanted.items()
        if key in common and str(common[key]) != str(value)
    ]


def told(differences: Sequence[str]) -> str:
    """The first few of them, as one sentence."""
    more = f" (and {len(differences) - _MOST_TOLD} more)" if len(differences) > _MOST_TOLD else ""
    return "; ".join(differences[:_MOST_TOLD]) + more


def ask_to_raise(controller: Node, command: Sequence[str], request: Mapping[str, Any]) -> str:
    """Run the site's command with the request as JSON on standard input; the last line that it says.

    It must be idempotent: it is run again with the same deployment's id when an attempt was cut off. Raises
    DomainError when it fails.
    """
    done = controller.run(list(command), stdin=json.dumps(request).encode(), timeout=COMMAND_TIMEOUT)
    if done.rc != 0:
        said = " ".join(done.stderr.decode(errors="backslashreplace").split())[-300:]
        raise DomainError(
            f"{command[0]} ended with {done.rc}{': ' + said if said else ''}",
            where="tidegate_raise_command",
            remedy="Mend it, then run the same deployment again: the pins stay until the raised value is served",
        )
    lines = [line.strip() for line in done.text.splitlines() if line.strip()]
    return excerpt(lines[-1], _LONGEST_ANSWER) if lines else ""
