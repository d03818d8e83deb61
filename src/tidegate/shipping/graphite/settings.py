"""What the shipper is told of carbon and graphite-web, on its standard input: no process list has a password."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from tidegate.shipping.graphite.names import is_name
from tidegate.shipping.options import http_url, require_authorities, require_seconds, settings_of

CARBON_PORT = 2003
# Carbon's own and Debian's default is one value a minute: what is sent more often than it is kept is lost.
INTERVAL_S = 60
_LONGEST_INTERVAL_S = 3600
_MAX_PREFIX = 100
_OF = "tidegate.delivery.graphite"


@dataclass(frozen=True, slots=True)
class CarbonSettings:
    """A carbon's receiver of lines. `interval` is in seconds, that of its finest retention or longer."""

    carbon: str
    prefix: str = "tidegate"
    interval: int = INTERVAL_S
    timeout: float = 10.0

    def __post_init__(self) -> None:
        _ = self.address
        if len(self.prefix) > _MAX_PREFIX or not is_name(self.prefix):
            raise BadInput(
                f"{self.prefix[:60]!r} can't begin a metric's name",
                where=f"{_OF}: prefix",
                remedy=f"Letters, digits, _ and -, dots between them, {_MAX_PREFIX} characters at most",
            )
        if not 1 <= self.interval <= _LONGEST_INTERVAL_S:
            raise BadInput(
                f"{self.interval} is not between 1 and {_LONGEST_INTERVAL_S}",
                where=f"{_OF}: interval",
                remedy="Give the seconds of the finest retention in carbon's storage-schemas.conf",
            )
        require_seconds(self.timeout, f"{_OF}: timeout")

    @property
    def address(self) -> tuple[str, int]:
        """Host and port. Raises BadInput when it is none."""
        try:
            parts = urlsplit(f"//{self.carbon}")
            host, port, rest = parts.hostname, parts.port, parts.path + parts.query + parts.fragment
        except ValueError:
            host, port, rest = None, None, ""
        if not host or rest or "@" in self.carbon or port == 0:
            raise BadInput(
                f"{self.carbon.rpartition('@')[2][:60]!r} is no address",
                where=f"{_OF}: carbon",
                remedy=f"Write HOST:{CARBON_PORT}, the port of carbon's LINE_RECEIVER_PORT",
            )
        return host, port or CARBON_PORT


@dataclass(frozen=True, slots=True)
class WebSettings:
    """A graphite-web and how to speak to it. Seconds for times; `ca_file` empty means the system's."""

    web: str
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""
    validate_certs: bool = True
    timeout: float = 10.0

    def __post_init__(self) -> None:
        parts = http_url(self.web)
        if parts is None or parts.query or parts.fragment:
            raise BadInput(
                "this is no URL of a graphite-web",
                where=f"{_OF}: web",
                remedy="Write https://HOST, and the path if it has one; a user belongs into user and password_file",
            )
        if ":" in self.user:
            # RFC 7617, 2: the server would read what follows as the password's beginning.
            raise BadInput(
                "a user has no colon",
                where=f"{_OF}: user",
                remedy="Write the user alone, and the password into password_file",
            )
        if bool(self.user) != bool(self.password):
            raise BadInput(
                "user and password_file go together",
                where=f"{_OF}: {'password_file' if self.user else 'user'}",
                remedy="Set both, or none",
            )
        require_seconds(self.timeout, f"{_OF}: timeout")
        require_authorities(self.ca_file, f"{_OF}: ca_file")


def carbon_settings(told: Mapping[str, Any]) -> CarbonSettings:
    """Read them. Raises BadInput with the option's name."""
    return settings_of(CarbonSettings, told)


def web_settings(told: Mapping[str, Any]) -> WebSettings:
    """Read them. Raises BadInput with the option's name."""
    return settings_of(WebSettings, told)
