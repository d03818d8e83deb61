# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file that a user wants on the controller, at a place of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.whole_file import write_whole


def save(path: Path, data: Iterable[bytes]) -> None:
    """Write under a temporary name beside `path`, then rename. Raises BadInput when that is not possible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, lambda file: file.writelines(data))
    except OSError as error:
        raise BadInput(f"can't save the results: {error}", where=str(path), remedy="Check the folder") from None


def digest_of(path: Path) -> str:
    """The file's SHA-256; empty when there is none that can be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
