"""How a collector is set up: its tokens and its limits, under the names that Splunk's configuration files have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Token:
    """One `[http://name]` (Page.INPUTS). `indexes` empty: any index may be named."""

    name: str
    value: str
    disabled: bool = False
    use_ack: bool = False
    allow_query_string_auth: bool = False
    index: str = "main"
    indexes: tuple[str, ...] = ()
    source: str = ""
    sourcetype: str = "httpevent"

    @property
    def default_source(self) -> str:
        """`http:` and the token's name where none is set; the documentation shows it in its examples."""
        return self.source or f"http:{self.name}"


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes (decompressed ones too), times in seconds; the defaults are Page.LIMITS' and Page.INPUTS'."""

    max_content_length: int = 838_860_800
    max_event_size: int = 5 * 1024 * 1024
    max_idle_time_s: float = 600.0
    max_acks_pending: int = 10_000_000
    max_acks_pending_per_channel: int = 1_000_000
    max_channels: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Configuration:
    """All that a collector is told before it starts."""

    tokens: tuple[Token, ...]
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def of(cls, given: dict[str, Any]) -> Configuration:
        """From a JSON object with `tokens` and, if they are to differ, `limits`; raises TypeError for unknown keys."""
        tokens = tuple(Token(**{**one, "indexes": tuple(one.get("indexes", ()))}) for one in given["tokens"])
        return cls(tokens, Limits(**given.get("limits", {})))
