"""A strict reader of HTTP/1.1 answers, so that half an answer is never taken for a whole one.

Strict where a real client is lenient: an answer must say how long it is (Content-Length or chunked, not both), since an
answer that ends with the connection looks the same when the server was killed in the middle of it.
Framing rules: RFC 9112, sections 6 and 7.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

HEAD_LIMIT = 16 * 1024
BODY_LIMIT = 1024 * 1024
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5]\d\d)(?: [^\r\n]*)?")
_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:[ \t]*;[^\r\n]*)?")
_BODILESS = frozenset({204, 304})


class BadAnswer(Exception):
    """What arrived is not one whole, well-formed answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One whole answer; header names are in lower case, `keep` says whether the connection may be used again."""

    status: int
    headers: dict[str, str]
    body: bytes
    keep: bool


@dataclass(slots=True)
class _Head:
    status: int
    headers: dict[str, str]
    keep: bool
    length: int | None  # None: chunked


@dataclass(slots=True)
class AnswerReader:
    """Fed with bytes as they come, gives the answer once it is whole."""

    received: int = 0
    _buffer: bytearray = field(default_factory=bytearray)
    _head: _Head | None = None
    _body: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> Answer | None:
        """The answer if `data` completes it. Raises BadAnswer for anything malformed, too long, or past its end."""
        self.received += len(data)
        self._buffer += data
        if self._head is None:
            self._head = self._take_head()
        if self._head is None or not self._take_body(self._head):
            return None
        if self._buffer:
            raise BadAnswer(f"{len(self._buffer)} bytes after the end of the answer")
        return Answer(self._head.status, self._head.headers, bytes(self._body), self._head.keep)

    def _take_head(self) -> _Head | None:
        end = self._buffer.find(b"\r\n\r\n")
        if end > HEAD_LIMIT or (end < 0 and len(self._buffer) > HEAD_LIMIT):
            raise BadAnswer(f"the head is longer than {HEAD_LIMIT} bytes")
        if end < 0:
            _refuse_what_is_no_http(self._buffer)
            return None
        head = bytes(self._buffer[:end])
        del self._buffer[: end + 4]
        return parse_head(head)

    def _take_body(self, head: _Head) -> bool:
        return self._take_chunks() if head.length is None else self._take_length(head.length)

    def _take_length(self, length: int) -> bool:
        if len(self._buffer) < length:
            return False
        self._body = self._buffer[:length]
        del self._buffer[:length]
        return True

    def _take_chunks(self) -> bool:
        while (end := self._buffer.find(b"\r\n")) >= 0:
            size = _chunk_size(bytes(self._buffer[:end]))
            if len(self._body) + size > BODY_LIMIT:
                raise BadAnswer(f"the body is longer than {BODY_LIMIT} bytes")
            closing = end + 2 + size
            if len(self._buffer) < closing + 2:
                return False
            if self._buffer[closing : closing + 2] != b"\r\n":
                # Trailers would be here after the last chunk; nobody in the lab sends any.
                raise BadAnswer("a chunk is not closed where its size says")
            self._body += self._buffer[end + 2 : closing]
            del self._buffer[: closing + 2]
            if size == 0:
                return True
        if len(self._buffer) > HEAD_LIMIT:
            raise BadAnswer("a chunk's size line does not end")
        return False


def _refuse_what_is_no_http(beginning: bytearray) -> None:
    """Garbage shows at its first byte, without waiting for a head that never ends."""
    expected = b"HTTP/1."
    if bytes(beginning[: len(expected)]) != expected[: len(beginning)]:
        raise BadAnswer(f"no HTTP answer: it begins with {bytes(beginning[:20])!r}")


def _chunk_size(line: bytes) -> int:
    match = _CHUNK_SIZE.fullmatch(line)
    if not match:
        raise BadAnswer(f"{line[:20]!r} is no chunk size")
    return int(match[1], 16)


def parse_head(head: bytes) -> _Head:
    """The head without its blank line. Raises BadAnswer."""
    first, *lines = head.split(b"\r\n")
    match = _STATUS_LINE.fullmatch(first)
    if not match:
        raise BadAnswer(f"{first[:40]!r} is no status line")
    status = int(match[2])
    if status < 200:
        raise BadAnswer(f"status {status} is no final answer")
    headers = _fields(lines)
    return _Head(status, headers, _keeps(match[1], headers), _length(status, headers))


def _fields(lines: list[bytes]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or not _FIELD_NAME.fullmatch(name):
            raise BadAnswer(f"{line[:40]!r} is no header line")
        key = name.lower()
        if key in ("content-length", "transfer-encoding") and key in headers:
            raise BadAnswer(f"{name} is there twice")
        headers[key] = value.strip()
    return headers


def _keeps(minor: bytes, headers: dict[str, str]) -> bool:
    announced = headers.get("connection", "").lower()
    return "close" not in announced if minor == b"1" else "keep-alive" in announced


def _length(status: int, headers: dict[str, str]) -> int | None:
    coding, length = headers.get("transfer-encoding"), headers.get("content-length")
    if coding is not None and length is not None:
        raise BadAnswer("both Content-Length and Transfer-Encoding")
    if coding is not None:
        if coding.lower() != "chunked":
            raise BadAnswer(f"transfer coding {coding[:20]!r}")
        return None
    if status in _BODILESS:
        return 0
    if length is None:
        raise BadAnswer("no length: a whole answer can't be told from a broken one")
    if not length.isdecimal() or not length.isascii() or int(length) > BODY_LIMIT:
        raise BadAnswer(f"Content-Length {length[:20]!r}")
    return int(length)
