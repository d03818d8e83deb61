"""The demo's result as people read it: a small table, a sentence for each part, and what broke, if anything did."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

_COLUMNS = (
    ("", "part"),
    ("requests", "requests_total"),
    ("failed", "requests_failed"),
    ("retried", "retried"),
    ("redispatched", "redispatched"),
    ("p99 before", "p99_ms_before"),
    ("p99 ms", "p99_ms"),
    ("least online", "online"),
    ("customers got", "versions"),
    ("outcome", "outcome"),
    ("seconds", "seconds"),
)


@dataclass(frozen=True, slots=True)
class Paint:
    """Colours, or none where they would be noise."""

    on: bool

    @classmethod
    def for_stream(cls, stream: IO[str]) -> Paint:
        """Colours on a terminal only, and not where NO_COLOR is set (no-color.org)."""
        return cls(stream.isatty() and not os.environ.get("NO_COLOR"))

    def good(self, text: str) -> str:
        return self._in(text, 32)

    def bad(self, text: str) -> str:
        return self._in(text, 31)

    def strong(self, text: str) -> str:
        return self._in(text, 1)

    def _in(self, text: str, code: int) -> str:
        return f"\033[{code}m{text}\033[0m" if self.on else text


def table(parts: Mapping[str, dict[str, Any]], titles: Mapping[str, str], paint: Paint) -> str:
    """One line a part, columns as wide as their widest cell."""
    lines = [[head for head, _ in _COLUMNS]]
    lines += [[_cell(key, f"({name}) {titles[name]}", part) for _, key in _COLUMNS] for name, part in parts.items()]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_COLUMNS))]
    texts = ["  ".join(_aligned(line, widths)).rstrip() for line in lines]
    return "\n".join([paint.strong(texts[0]), *texts[1:]])


def _aligned(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [
        cell.rjust(width) if cell[:1].isdigit() else cell.ljust(width) for cell, width in zip(line, widths, strict=True)
    ]


def _cell(key: str, title: str, part: dict[str, Any]) -> str:
    if key == "part":
        return title
    if key == "online":
        return f"{part['min_online_seen']} (floor {part['min_online_allowed']})"
    if key == "versions":
        return ", ".join(part["versions_served_to_customers"])
    value = part[key]
    return f"{value:,}" if isinstance(value, int) else "-" if value is None else str(value)


def sentence(name: str, part: dict[str, Any], version: str, nodes: int) -> str:
    """What happened in this part, in words; only what was measured."""
    lost = f"{part['requests_total']:,} requests, {part['requests_failed'] or 'none'} failed"
    after = part["details"]["afterwards"]
    online = f"At least {part['min_online_seen']} of {nodes} nodes were online (allowed: {part['min_online_allowed']})."
    if part["outcome"] == "held":
        held = ", ".join(sorted({node for each in after["maintenance"].values() for node in each})) or "nobody"
        reached = (
            "customers reached it" if version in part["versions_served_to_customers"] else "no customer reached it"
        )
        # The first sentence says what failed; the rest, up to the remedy, is in the part's log.
        why = "; ".join(message.partition(". ")[0] for _, message in after["failures"]) or "no reason in the ledger"
        what = f"{version} is held ({why}): {held} stays in the maintenance pool, {reached}"
    else:
        serving = sorted({each for each in after["serving"].values() if each})
        what = (
            f"{part['outcome'].replace('_', ' ')} after {part['seconds']:.0f} s; the nodes serve {', '.join(serving)}"
        )
    return f"({name}) {what}. {lost}. {online}"


def verdict(broken: Mapping[str, Sequence[str]], paint: Paint) -> str:
    """The last lines: that all held, or every demand that did not."""
    found = [f"({name}) {text}" for name, texts in broken.items() for text in texts]
    if not found:
        return paint.good("Everything held: no request failed, none had to be tried twice, and both accounts agree.")
    return "\n".join([paint.bad("NOT everything held:"), *(paint.bad(f"  {text}") for text in found)])
