# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release's artifact: its digest, from the file that stands beside it."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from dataclasses import dataclass

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Unreachable

_DIGEST_LIMIT = 4096
_TIMEOUT = 15.0
_SHA256 = re.compile(rb"[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True)
class Artifact:
    """Where a release's artifact is and what its SHA-256 must be."""

    url: str
    sha256: str


def find_artifact(service: str, version: str, url: str) -> Artifact:
    """Read `URL.sha256`. BadInput when there is no such version, Unreachable when the repository doesn't answer."""
    digest_url = f"{url}.sha256"
    try:
        with urllib.request.urlopen(digest_url, timeout=_TIMEOUT) as answer:  # noqa: S310 (http, https or file, from the descriptor)
            text = answer.read(_DIGEST_LIMIT)
    except urllib.error.HTTPError as error:
        if error.code in (404, 410):
            raise BadInput(
                f"version {version!r} of {service} doesn't exist",
                where=f"{digest_url} answered {error.code}",
                remedy="Correct the version, or publish the artifact first",
            ) from error
        raise _silent(digest_url, f"status {error.code}") from error
    except (OSError, ValueError) as error:
        raise _silent(digest_url, str(error)) from error
    match = _SHA256.match(text.strip())
    if not match:
        raise BadInput("no SHA-256 in the digest file", where=digest_url, remedy="Publish `sha256sum ARTIFACT` there")
    return Artifact(url, match[0].decode().lower())


def _silent(url: str, why: str) -> Unreachable:
    return Unreachable(
        f"the artifact repository did not tell the digest: {why}", where=url, remedy="Check the repository and the URL"
    )
