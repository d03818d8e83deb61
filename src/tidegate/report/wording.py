"""Texts from outside made fit for a page: visible controls, places to break a line, times as people read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from markupsafe import Markup, escape

from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import excerpt

MAX_TEXT = 600
# Up to this a word is an ordinary one and stays whole.
_WHOLE = 13
_PIECE = re.compile(r".{1,10}?(?:[/._:,=\\-]|(?<=[a-z0-9])(?=[A-Z]))|.{1,10}")
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800)


def plain(text: object, limit: int = MAX_TEXT) -> str:
    """One line of at most `limit` characters; controls and marks that turn the writing direction are shown escaped."""
    return excerpt(" ".join(str(text).split()), limit)


def soft(text: object, limit: int = MAX_TEXT) -> Markup:
    """The same as HTML, in which long words may be broken: without a style sheet they would widen the page."""
    return Markup(" ").join(_broken(word) for word in plain(text, limit).split(" "))


def _broken(word: str) -> Markup:
    if len(word) <= _WHOLE:
        return escape(word)
    return Markup("<wbr>").join(escape(piece) for piece in _PIECE.findall(word))


def cut(text: str, limit: int) -> str:
    """A name that has to fit: its beginning, with a mark when there was more."""
    told = plain(text, 10 * limit)
    return told if len(told) <= limit else f"{told[: limit - 1]}…"


def seconds(value: float | None) -> str:
    """`0.4 s`, `42 s`, `3 min 5 s`, `2 h 10 min`."""
    if value is None:
        return "-"
    if value < 10:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    return f"{whole // 3600} h" + (f" {whole % 3600 // 60} min" if whole % 3600 >= 60 else "")


def elapsed(value: float) -> str:
    """Since the beginning, as a clock: `0:07`, `12:30`, `1:02:00`."""
    whole = round(value)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def ticks(span: float, most: int = 5) -> list[float]:
    """Round moments within `span` seconds, from 0 on, at most `most`."""
    step = next((float(step) for step in _STEPS if span / step <= most - 1), span / (most - 1))
    return [step * number for number in range(int(span / step) + 1)]


def moment(at: str | datetime) -> str:
    """`2026-01-31 14:25:01 UTC`; empty for what is no time."""
    try:
        told = datetime.fromisoformat(at) if isinstance(at, str) else at
    except ValueError:
        return ""
    return f"{told.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
