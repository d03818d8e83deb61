# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One file of Hiera's rollout layer: the values that Tidegate sets in it, whose they are, and all else as it was."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Refused

Scalar = str | int | float | bool
FILE_LIMIT = 256 * 1024
_HEADER = "# written by tidegate; deployment "
_OWNED = re.compile(r"# tidegate: (\S+) is pinned by deployment (\S+)")
_CERTNAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,250}")
KEY = re.compile(r"[a-z][a-z0-9_]*(::[a-z0-9_]+)*")
_DEEPEST = 50
# What PyYAML raises, besides its own errors, for `2026-13-45`, `!!int ""`, or a number of thousands of digits.
_NO_VALUE = (ValueError, ArithmeticError, LookupError, AttributeError)


class _PlainLoader(yaml.SafeLoader):
    """A SafeLoader without aliases: a few hundred bytes of them make values that nobody can hold or compare."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:  # noqa: ANN401
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # types-PyYAML
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "an alias (*name) stands there: write its value out", mark)
        if self.depth >= _DEEPEST:
            raise yaml.composer.ComposerError(None, None, "it is nested too deeply", mark)
        self.depth += 1
        try:
            node: yaml.Node | None = super().compose_node(parent, index)
        finally:
            self.depth -= 1
        return node


@dataclass(frozen=True, slots=True)
class HieraFile:
    """A data file as it stands. `owners`: by key, the deployment that set it; keys of people have none."""

    path: str
    text: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)


def read_hiera(path: str, data: bytes | None) -> HieraFile:
    """The file in these bytes; None is a file that isn't there. Raises BadInput when it is no mapping."""
    if data is None:
        return HieraFile(path)
    try:
        text = data.decode()
        values = loaded(text)
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise _refuse(path, " ".join(str(error).split())[:200]) from None
    if values is not None and not isinstance(values, dict):
        raise _refuse(path, f"it holds a {type(values).__name__}, not a mapping of keys to values")
    return HieraFile(path, text, values or {}, {match[1]: match[2] for match in _OWNED.finditer(text)})


def loaded(text: str) -> Any:  # noqa: ANN401 (whatever stands there)
    """The values in a file's text, which may be anybody's. Raises YAMLError."""
    try:
        return yaml.load(text, Loader=_PlainLoader)  # noqa: S506 (a SafeLoader)
    except _NO_VALUE as error:
        raise yaml.YAMLError(f"a value can't be read: {error}") from None


def _refuse(path: str, why: str) -> BadInput:
    return BadInput(
        f"the Hiera file can't be read: {why}", where=path, remedy="Correct it by hand; nothing was changed"
    )


def node_file(rollout_dir: str, certname: str) -> str:
    """The path of a node's pins. Raises BadInput for a certname that is no plain file name."""
    if not _CERTNAME.fullmatch(certname):
        raise BadInput(
            f"{certname!r} is no certname",
            where="certname",
            remedy="Set tidegate_certname to the name in the node's Puppet certificate",
        )
    return f"{rollout_dir.rstrip('/')}/nodes/{certname}.yaml"


def common_file(rollout_dir: str) -> str:
    """The path of the values that hold for all nodes without a pin."""
    return f"{rollout_dir.rstrip('/')}/common.yaml"


def checked_values(values: Mapping[str, Any]) -> dict[str, Scalar]:
    """The values to set. Raises BadInput for a key that Puppet has no place for, or a value that is no scalar."""
    for key, value in values.items():
        if not KEY.fullmatch(key) or not isinstance(value, str | int | float | bool):
            raise BadInput(
                f"{key}: {value!r} is nothing to pin",
                where="values",
                remedy='Name a Puppet variable and give a text or number, such as "tradeapi::version": "2.4.1"',
            )
    return dict(values)


def with_pins(file: HieraFile, values: Mapping[str, Scalar], deployment: str, is_open: Callable[[str], bool]) -> str:
    """The file's new text with `values` set for `deployment`.

    Raises Refused where someone else set another value: a person, or a deployment that is still open.
    """
    ours = {key: value for key, value in values.items() if _may_set(file, key, value, deployment, is_open)}
    owners = {**file.owners, **dict.fromkeys(ours, deployment)}
    return _rendered(file, ours, (), owners, deployment) if ours else file.text


def without_pins(file: HieraFile, keys: Iterable[str], deployment: str, is_open: Callable[[str], bool]) -> str:
    """The file's new text without those of `keys` that are ours to remove; empty when no value is left."""
    gone = {key for key in keys if key in file.values and _is_ours(file.owners.get(key), deployment, is_open)}
    if not set(file.values) - gone:
        return ""
    owners = {key: owner for key, owner in file.owners.items() if key not in gone}
    return _rendered(file, {}, gone, owners, deployment) if gone else file.text


def with_common(file: HieraFile, values: Mapping[str, Scalar], deployment: str) -> str:
    """The common file's new text with `values` set."""
    changed = {key: value for key, value in values.items() if file.values.get(key) != value}
    return _rendered(file, changed, (), {}, deployment) if changed else file.text


def _may_set(file: HieraFile, key: str, value: Scalar, deployment: str, is_open: Callable[[str], bool]) -> bool:
    """Whether to set it: not when someone else's pin says the same already."""
    if key not in file.values or _is_ours(file.owners.get(key), deployment, is_open):
        return True
    if file.values[key] == value:
        return False
    owner = file.owners.get(key)
    who = f"deployment {owner}, which is not finished" if owner else "someone else"
    raise Refused(
        f"{key} is pinned to {file.values[key]} by {who}",
        where=file.path,
        remedy=f"Finish deployment {owner} first"
        if owner
        else "Ask who set it; take it out of the file when they agree",
    )


def _is_ours(owner: str | None, deployment: str, is_open: Callable[[str], bool]) -> bool:
    return owner is not None and (owner == deployment or not is_open(owner))


def _rendered(
    file: HieraFile, setting: Mapping[str, Scalar], removing: Iterable[str], owners: Mapping[str, str], deployment: str
) -> str:
    """Edits lines, so that people's comments stay; where that can't be done, writes the whole mapping anew."""
    removing = set(removing)
    wanted = {key: value for key, value in {**file.values, **setting}.items() if key not in removing}
    header = [
        f"{_HEADER}{deployment}",
        *(f"# tidegate: {key} is pinned by deployment {owners[key]}" for key in sorted(owners)),
    ]
    lines = file.text.removesuffix("\n").split("\n") if file.text else []
    body = [line for line in lines if not line.startswith(_HEADER) and not _OWNED.match(line)]
    changed = {key for key in setting if file.values.get(key) != setting[key]} | removing
    edited = [line for line in body if not any(_stands_in(key, line) for key in changed)]
    added = [f"{key}: {json.dumps(setting[key])}" for key in setting if key in changed]
    text = "\n".join([*header, *edited, *added]) + "\n"
    return text if _says(text, wanted) else "\n".join(header) + "\n" + dumped(wanted)


def dumped(values: Mapping[str, Any]) -> str:
    """A file's whole text for these values, without comments."""
    return str(yaml.dump(dict(values), Dumper=_Quoting))


def _stands_in(key: str, line: str) -> bool:
    return re.match(rf"""(["']?){re.escape(key)}\1\s*:\s""", line + " ") is not None


def _says(text: str, wanted: Mapping[str, Any]) -> bool:
    try:
        return bool(loaded(text) == wanted)
    except yaml.YAMLError:
        return False


class _Quoting(yaml.SafeDumper):
    """Quotes texts: Ruby reads a plain 1e5 or 1,000 as a number where PyYAML sees a text."""


def _quoted(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')


_Quoting.add_representer(str, _quoted)
