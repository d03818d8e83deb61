# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One HTTP answer on a TCP connection of its own, complete or given up at a deadline."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.redaction import without_userinfo
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import LOOK_EVERY
from ansible_collections.tidegate.delivery.plugins.module_utils.values import format_duration

BODY_LIMIT = 1024 * 1024
_MOST_INTERIM = 10
_SWITCHING_PROTOCOLS = 101


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back on one fresh connection: a status, or in `problem` the reason why there is none."""

    at: float
    """When it was asked, as a Unix time."""
    seconds: float
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    problem: str = ""
    late: bool = False
    """Whether the problem is that the time was up."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where and how to ask: GET, without proxies from the environment and without following redirects."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None


def target(
    url: str, headers: Mapping[str, str] | None = None, *, ca_file: str | None = None, validate_certs: bool = True
) -> Target:
    """A checked target. Raises BadInput for an URL, a header or a CA file that can't be used."""
    parts = _parts(url)
    for name, value in (headers or {}).items():
        _check_header(name, value)
    tls = _tls(ca_file, validate_certs) if parts.scheme == "https" else None
    return Target(url, dict(headers or {}), tls)


def ask(target: Target, timeout: float, look: Callable[[], None] | None = None) -> Answer:
    """One GET; the whole exchange, name look-up and body included, ends within `timeout` seconds.

    Never raises for what the server does: that is the answer's `problem`. The socket's own time-out restarts with
    every byte, so a trickling server is ended by closing its connection from here. What `look`, called every half
    second, raises ends the exchange.
    """
    exchange = _Exchange(target, timeout)
    worker = threading.Thread(target=exchange.run, daemon=True)
    worker.start()
    try:
        _join(worker, timeout, look)
    except BaseException:
        exchange.abort()
        raise
    if worker.is_alive():
        exchange.abort()
        return Answer(exchange.at, timeout, problem=f"no complete answer within {format_duration(timeout)}", late=True)
    return exchange.answer


def _join(worker: threading.Thread, timeout: float, look: Callable[[], None] | None) -> None:
    if look is None:
        worker.join(timeout)
        return
    ends = time.monotonic() + timeout
    while worker.is_alive() and (left := ends - time.monotonic()) > 0:
        look()
        worker.join(min(left, LOOK_EVERY))


class _Exchange:
    """One request in a thread that its caller may give up."""

    def __init__(self, target: Target, timeout: float) -> None:
        self.at = time.time()
        self.answer = Answer(self.at, 0.0, problem="the request did not start")
        self._target = target
        self._began = time.monotonic()
        self._connection = self._prepare(timeout)
        self._given_up = False

    def run(self) -> None:
        try:
            self._connection.connect()
            if not self._given_up:
                self.answer = self._ask()
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.answer = Answer(self.at, self._elapsed(), problem=_told(error), late=isinstance(error, TimeoutError))
        finally:
            self._connection.close()

    def abort(self) -> None:
        self._given_up = True
        # close() alone leaves a thread that waits in recv; shutdown wakes it.
        open_socket = self._connection.sock
        if open_socket is not None:
            with contextlib.suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)

    def _prepare(self, timeout: float) -> http.client.HTTPConnection:
        parts = _parts(self._target.url)
        host = parts.hostname or ""
        connection = (
            http.client.HTTPConnection(host, parts.port, timeout=timeout)
            if self._target.tls is None
            else http.client.HTTPSConnection(host, parts.port, timeout=timeout, context=self._target.tls)
        )
        connection.response_class = _FinalResponse
        return connection

    def _ask(self) -> Answer:
        parts = _parts(self._target.url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {"Connection": "close", "Accept": "*/*", "User-Agent": "tidegate"} | dict(self._target.headers)
        self._connection.request("GET", path, headers=headers)
        response = self._connection.getresponse()
        body = response.read(BODY_LIMIT + 1)
        received = {name.lower(): value for name, value in response.getheaders()}
        if len(body) > BODY_LIMIT:
            problem = f"the answer's body is larger than {BODY_LIMIT // 1024} KiB"
            return Answer(self.at, self._elapsed(), response.status, received, body[:BODY_LIMIT], problem)
        if response.length:
            problem = f"the answer broke off, {response.length} bytes are missing"
            return Answer(self.at, self._elapsed(), response.status, received, body, problem)
        return Answer(self.at, self._elapsed(), response.status, received, body)

    def _elapsed(self) -> float:
        return time.monotonic() - self._began


class _TooManyInterim(http.client.HTTPException):
    """Interim answers came, and no final one."""


class _FinalResponse(http.client.HTTPResponse):
    """The answer that follows interim ones, such as 103 Early Hints (RFC 9110, 15.2); http.client passes 100 only."""

    def begin(self) -> None:
        for _ in range(_MOST_INTERIM + 1):
            super().begin()
            # After a switch no HTTP follows: it stands for the answer.
            if not 100 <= self.status < 200 or self.status == _SWITCHING_PROTOCOLS:
                return
            # As long as there are headers, it takes the answer for read.
            self.headers = self.msg = None  # type: ignore[assignment]
        raise _TooManyInterim(f"{_MOST_INTERIM + 1} interim answers (status 1xx) came, and no final one")


class _Parts:
    """The pieces of a checked URL."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.scheme, self.hostname, self.port = parts.scheme, parts.hostname, parts.port
        self.path, self.query = parts.path, parts.query
        self.secret = parts.username is not None or parts.password is not None


def _parts(url: str) -> _Parts:
    try:
        parts = _Parts(url)
    except ValueError as error:
        raise BadInput(
            f"{without_userinfo(url)!r} is not an URL: {error}", where="url", remedy="Write http://host:port/path"
        ) from None
    if parts.secret:
        raise BadInput("the URL carries a user or password", where="url", remedy="Use headers for credentials")
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or not url.isascii()
        or not url.isprintable()
        or " " in url
    ):
        raise BadInput(f"{url!r} can't be asked", where="url", remedy="Write http://host:port/path, percent-encoded")
    return parts


def _check_header(name: str, value: str) -> None:
    # The value may be a secret: it is never shown.
    token = name.replace("-", "").replace("_", "")
    text = str(value)
    # http.client writes Latin-1.
    if not (token.isascii() and token.isalnum()) or not text.isprintable() or any(ord(each) > 0xFF for each in text):
        raise BadInput(
            f"header {name!r} can't be sent", where="headers", remedy="Use a plain name and a printable value"
        )


def _tls(ca_file: str | None, validate_certs: bool) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise BadInput(f"can't use the CA file: {error}", where=str(ca_file), remedy="Give a PEM file") from None
    if not validate_certs:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _told(error: Exception) -> str:
    text = str(error) or type(error).__name__
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, UnicodeError):
        # The resolver's, of an empty label or one of more than 63 characters.
        return "no host can have that name"
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection was closed without an answer"
    if isinstance(error, http.client.IncompleteRead):
        return "the answer broke off inside its body"
    if isinstance(error, _TooManyInterim):
        return text
    if isinstance(error, http.client.HTTPException):
        return f"the answer is not HTTP ({type(error).__name__}: {text[:200]!r})"
    return text[:300]
