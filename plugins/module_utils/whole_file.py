# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files on the controller that are there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO


def write_whole(path: Path, fill: Callable[[IO[bytes]], object]) -> None:
    """Have `fill` write a file under a temporary name beside `path`, then rename it; mode 0600. Raises OSError."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".tidegate.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            fill(file)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
