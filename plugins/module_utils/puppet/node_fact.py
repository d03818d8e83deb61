# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pins as an external fact of the node's own: one structured fact, in a file that has nothing else.

Its text is a file of Hiera's one level deeper. Facter reads each file of facts.d in one go ("External facts" in its
documentation); a name with a colon could not be a fact of its own, since Puppet makes a top-scope variable of each.
"""

from __future__ import annotations

import re

import yaml

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.hiera import (
    HieraFile,
    dumped,
    loaded,
    read_hiera,
)

# Puppet's code asks for it: puppet/functions/pinned_by_the_node.pp.
FACT = "tidegate_pins"
# Where every Facter looks for external facts of a node's own, when it runs as root or as SYSTEM.
FOLDER = "/etc/facter/facts.d"
FOLDER_ON_WINDOWS = r"C:\ProgramData\PuppetLabs\facter\facts.d"
_ROOT = f"{FACT}:"
_STEP = "  "
_HEAD = re.compile(r"(#.*|---|\s*)")


def fact_file(folder: str) -> str:
    """The path of a node's pins below its folder of external facts."""
    between = "\\" if re.match(r"[A-Za-z]:", folder) else "/"
    return f"{folder.rstrip('/').rstrip(chr(92))}{between}{FACT}.yaml"


def read_fact(path: str, data: bytes | None) -> HieraFile:
    """The pins in these bytes; None is a file that isn't there. Raises BadInput when it is more than that fact."""
    whole = read_hiera(path, data)
    pins = whole.values.get(FACT)
    if not whole.values:
        return HieraFile(path)
    if set(whole.values) != {FACT} or not isinstance(pins, dict | None):
        raise BadInput(
            f"the file has something else than the fact {FACT}, a mapping of keys to values",
            where=path,
            remedy="Bring other facts into a file of their own; nothing was changed",
        )
    return HieraFile(path, _lifted(whole, pins or {}), pins or {}, whole.owners)


def fact_text(text: str) -> str:
    """The file's text for pins that stand in this one as in a file of Hiera's; empty when there are none."""
    if not text:
        return ""
    lines = text.removesuffix("\n").split("\n")
    head = next((number for number, line in enumerate(lines) if not _HEAD.fullmatch(line)), len(lines))
    body = [f"{_STEP}{line}" if line else line for line in lines[head:]]
    return "\n".join([*lines[:head], _ROOT, *body]) + "\n"


def _lifted(file: HieraFile, pins: dict[str, object]) -> str:
    """The text without the fact's level, so that people's comments stay; where that can't be done, written anew."""
    lines = file.text.removesuffix("\n").split("\n")
    text = "\n".join(line.removeprefix(_STEP) for line in lines if line.rstrip() != _ROOT) + "\n"
    try:
        same = loaded(text) == pins
    except yaml.YAMLError:
        same = False
    comments = "".join(f"{line}\n" for line in lines if line.startswith("#"))
    return text if same else comments + dumped(pins)
