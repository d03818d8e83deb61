# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release's artifact: its digest, from the file that stands beside it."""

from __future__ import annotations

import http.client
import re
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import IO
from urllib.parse import urlsplit

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.values import format_duration

_DIGEST_LIMIT = 4096
_TIMEOUT = 15.0
_SHA256 = re.compile(rb"[0-9a-fA-F]{64}")
_VERSION = re.compile(r"[A-Za-z0-9_+][A-Za-z0-9._+-]{0,99}")


@dataclass(frozen=True, slots=True)
class Artifact:
    """Where a release's artifact is and what its SHA-256 must be."""

    url: str
    sha256: str


def checked_version(version: str) -> str:
    """The version as it was given. Raises BadInput for what can't stand in URLs, file names and pins as it is."""
    if not _VERSION.fullmatch(version):
        raise BadInput(
            f"{version[:120]!r} is no version",
            where="version",
            remedy="Use letters, digits and . _ + - only, at most 100, beginning with neither . nor -",
        )
    return version


def find_artifact(service: str, version: str, url: str, *, timeout: float = _TIMEOUT) -> Artifact:
    """Read `URL.sha256`, within `timeout` seconds.

    BadInput when there is no such version or it can't be one, Unreachable when the repository doesn't answer.
    """
    checked_version(version)
    _require_bare(url)
    text = _fetched(service, version, f"{url}.sha256", timeout)
    match = _SHA256.match(text.strip())
    if not match:
        raise BadInput(
            "no SHA-256 in the digest file", where=f"{url}.sha256", remedy="Publish `sha256sum ARTIFACT` there"
        )
    return Artifact(url, match[0].decode().lower())


def _require_bare(url: str) -> None:
    """The URL goes into plan, ledger and messages: what is in it is no secret any more."""
    if _has_credentials(url):
        raise BadInput(
            "the artifact's URL carries a user or password",
            where="artifact.url",
            remedy="Take them out of the descriptor and of tidegate_artifacts; the repository must let us read without",
        )


def _has_credentials(url: str) -> bool:
    # By hand, since what can't be parsed as a URL may hold a password too.
    return "@" in re.split(r"[/?#\\]", url.partition("://")[2], maxsplit=1)[0]


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https only, and to no URL with credentials."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        scheme = urlsplit(newurl).scheme
        if scheme not in ("http", "https"):
            raise urllib.error.URLError(f"it redirects to {scheme[:20]!r} instead of http or https")
        if _has_credentials(newurl):
            raise urllib.error.URLError("it redirects to a URL that carries a user or password")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Fetch:
    """One download in a thread that its caller may give up: a socket's own time-out restarts with every byte."""

    def __init__(self, url: str, timeout: float) -> None:
        self.text = b""
        self.error: Exception | None = None
        self._url = url
        self._timeout = timeout

    def run(self) -> None:
        try:
            with urllib.request.build_opener(_Redirects).open(self._url, timeout=self._timeout) as answer:
                self.text = answer.read(_DIGEST_LIMIT)
        except (OSError, ValueError, http.client.HTTPException) as error:
            self.error = error


def _fetched(service: str, version: str, url: str, timeout: float) -> bytes:
    fetch = _Fetch(url, timeout)
    worker = threading.Thread(target=fetch.run, daemon=True)
    worker.start()
    worker.join(timeout)
    if worker.is_alive():
        raise _silent(url, f"no complete answer within {format_duration(timeout)}")
    error = fetch.error
    if error is None:
        return fetch.text
    if not isinstance(error, urllib.error.HTTPError):
        raise _silent(url, _told(error)) from error
    error.close()
    if error.code in (404, 410):
        raise BadInput(
            f"version {version!r} of {service} doesn't exist",
            where=f"{url} answered {error.code}",
            remedy="Correct the version, or publish the artifact first",
        ) from error
    raise _silent(url, f"status {error.code}") from error


def _told(error: Exception) -> str:
    text = str(error)[:200]
    return f"{type(error).__name__}: {text}" if isinstance(error, http.client.HTTPException) else text


def _silent(url: str, why: str) -> Unreachable:
    return Unreachable(
        f"the artifact repository did not tell the digest: {why}", where=url, remedy="Check the repository and the URL"
    )
