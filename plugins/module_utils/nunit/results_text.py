# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test results as bytes in any encoding → UTF-8 that an XML parser accepts, piece by piece.

Observed: nunit-console 2.6.4 writes control characters of a failure's message raw, which XML forbids.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator

_HEAD = 1024
_DECLARED = re.compile(rb"<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CONTROLS = bytes(code for code in range(32) if code not in b"\t\n\r")
# U+FFFE and U+FFFF are no characters of XML either.
_FORBIDDEN = re.compile(b"[" + re.escape(_CONTROLS) + b"]|\xef\xbf[\xbe\xbf]")
_REPLACEMENT = "\ufffd".encode()
_REFERENCE = re.compile(rb"&#(?:x([0-9A-Fa-f]{1,6})|([0-9]{1,7}));")
_LONGEST_REFERENCE = 10
_BLANK = b" \t\r\n\0"


def readable(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The text in UTF-8, without a byte order mark; nothing at all for a file of blanks or zero bytes.

    What no XML may hold becomes U+FFFD, and so does what is not of the encoding. Raises LookupError for an encoding
    that nobody knows.
    """
    pieces = iter(chunks)
    head = _head(pieces)
    if not head:
        return
    encoding = _encoding(head)
    kept = b""
    for data in _in_utf_8(head, pieces, encoding):
        data = _allowed(kept + data)
        # A reference can be cut in two.
        cut = data.rfind(b"&", max(0, len(data) - _LONGEST_REFERENCE))
        cut = len(data) if cut < 0 or b";" in data[cut:] else cut
        kept = data[cut:]
        yield data[:cut]
    yield kept


def _head(pieces: Iterator[bytes]) -> bytes:
    """The beginning without blanks, as long as it takes to know the encoding."""
    head = b""
    for piece in pieces:
        head = head + piece
        if not head.strip(_BLANK):
            # A zero byte may be half of UTF-16's next character.
            head = head[-4:]
        elif len(head) >= _HEAD:
            break
    head = head.lstrip(b" \t\r\n") if head.strip(_BLANK) else b""
    # A file that was cut off in its mark has no character yet.
    return b"" if any(mark.startswith(head) for mark, _encoding in _BOMS) else head


def _encoding(head: bytes) -> str:
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return encoding
    if head.startswith(b"<\0"):
        return "utf-16-le"
    if head.startswith(b"\0<"):
        return "utf-16-be"
    declared = _DECLARED.match(head)
    name = codecs.lookup(declared[1].decode()).name if declared else "utf-8"
    # Raises LookupError for what is no encoding of text, such as base64.
    b"x".decode(name, "replace")
    # .NET's StringWriter declares UTF-16 whatever is written; a declaration that can be read here is not UTF-16.
    return "utf-8" if name.startswith(("utf-16", "utf-32")) else name


def _in_utf_8(head: bytes, pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    plain = encoding == "utf-8"
    # The blanks behind a mark would stand before the declaration, where XML wants none.
    yield decoder.decode(head).removeprefix("\ufeff").lstrip().encode("utf-8", "replace")
    for piece in pieces:
        if plain and piece.isascii() and not decoder.getstate()[0]:
            yield piece
        else:
            yield decoder.decode(piece).encode("utf-8", "replace")
    # Half a character at the very end is no character: it is where the file was cut off.
    yield decoder.decode(b"", final=True).removesuffix("\ufffd").encode("utf-8", "replace")


def _allowed(data: bytes) -> bytes:
    if len(data.translate(None, _CONTROLS)) != len(data) or b"\xef\xbf" in data:
        data = _FORBIDDEN.sub(_REPLACEMENT, data)
    return _REFERENCE.sub(_allowed_reference, data) if b"&#" in data else data


def _allowed_reference(match: re.Match[bytes]) -> bytes:
    code = int(match[1], 16) if match[1] else int(match[2])
    allowed = code in (9, 10, 13) or 0x20 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or 0x10000 <= code <= 0x10FFFF
    return match[0] if allowed else _REPLACEMENT
