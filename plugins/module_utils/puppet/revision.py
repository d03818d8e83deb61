# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration's revision: what `config_version` says of the code and data that catalogs are compiled from."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import excerpt
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Node

ASK_TIMEOUT = 60.0
_LONGEST = 200
_MOST_READ = 65536
_SHORT = 12
_NAMED_BY = 7
_NO_PUPPET = 41
_NO_FOLDER = 42
_NOT_SET = 43
_FAILED = 44
# In what the script of Puppet's own control repository says: compile server, environment, commit.
_COMMIT = r"[0-9a-f]{7,64}"
# Digits alone are a build's number or a time, unless they are as many as a whole commit has (SHA-1, SHA-256).
_HASH = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64}|(?=[0-9]*[a-f])[0-9a-f]{7,64})")

# What Puppet says of its files is kept, since asking takes a second, and asked again when puppet.conf or
# environment.conf is another one; where nothing may be written it is asked each time. The command itself is always
# run, as who owns the environment's folder: git refuses to look into somebody else's. What it complains of is not its
# answer, and goes to standard error.
_ASK = rf"""
PATH=$PATH:/opt/puppetlabs/bin
confdir=$1 environment=$2 settings=$3 keep=$4
command -v puppet >/dev/null || exit {_NO_PUPPET}
kept() {{ sed -n "s/^$1 = //p" "$settings"; }}
folder() {{
  kept environmentpath | tr : '\n' | while read -r path; do
    [ ! -d "$path/$environment" ] || {{ echo "$path/$environment"; break; }}
  done
}}
sums() {{ cat "$(kept config)" "$(folder)/environment.conf" 2>/dev/null | cksum; }}
if [ -z "$settings" ] || [ ! -f "$settings" ] || [ "$(kept sums)" != "$(sums)" ]; then
  cache=$settings
  settings=$(mktemp) || exit; made=$settings; trap 'rm -f "$made"' EXIT
  puppet config print ${{confdir:+--confdir "$confdir"}} --section server --environment "$environment" \
    config config_version environmentpath >"$settings" || exit
  told=$(sums); echo "sums = $told" >>"$settings"
  [ -z "$cache" ] || [ -z "$keep" ] ||
    {{ mkdir -p "$(dirname "$cache")" && cp "$settings" "$cache.$$" && mv -f "$cache.$$" "$cache"; }} 2>/dev/null || :
fi
folder=$(folder)
[ -n "$folder" ] || exit {_NO_FOLDER}
command=$(kept config_version)
[ -n "$command" ] || {{ echo "$folder"; exit {_NOT_SET}; }}
owner=$(stat -c %U "$folder")
cd /
if [ "$(id -u)" = 0 ] && [ "$owner" != root ] && [ "$owner" != UNKNOWN ]; then
  told=$(runuser -u "$owner" -- sh -c "$command")
else
  told=$(sh -c "$command")
fi || {{ printf '%s' "$told" | head -c 1000; exit {_FAILED}; }}
printf '%s' "$told" | head -c {_MOST_READ}
"""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The revision that is served, or why Puppet tells none."""

    revision: str = ""
    why: str = ""


def revision_of(told: str, environment: str) -> str:
    """The revision in what `config_version` says in this environment, as a report's `configuration_version` has it too.

    All of it, but for the compile server's name and the environment's, which the script of Puppet's control repository
    puts before the commit. Nothing else is taken off: two revisions may well end alike. A longer one than 200
    characters is its beginning and a digest of all of it.
    """
    text = " ".join(told.split())
    commit = re.fullmatch(rf"\S+-{re.escape(environment)}-({_COMMIT})", text)
    if commit:
        return commit[1]
    if len(text) <= _LONGEST:
        return text
    digest = f"… (SHA-256 {hashlib.sha256(text.encode(errors='backslashreplace')).hexdigest()[:16]})"
    return text[: _LONGEST - len(digest)] + digest


def compiled_from(told: str, environment: str, expected: str = "") -> str:
    """The revision that a report's `configuration_version` tells, which may be the `expected` one.

    Puppet mixes what the command said and what it complained of, in any order (Puppet::Util::Execution.execute,
    `combine`): so the expected one is any line of it, and else the only commit among its lines goes before all of it.
    """
    lines = [revision_of(line, environment) for line in told.splitlines() if line.strip()]
    if expected and expected in lines:
        return expected
    commits = {line for line in lines if _HASH.fullmatch(line)}
    return next(iter(commits)) if len(commits) == 1 else revision_of(told, environment)


def short(revision: str) -> str:
    """As people read it: a commit's first twelve digits, anything else as it is."""
    return revision[:_SHORT] if _HASH.fullmatch(revision) else revision


def with_configuration(version: str, revision: str) -> str:
    """A release by its name: the version, and where it is known the configuration's revision."""
    return f"{version} (configuration {short(revision)})" if revision else version


def names(named: str, revision: str) -> bool:
    """Whether somebody who says `named` means this revision: all of it, or a commit's first seven digits or more."""
    abbreviated = len(named) >= _NAMED_BY and _HASH.fullmatch(revision) is not None
    return named == revision or (abbreviated and revision.startswith(named))


def ask_revision(
    server: Node, environment: str, confdir: str = "", *, settings_cache: str = "", keep: bool = True
) -> Configuration:
    """What a compile server would say of a catalog of this environment right now, in one remote call.

    `settings_cache`: a file there that keeps what Puppet says of its files; without `keep` it is never written.
    Where `config_version` is not set, Puppet says when it has read the code: that is no revision. Raises Refused when
    the command fails, since no catalog would compile either.
    """
    done = server.sh(_ASK, confdir, environment, settings_cache, "keep" if keep else "", timeout=ASK_TIMEOUT)
    said = " ".join(done.text.split())
    if done.rc == 0 and said:
        return Configuration(revision_of(said, environment))
    if done.rc == _NO_PUPPET:
        return Configuration(why=f"there is no puppet on the PATH or in /opt/puppetlabs/bin of {server.name}")
    if done.rc == _NO_FOLDER:
        return Configuration(why=f"{server.name} has no environment {environment}")
    if done.rc == _NOT_SET:
        return Configuration(why=f"config_version is not set in {said}/environment.conf on {server.name}")
    what = "said nothing" if done.rc == 0 else f"failed: {excerpt(' '.join((done.complaint or said).split()), 300)}"
    raise Refused(
        f"the configuration's revision can't be read: config_version of {environment} {what}",
        where=server.name,
        remedy="Puppet runs the same command for each catalog: mend it in environment.conf",
    )


def agreed(told: Mapping[str, Mapping[str, Configuration]]) -> Configuration:
    """What all compile servers say, by server and environment.

    Raises Refused when they serve different revisions of an environment: a node would get the one or the other.
    """
    environments = dict.fromkeys(name for answers in told.values() for name in answers)
    found = {name: _one(name, {server: answers[name] for server, answers in told.items()}) for name in environments}
    if len(set(found.values())) <= 1:
        return next(iter(found.values()), Configuration(why="no compile server is named"))
    named = ", ".join(f"{name} {short(each.revision) or 'none'}" for name, each in found.items())
    return Configuration(why=f"its nodes use Puppet environments with revisions of their own: {named}")


def whichever(told: Mapping[str, Mapping[str, Configuration]]) -> Configuration:
    """The same for a rollback, which takes what is served: where servers differ no single revision can be told."""
    try:
        return agreed(told)
    except Refused as error:
        return Configuration(why=error.message)


def _one(environment: str, told: Mapping[str, Configuration]) -> Configuration:
    revisions = {each.revision for each in told.values()}
    if len(revisions) > 1:
        named = ", ".join(f"{server} {short(each.revision) or f'none ({each.why})'}" for server, each in told.items())
        raise Refused(
            f"the compile servers serve different configurations: {named}",
            where=f"Puppet environment {environment}",
            remedy="Bring the same revision of the control repository to all of them first",
        )
    return next(iter(told.values()))
