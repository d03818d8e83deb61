# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A token or a password that stands alone in a file."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput

_MAX = 4096


def read_secret(path: str, what: str) -> str:
    """What the file has, without blanks around it. Raises BadInput; `what` it is, for the message."""
    try:
        with Path(path).open(encoding="utf-8") as file:
            return file.read(_MAX).strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise BadInput(f"the {what} can't be read: {why}", where=path) from error
