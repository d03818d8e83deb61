# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One request as HAProxy logged it, in `option httplog`'s format or as a JSON object, behind whatever syslog writes.

HAProxy's configuration manual, 8.2.3 (HTTP log format). A JSON object (`log-format`) must have `client`, `backend`,
`server` and `uri`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

# client:port [date] frontend backend/server timers status bytes, more, and last the request in quotation marks. A long
# request is cut, and with it the last mark: HAProxy's lines have 1024 bytes by default (`log … len`).
_HTTPLOG = re.compile(
    rb"(?P<client>[0-9A-Fa-f.:]+):[0-9]+ \[[^\]]*\] \S+ (?P<backend>[^\s/]+)/(?P<server>\S+) [-+0-9/]+ -?[0-9]+ "
    rb"(?P<rest>.*)"
)
_JSON = re.compile(rb"\{.*\}\s*$")
_JSON_BEGINS = re.compile(rb'\{\s*"')


@dataclass(frozen=True, slots=True)
class Logged:
    """A request: who asked, and which server of which backend answered; `<NOSRV>` where none did."""

    client: str
    backend: str
    server: str
    uri: str

    @property
    def answered(self) -> bool:
        """Whether a server got it at all."""
        return not self.server.startswith("<")


def read_line(line: bytes) -> Logged | None:
    """The request of one line of the log; None when it is none that is known here."""
    told = _JSON.search(line)
    if told:
        return _of_json(told[0])
    match = _HTTPLOG.search(line)
    if not match:
        return None
    client, backend, server, rest = (match[name].decode(errors="replace") for name in _GROUPS)
    request = rest.partition('"')[2].rstrip().removesuffix('"')
    words = request.split(" ")
    return Logged(client, backend, server, words[1] if len(words) > 1 else request)


def is_cut(line: bytes) -> bool:
    """Whether it is the beginning of a JSON object only: whose request that was, and who served it, can't be told."""
    return bool(_JSON_BEGINS.search(line)) and not _JSON.search(line)


_GROUPS = ("client", "backend", "server", "rest")


def _of_json(text: bytes) -> Logged | None:
    try:
        told = json.loads(text)
        client, backend, server, uri = (told[name] for name in ("client", "backend", "server", "uri"))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not all(isinstance(each, str) for each in (client, backend, server, uri)):
        return None
    return Logged(re.sub(r":[0-9]+$", "", client), backend, server, uri)
