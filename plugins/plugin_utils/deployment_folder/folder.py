# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment's folder on the controller: copies of what the ledger and the nodes told, for people and other tools.

Nothing decides by it. While a deployment runs, a file that can't be written is a warning and ends no step.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ansible.utils.display import Display

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, DomainError, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.event_copy import After, catch_up
from ansible_collections.tidegate.delivery.plugins.module_utils.whole_file import write_whole

if TYPE_CHECKING:
    from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call

VARIABLE = "tidegate_deployments"
EVENTS = "events.jsonl"
_READ_LIMIT = 16 * 1024 * 1024
_SQLITE = "sqlite:///"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")


class DeploymentFolder:
    """<base>/<environment>/<deployment id>/; files have mode 0600, folders that we make 0700."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    def beside(self, deployment: str) -> DeploymentFolder:
        """The folder of another deployment of the same environment."""
        return DeploymentFolder(self.path.parent / _checked(deployment, "deployment"))

    def require_writable(self) -> None:
        """Raise Refused when it can't be made or written, as far as permissions tell; changes nothing."""
        there = next(path for path in (self.path, *self.path.parents) if path.exists())
        if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
            raise self._refused(f"{there} is no folder that this user may write to")

    def prepare(self) -> None:
        """Make it. Raises Refused when it can't be written; call it before anything moves."""
        try:
            _make(self.path)
            _write(self.path / ".probe", lambda _file: None)
            (self.path / ".probe").unlink()
        except OSError as error:
            raise self._refused(str(error.strerror)) from error

    def copy_events(self, after: After) -> None:
        """Append to `events.jsonl` what the ledger has and it lacks."""
        self._kept(EVENTS, lambda: catch_up(self.path / EVENTS, after))

    def write(self, name: str, data: bytes | Iterable[bytes]) -> None:
        """Put a file there, all of it or nothing; a file of that name is replaced."""
        chunks = [data] if isinstance(data, bytes) else data
        self.write_by(name, lambda file: file.writelines(chunks))

    def write_by(self, name: str, fill: Callable[[IO[bytes]], object]) -> None:
        """The same with what `fill` writes into the open file, which can seek."""
        self._kept(name, lambda: _write(self.path / name, fill))

    def write_json(self, name: str, value: Any) -> None:  # noqa: ANN401 (whatever JSON takes)
        """Put a JSON file there that people can read."""
        self.write(name, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode(errors="replace"))

    def read_json(self, name: str) -> Any:  # noqa: ANN401 (whatever JSON gives)
        """What a JSON file there says; None when there is none that can be read."""
        try:
            with (self.path / name).open("rb") as file:
                return json.loads(file.read(_READ_LIMIT))
        except (OSError, ValueError):
            return None

    def _refused(self, why: str) -> Refused:
        return Refused(
            f"the deployment's folder can't be written: {why}",
            where=str(self.path),
            remedy=f"Nothing was touched. Give {VARIABLE} a folder on a disk with room that this user may write to",
        )

    def _kept(self, name: str, write: Callable[[], object]) -> None:
        try:
            write()
        except (OSError, DomainError) as error:
            Display().warning(f"{self.path / name} can't be written ({error}). The deployment goes on without it")


def folder_of(call: Call, environment: str, deployment: str) -> DeploymentFolder:
    """Where a deployment's folder is by the inventory. Raises BadInput for what can't be a path."""
    url = str(call.hostvar(call.host, "tidegate_ledger"))
    base = str(call.hostvar(call.host, VARIABLE, "")) or _default(url)
    if not base.startswith("/"):
        raise BadInput(f"{base!r} is no absolute path", where=VARIABLE, remedy="Give the path of a folder")
    return DeploymentFolder(
        Path(base) / _checked(environment, "tidegate_environment") / _checked(deployment, "deployment")
    )


def _default(url: str) -> str:
    if not url.startswith(_SQLITE):
        raise BadInput(
            f"{VARIABLE} is not set", where="inventory", remedy="Without a SQLite ledger it must name a folder"
        )
    return str(Path(url.removeprefix(_SQLITE)).parent / "deployments")


def _checked(name: str, where: str) -> str:
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"{name!r} can't name a folder", where=where, remedy="Use letters, digits, dots, dashes and underscores"
        )
    return name


def _make(path: Path) -> None:
    if not path.is_dir():
        _make(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)


def _write(path: Path, fill: Callable[[IO[bytes]], object]) -> None:
    _make(path.parent)
    write_whole(path, fill)
