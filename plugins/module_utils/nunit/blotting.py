# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking the values that were given to tests out of what comes back, should one of them print them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from ansible_collections.tidegate.delivery.plugins.module_utils.redaction import printed

# Shorter values are no secrets, and blotting them out would make messages unreadable.
LEAST = 4
BLOT = "********"
_ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be")
# What results declare besides, where letters beyond ASCII look otherwise.
_OLD_ENCODINGS = ("cp1252", "latin-1")


def forms_of(secrets: Iterable[str]) -> tuple[str, ...]:
    """In which forms tests and their runners may print these values: what the others here are given."""
    return printed(secrets, least=LEAST)


def blot_out(text: str, forms: Iterable[str]) -> str:
    """`text` without these."""
    clean = blotter(forms)
    return clean(text) if clean else text


def blotter(forms: Iterable[str]) -> Callable[[str], str] | None:
    """What takes these out of many texts; None when there is nothing to hide."""
    hidden = _longest_first(forms)

    def clean(text: str) -> str:
        for form in hidden:
            text = text.replace(form, BLOT)
        return text

    return clean if hidden else None


def blot_out_xml(chunks: Iterable[bytes], forms: Iterable[str]) -> Iterator[bytes]:
    """The same for an XML file as a stream, in UTF-8, UTF-16 or an old encoding, cut in two or not."""
    blots = _encoded(_longest_first(forms))
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


def _encoded(forms: Iterable[str]) -> dict[bytes, bytes]:
    """Each of them as bytes, and what takes its place."""
    found = {}
    for form in forms:
        for encoding in _ENCODINGS if form.isascii() else (*_ENCODINGS, *_OLD_ENCODINGS):
            # What an encoding has no letters for doesn't stand there.
            with suppress(UnicodeEncodeError):
                found[form.encode(encoding, "surrogatepass" if encoding in _ENCODINGS else "strict")] = BLOT.encode(
                    encoding
                )
    return found


def _longest_first(forms: Iterable[str]) -> list[str]:
    # No part of a longer one is left over then.
    return sorted(set(forms), key=len, reverse=True)
