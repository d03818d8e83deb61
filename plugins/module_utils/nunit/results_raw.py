# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A results file as the runner wrote it, kept beside the verdict as evidence: its bytes and their digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from tempfile import SpooledTemporaryFile

_IN_MEMORY = 1024 * 1024
_CHUNK = 64 * 1024


class Measured:
    """The size and the digest of what passed."""

    def __init__(self) -> None:
        self.size = 0
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Of all that passed."""
        return self._digest.hexdigest()

    def passing(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The same chunks, each measured on its way."""
        for chunk in chunks:
            self._digest.update(chunk)
            self.size += len(chunk)
            yield chunk


class RawResults(Measured):
    """And its bytes: small ones are in memory, others in a file without a name that is gone with the process."""

    def __init__(self) -> None:
        super().__init__()
        self._file = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 (it lives as long as this)

    def passing(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The same chunks, each kept on its way."""
        for chunk in super().passing(chunks):
            self._file.write(chunk)
            yield chunk

    def chunks(self) -> Iterator[bytes]:
        """All of it, from the beginning."""
        self._file.seek(0)
        while chunk := self._file.read(_CHUNK):
            yield chunk
