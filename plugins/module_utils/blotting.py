# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking the values that were given to tests out of what comes back, should one of them print them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from xml.sax.saxutils import escape

# Shorter values are no secrets, and blotting them out would make messages unreadable.
LEAST = 4
BLOT = "********"
_ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be")


def blot_out(text: str, secrets: Iterable[str]) -> str:
    """`text` without these values."""
    clean = blotter(secrets)
    return clean(text) if clean else text


def blotter(secrets: Iterable[str]) -> Callable[[str], str] | None:
    """What takes these values out of many texts; None when there is nothing to hide."""
    hidden = _worth_hiding(secrets)

    def clean(text: str) -> str:
        for secret in hidden:
            text = text.replace(secret, BLOT)
        return text

    return clean if hidden else None


def blot_out_xml(chunks: Iterable[bytes], secrets: Iterable[str]) -> Iterator[bytes]:
    """The same for an XML file as a stream: in UTF-8 or UTF-16, escaped or not, cut in two or not."""
    blots = _forms(_worth_hiding(secrets))
    if not blots:
        yield from chunks
        return
    longest = max(map(len, blots))
    pattern = re.compile(b"|".join(map(re.escape, sorted(blots, key=len, reverse=True))))
    kept = b""
    for chunk in chunks:
        kept += chunk
        # What begins later may go on in the next chunk.
        done, kept = _blotted(kept, len(kept) - longest + 1, pattern, blots)
        yield done
    yield _blotted(kept, len(kept), pattern, blots)[0]


def _blotted(data: bytes, end: int, pattern: re.Pattern[bytes], blots: dict[bytes, bytes]) -> tuple[bytes, bytes]:
    """What is done, of all that begins before `end`, and the rest."""
    if end <= 0:
        return b"", data
    # To look for each of them is many times faster than the pattern that finds the first of all. UTF-16 has zero bytes.
    wide = b"\0" in data
    if not any(form in data for form in blots if wide or b"\0" not in form):
        return data[:end], data[end:]
    done, at = [], 0
    for match in pattern.finditer(data):
        if match.start() >= end:
            break
        done += [data[at : match.start()], blots[match[0]]]
        at = match.end()
    return b"".join([*done, data[at:end]]), data[max(at, end) :]


def _forms(secrets: Iterable[str]) -> dict[bytes, bytes]:
    """Each of the forms in which they can stand there, and what takes its place."""
    return {
        form.encode(encoding, "surrogatepass"): BLOT.encode(encoding)
        for secret in secrets
        for form in (secret, escape(secret), escape(secret, {'"': "&quot;", "'": "&apos;"}))
        for encoding in _ENCODINGS
    }


def _worth_hiding(secrets: Iterable[str]) -> list[str]:
    # Longest first, so that no part of a longer one is left over.
    return sorted({secret for secret in secrets if len(secret) >= LEAST}, key=len, reverse=True)
