"""How sinks speak HTTP: nothing of the surroundings replaces a sink's authentication, and an answer is never long."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError

MAX_ANSWER = 64 * 1024
# What a request can end with instead of an answer.
FAILURES = (requests.RequestException, HTTPError, OSError)
# Statuses that tell of the moment, not of what was sent: RFC 9110, 15.5.9 and 15.6, RFC 8470, RFC 6585.
OF_THE_MOMENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_S = 600.0


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """Its status, at most 64 KiB of its body, and its Retry-After, if it has one."""

    status: int
    body: bytes
    retry_after: str | None


class Header(AuthBase):
    """An Authorization header, or none. An authentication, since a .netrc that has the host would replace a header."""

    def __init__(self, value: str = "") -> None:
        self._value = value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._value:
            request.headers["Authorization"] = self._value
        return request


class HttpServer:
    """One server under one URL, by kept connections. `timeout` in seconds, for connecting and for each answer."""

    def __init__(
        self, url: str, authorization: AuthBase, *, timeout: float, ca_file: str = "", validate_certs: bool = True
    ) -> None:
        self._url, self._timeout = url.rstrip("/"), timeout
        self._session = requests.Session()
        self._session.auth = authorization
        # Loopback is behind no proxy that the environment may name.
        self._session.trust_env = not is_loopback(urlsplit(url).hostname or "")
        self._verify = (ca_file or True) if validate_certs else False
        if not validate_certs:
            # Said once, where it is set: it would be told for every request.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str | int] | None = None,
    ) -> HttpAnswer:
        """Send a request. Raises one of FAILURES."""
        # No redirect is followed: it would take the authorization elsewhere.
        with self._session.request(
            method,
            self._url + path,
            data=body,
            headers=headers,
            params=query,
            timeout=(self._timeout, self._timeout),
            # With each request: of a session's own, REQUESTS_CA_BUNDLE in the environment would take the place.
            verify=self._verify,
            allow_redirects=False,
            stream=True,
        ) as answer:
            text = answer.raw.read(MAX_ANSWER, decode_content=True)
            if answer.raw.read(1):
                # More than an answer ever has: not read, and so the connection is not used again.
                answer.raw.close()
            return HttpAnswer(answer.status_code, text, answer.headers.get("Retry-After"))

    def close(self) -> None:
        """End its connections."""
        self._session.close()


def seconds(retry_after: str | None) -> float | None:
    """A Retry-After header in seconds (RFC 9110, 10.2.3), at most ten minutes; a date is left to the own pace."""
    try:
        return min(max(float(retry_after or ""), 0.0), _LONGEST_S)
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Whether it is this machine."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def why(error: BaseException) -> str:
    """What went wrong, without the URL: no more than its kind and the system's words."""
    inner = error
    while True:
        deeper: Any = next((arg for arg in inner.args if isinstance(arg, BaseException)), None) or inner.__cause__
        if deeper is None or deeper is inner:
            break
        inner = deeper
    reason = getattr(inner, "reason", None)
    told = f"{type(error).__name__}: {str(reason or inner)[:200]}"
    if isinstance(error, requests.exceptions.SSLError):
        return f"TLS: {told}. Set ca_file to the authority of its certificate"
    return told
