"""What stands in front of graphite-web: a password, and faults that are asked for in a file.

It runs under Debian's Python, beside graphite-web (serve.py), and needs nothing of ours.
"""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

CONNECTION = "lab.connection"
Start = Callable[..., Any]
Application = Callable[[dict[str, Any], Start], Iterable[bytes]]


@dataclass(frozen=True)
class Faults:
    """`delay_s` before a request is handled; `lose` the answer to this method, or `refuse` the request before it is
    handled, each by the connection's end; answer `status` alone, with `retry_after`, to the method `of` or to every
    one; let in nobody but `user:password`.
    """

    delay_s: float = 0.0
    lose: str = ""
    refuse: str = ""
    status: int = 0
    of: str = ""
    retry_after: str = ""
    user: str = ""

    def to_json(self) -> str:
        return json.dumps(asdict(self))


class InFront:
    """The application, behind the faults that the file has right now."""

    def __init__(self, application: Application, file: Path) -> None:
        self._application = application
        self._file = file

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        faults = self._faults()
        time.sleep(faults.delay_s)
        method = environ["REQUEST_METHOD"]
        if faults.user and environ.get("HTTP_AUTHORIZATION") != _basic(faults.user):
            return _alone(start, 401, [("WWW-Authenticate", 'Basic realm="graphite"')])
        if faults.status and faults.of in ("", method):
            return _alone(start, faults.status, [("Retry-After", faults.retry_after)] if faults.retry_after else [])
        if faults.refuse == method:
            return _cut(environ, start)
        if faults.lose == method:
            b"".join(self._application(environ, lambda *_args: None))
            return _cut(environ, start)
        return self._application(environ, start)

    def _faults(self) -> Faults:
        return Faults(**json.loads(self._file.read_text())) if self._file.exists() else Faults()


def _alone(start: Start, status: int, headers: list[tuple[str, str]]) -> Iterable[bytes]:
    start(f"{status} of the lab", [("Content-Length", "0"), *headers])
    return [b""]


def _cut(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    environ[CONNECTION].shutdown(socket.SHUT_RDWR)
    return _alone(start, 200, [])


def _basic(user: str) -> str:
    return "Basic " + base64.b64encode(user.encode()).decode()
