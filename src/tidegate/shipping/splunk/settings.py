"""What the shipper is told of Splunk, on its standard input: so a token is in no process list and no file of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from tidegate.shipping.options import http_url, require_authorities, require_seconds, settings_of


@dataclass(frozen=True, slots=True)
class SplunkSettings:
    """An HTTP Event Collector and how to speak to it. Seconds for times; `ca_file` empty means the system's."""

    url: str
    token: str = field(repr=False)
    index: str = ""
    source: str = "tidegate"
    sourcetype: str = "tidegate"
    ca_file: str = ""
    validate_certs: bool = True
    acknowledge: bool = True
    timeout: float = 30.0
    acknowledge_timeout: float = 120.0

    def __post_init__(self) -> None:
        parts = http_url(self.url)
        if parts is None:
            raise BadInput(
                "this is no URL of an HTTP Event Collector",
                where="tidegate.delivery.splunk: url",
                remedy="Write https://HOST:8088, without user or path; the token belongs into token_file",
            )
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise BadInput(
                "it goes on behind host and port",
                where="tidegate.delivery.splunk: url",
                remedy="Write https://HOST:8088 alone: the paths are the protocol's",
            )
        if not self.token or not self.token.isascii() or not self.token.isprintable() or " " in self.token:
            raise BadInput(
                "there is no token, or it is no single word",
                where="tidegate.delivery.splunk: token_file",
                remedy="Write the token alone into a file that only you can read, and name it in token_file",
            )
        for name in ("timeout", "acknowledge_timeout"):
            require_seconds(getattr(self, name), f"tidegate.delivery.splunk: {name}")
        require_authorities(self.ca_file, "tidegate.delivery.splunk: ca_file")


def splunk_settings(told: Mapping[str, Any]) -> SplunkSettings:
    """Read them. Raises BadInput with the option's name."""
    return settings_of(SplunkSettings, told)
