# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The argument specification of an action, read from its module's documentation.

Ansible validates arguments only for modules that it ships to a node. Ours are documentation alone, so the
documentation is the one place where an option is named, typed and given its default.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

import yaml

_MODULES = "ansible_collections.tidegate.delivery.plugins.modules"
_KEPT = ("type", "required", "default", "choices", "elements", "aliases", "no_log")


@cache
def argument_spec(module: str) -> dict[str, Any]:
    """The specification of `module` (its short name) in the form that Ansible's validator takes."""
    documentation = importlib.import_module(f"{_MODULES}.{module}").DOCUMENTATION
    return _options(yaml.safe_load(documentation).get("options", {}))


def _options(documented: dict[str, Any]) -> dict[str, Any]:
    return {name: _option(details) for name, details in documented.items()}


def _option(documented: dict[str, Any]) -> dict[str, Any]:
    option = {key: documented[key] for key in _KEPT if key in documented}
    if "suboptions" in documented:
        option["options"] = _options(documented["suboptions"])
    return option
