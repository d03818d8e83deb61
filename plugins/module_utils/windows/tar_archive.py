# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files as tar archives, which is how they travel to and from a Windows node."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Collection


def file_in(archive: bytes, limit: int) -> bytes | None:
    """The bytes of the one file in an archive, one more than `limit` at most; None if it has something else."""
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as found:
            member = found.next()
            content = found.extractfile(member) if member and member.isfile() else None
            # A sparse file is longer than its archive, however long it says.
            return content.read(limit + 1) if content else None
    except tarfile.TarError:
        return None


def files_in(archive: bytes, names: Collection[str], limit: int) -> dict[str, bytes]:
    """The bytes of those files in an archive, by their names there; of each one more than `limit` at most."""
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as found:
            wanted = [member for member in found if member.isfile() and member.name in names]
            files = {member.name: found.extractfile(member) for member in wanted}
            return {name: content.read(limit + 1) for name, content in files.items() if content}
    except tarfile.TarError:
        return {}


def archive_of(name: str, data: bytes) -> bytes:
    """An archive with one file."""
    member = tarfile.TarInfo(name)
    member.size = len(data)
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(member, io.BytesIO(data))
    return whole.getvalue()
