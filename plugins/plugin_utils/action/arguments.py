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
from ansible.plugins.loader import filter_loader, test_loader

_COLLECTION = "tidegate.delivery."
_PLUGINS = "ansible_collections.tidegate.delivery.plugins"
# libyaml's where PyYAML was built with it: ten times as fast. Both load plain values only.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_KEPT = ("type", "required", "default", "choices", "elements", "aliases", "no_log")


@cache
def argument_spec(module: str) -> dict[str, Any]:
    """The specification of `module` (its short name) in the form that Ansible's validator takes."""
    documented = _loaded(importlib.import_module(f"{_PLUGINS}.modules.{module}").DOCUMENTATION)
    shared: dict[str, Any] = {}
    for fragment in documented.get("extends_documentation_fragment", []):
        shared |= _fragment_options(fragment)
    return _options(shared | documented.get("options", {}))


@cache
def defaults_of(module: str) -> dict[str, Any]:
    """The default of every option of `module`; those with suboptions have a mapping of theirs."""
    return _defaults(argument_spec(module))


def read_ahead(action: str) -> None:
    """Load what the action in that Python module and the templates of its task need, so that no worker has to.

    The specification, and Ansible's filters and tests, which a process loads all together with the first that it uses.
    """
    package, _, module = action.rpartition(".")
    if package == f"{_PLUGINS}.action":
        argument_spec(module)
        filter_loader.get("ansible.builtin.default")
        test_loader.get("ansible.builtin.defined")


def _loaded(documentation: str) -> Any:  # noqa: ANN401
    return yaml.load(documentation, Loader=_Loader)  # noqa: S506 (a SafeLoader)


def _defaults(options: dict[str, Any]) -> dict[str, Any]:
    # A list of mappings has a default of its own: its elements' suboptions say nothing about it.
    nested = {name for name, option in options.items() if "options" in option and option.get("type") == "dict"}
    return {
        name: _defaults(option["options"]) if name in nested else option.get("default")
        for name, option in options.items()
    }


def _fragment_options(fragment: str) -> dict[str, Any]:
    """The options of one of our documentation fragments; Ansible's own have none that we use."""
    if not fragment.startswith(_COLLECTION):
        return {}
    found = importlib.import_module(f"{_PLUGINS}.doc_fragments.{fragment.removeprefix(_COLLECTION)}")
    return dict(_loaded(found.ModuleDocFragment.DOCUMENTATION)["options"])


def _options(documented: dict[str, Any]) -> dict[str, Any]:
    return {name: _option(details) for name, details in documented.items()}


def _option(documented: dict[str, Any]) -> dict[str, Any]:
    option = {key: documented[key] for key in _KEPT if key in documented}
    if "suboptions" in documented:
        option["options"] = _options(documented["suboptions"])
    return option
