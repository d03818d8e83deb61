"""Drawings as SVG that need no style: presentation attributes, widths in per cent, letters that keep their size.

There is no viewBox: with one, a phone would shrink the letters. Horizontal places are per cent of whatever width there
is, heights are pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from markupsafe import Markup, escape

from tidegate.report.customers import Customers
from tidegate.report.spells import Attempt, Band, Phase, Spell, Track
from tidegate.report.wording import cut, elapsed, moment, plain, seconds, ticks

MAX_DRAWN = 60
_FONT = "Helvetica, Arial, sans-serif"
_ROW = 44
_HEAD = 26
_AXIS = 30
_MOST_DESCRIBED = 20
_INK, _GREY, _RED, _LINE = "#1b1f24", "#57606a", "#b3261e", "#d0d7de"
# Phase: fill, letter in it, its colour; heights differ too, so that colour is never the only sign.
LOOKS = {
    Phase.ONLINE: ("#7d8b99", "", 5),
    Phase.DRAINING: ("url(#draining)", "", 16),
    Phase.OUT: ("#ffffff", "", 16),
    Phase.DEPLOYING: ("#1f5fa8", "D", 16),
    Phase.TESTING: ("#6a3d9a", "T", 16),
    Phase.JOINING: ("url(#joining)", "", 16),
    Phase.JOINED: ("#1b7a3d", "", 9),
}
MEANINGS = (
    (Phase.ONLINE, "online, customers come"),
    (Phase.DRAINING, "draining: no new customers"),
    (Phase.OUT, "maintenance: no customers"),
    (Phase.DEPLOYING, "D: deploying"),
    (Phase.TESTING, "T: testing"),
    (Phase.JOINING, "joining"),
    (Phase.JOINED, "joined, online again"),
)
_SERIES = ("#1f5fa8", "#8a5a00", "#6a3d9a", "#1b7a3d")
# Patterns are drawn once a page and used by every drawing on it.
DEFINITIONS = Markup(
    '<svg width="0" height="0" aria-hidden="true"><defs>'
    '<pattern id="draining" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="6" height="6" fill="#ffe2b0"/><rect width="3" height="6" fill="#a35f00"/></pattern>'
    '<pattern id="joining" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)">'
    '<rect width="6" height="6" fill="#cdebd6"/><rect width="3" height="6" fill="#1b7a3d"/></pattern>'
    "</defs></svg>"
)


def drawn(attempt: Attempt) -> list[Track]:
    """The tracks that are drawn: those on which something went wrong, then by wave, then those that stayed."""
    order = {track.node: place for place, track in enumerate(attempt.tracks)}

    def rank(track: Track) -> tuple[bool, bool, int, int]:
        return (not track.marks, not track.moved, track.wave or 10**9, order[track.node])

    chosen = sorted(attempt.tracks, key=rank)[:MAX_DRAWN]
    return sorted(chosen, key=lambda track: rank(track)[1:])


def through_the_pools(attempt: Attempt) -> Markup:
    """One row a node, from the attempt's beginning to its end, with the waves behind."""
    tracks = drawn(attempt)
    foot = _HEAD + _ROW * len(tracks)
    parts = [
        *_bands(attempt, foot),
        *(part for place, track in enumerate(tracks) for part in _row(attempt, track, _HEAD + _ROW * place)),
        *_axis(attempt, foot),
    ]
    return _svg(
        f"pools-{attempt.number}",
        foot + _AXIS,
        f"Nodes through the pools, attempt {attempt.number}",
        _description(attempt, tracks),
        parts,
    )


def swatch(phase: Phase) -> Markup:
    """A phase as the legend shows it."""
    fill, letter, height = LOOKS[phase]
    label = _text("14", "12.5", letter, "#ffffff", size=11, anchor="middle") if letter else Markup("")
    return Markup('<svg width="28" height="16" aria-hidden="true">{}{}</svg>').format(
        _bar("1", "26", 8, height - 2, fill), label
    )


def latency(customers: Customers, attempt: Attempt) -> Markup:
    """Mean total time of the last 1,024 requests at each sample, a line for each load balancer; empty without two."""
    samples = [
        sample for sample in customers.samples if sample.attempt == attempt.number and "total_ms" in sample.times_ms
    ]
    names = list(dict.fromkeys(sample.load_balancer for sample in samples))[: len(_SERIES)]
    if len(samples) < 2:
        return Markup("")
    top = max(1, *(sample.times_ms["total_ms"] for sample in samples))
    head, high = 20, 90
    foot = head + high
    parts = [*_bands(attempt, foot)]
    parts += [_line("0", head, "100%", head, _LINE), _line("0", foot, "100%", foot, _GREY)]
    parts.append(_text("0", str(head + 12), f"{top} ms", _GREY, size=11))
    for place, name in enumerate(names):
        colour = _SERIES[place]
        points = [
            (_percent(attempt.share(sample.at)), foot - high * sample.times_ms["total_ms"] / top)
            for sample in samples
            if sample.load_balancer == name
        ]
        # Dashes tell the lines apart where colours can't.
        dash = Markup(' stroke-dasharray="{}"').format("6 3" if place % 2 else "none")
        parts += [_line(x1, y1, x2, y2, colour, 2, dash) for (x1, y1), (x2, y2) in pairwise(points)]
        parts += [_circle(x, y, colour, 3) for x, y in points]
    parts += _axis(attempt, foot)
    told = ", ".join(
        f"{plain(sample.load_balancer, 80)} {sample.times_ms['total_ms']} ms" for sample in samples[:_MOST_DESCRIBED]
    )
    title = "Mean time of customers' requests, by load balancer"
    return _svg(f"latency-{attempt.number}", foot + _AXIS, title, told, parts)


def series(customers: Customers) -> list[tuple[Markup, str]]:
    """The load balancers with their line, as the legend shows them."""
    names = list(dict.fromkeys(sample.load_balancer for sample in customers.samples))[: len(_SERIES)]
    return [
        (
            Markup('<svg width="28" height="12" aria-hidden="true">{}</svg>').format(
                _line(
                    "0", 6, "28", 6, _SERIES[place], 2, Markup(' stroke-dasharray="6 3"') if place % 2 else Markup("")
                )
            ),
            name,
        )
        for place, name in enumerate(names)
    ]


def _svg(name: str, height: float, title: str, description: str, parts: Iterable[Markup]) -> Markup:
    return Markup(
        '<svg role="img" aria-labelledby="{name}-title" aria-describedby="{name}-desc" '
        'width="100%" height="{height:g}" font-family="{font}">'
        '<title id="{name}-title">{title}</title><desc id="{name}-desc">{description}</desc>{parts}</svg>'
    ).format(
        name=name,
        height=height,
        font=_FONT,
        title=title,
        description=description,
        parts=Markup("\n").join(parts),
    )


def _description(attempt: Attempt, tracks: Sequence[Track]) -> str:
    shown = [f"{plain(track.node, 80)}: {_told(attempt, track)}" for track in tracks[:_MOST_DESCRIBED]]
    more = len(attempt.tracks) - len(shown)
    return ". ".join([*shown, *([f"{more} more nodes are in the table below"] if more else [])]) + "."


def _told(attempt: Attempt, track: Track) -> str:
    spells = ", ".join(f"{spell.phase} from {elapsed(_from(attempt, spell))}" for spell in track.spells[:20])
    wrong = ", ".join(f"{mark.step} {mark.outcome} at {elapsed(_since(attempt, mark.at))}" for mark in track.marks[:3])
    return f"{spells}; {wrong}" if wrong else spells


def _from(attempt: Attempt, spell: Spell) -> float:
    return (spell.begin - attempt.begin).total_seconds()


def _since(attempt: Attempt, at: object) -> float:
    return (at - attempt.begin).total_seconds()  # type: ignore[operator,no-any-return]


def ending(track: Track) -> str:
    """How a node's row ended, in a few words."""
    if track.marks:
        first = track.marks[0]
        return f"{first.step} {first.outcome}"
    if not track.moved:
        return "stayed online" if track.last.reached else "stayed out"
    return {Phase.JOINED: "joined", Phase.ONLINE: "online again", Phase.OUT: "in maintenance"}.get(
        track.last, str(track.last)
    )


def _row(attempt: Attempt, track: Track, top: int) -> list[Markup]:
    middle = top + 28
    wave = f" · wave {track.wave}" if track.wave and track.moved else ""
    colour = _RED if track.marks else _INK if track.moved else _GREY
    mark = "✕ " if track.marks else "✓ " if track.moved and track.last.reached else ""
    parts = [
        _text("0", str(top + 14), cut(track.node, 26), _INK, bold=track.moved, after=wave),
        _text("100%", str(top + 14), cut(mark + ending(track), 28), colour, anchor="end", bold=bool(track.marks)),
    ]
    for spell in track.spells:
        fill, letter, height = LOOKS[spell.phase]
        begin, end = attempt.share(spell.begin), attempt.share(spell.end)
        parts.append(_bar(_percent(begin), _percent(end - begin), middle, height, fill, _tip(attempt, track, spell)))
        if letter and end - begin > 0.045:
            parts.append(
                _text(_percent((begin + end) / 2), str(middle + 4), letter, "#ffffff", size=11, anchor="middle")
            )
    for at in dict.fromkeys(mark.at for mark in track.marks[:10]):
        x = _percent(min(0.98, max(0.02, attempt.share(at))))
        parts += [_circle(x, middle, _RED, 9), _text(x, str(middle + 5), "✕", "#ffffff", size=13, anchor="middle")]
    return parts


def _tip(attempt: Attempt, track: Track, spell: Spell) -> str:
    begin, end = _from(attempt, spell), _from(attempt, spell) + spell.seconds
    return f"{cut(track.node, 60)}: {spell.phase} {elapsed(begin)} to {elapsed(end)} ({seconds(spell.seconds)})"


def _bands(attempt: Attempt, foot: int) -> list[Markup]:
    parts: list[Markup] = []
    for place, band in enumerate(attempt.bands):
        begin, end = attempt.share(band.begin), attempt.share(band.end)
        parts.append(
            Markup('<rect x="{}" y="0" width="{}" height="{}" fill="{}"/>').format(
                _percent(begin), _percent(end - begin), foot, "#eef3f8" if place % 2 == 0 else "#f7f4ee"
            )
        )
        parts.append(_line(_percent(begin), 0, _percent(begin), foot, "#8c99a6", 1, Markup(' stroke-dasharray="3 3"')))
        parts.append(_text(_percent((begin + end) / 2), "15", _label(band, end - begin), _GREY, anchor="middle"))
    return parts


def _label(band: Band, share: float) -> str:
    """As long as there is room on a phone."""
    return f"wave {band.number}" if share > 0.16 else str(band.number) if share > 0.03 else ""


def _axis(attempt: Attempt, foot: int) -> list[Markup]:
    parts = [_line("0", foot, "100%", foot, _GREY)]
    for tick in ticks(attempt.span):
        share = tick / attempt.span
        anchor = "start" if share < 0.02 else "end" if share > 0.93 else "middle"
        parts.append(_line(_percent(share), foot, _percent(share), foot + 5, _GREY))
        parts.append(_text(_percent(share), str(foot + 19), elapsed(tick), _GREY, anchor=anchor))
    return parts


def began(attempt: Attempt) -> str:
    """When the axis begins."""
    return moment(attempt.begin)


def _percent(share: float) -> str:
    return f"{100 * share:.2f}%"


def _bar(x: str, width: str, middle: float, height: float, fill: str, tip: str = "") -> Markup:
    # A stroke of its own makes the shortest spell visible.
    stroke = (
        "#7d8b99" if fill == "#ffffff" else "#a35f00" if "draining" in fill else "#1b7a3d" if "url" in fill else fill
    )
    title = Markup("<title>{}</title>").format(tip) if tip else Markup("")
    return Markup(
        '<rect x="{}" y="{:g}" width="{}" height="{:g}" fill="{}" stroke="{}" stroke-width="1">{}</rect>'
    ).format(x, middle - height / 2, width, height, fill, stroke, title)


def _line(
    x1: str,
    y1: float,
    x2: str,
    y2: float,
    colour: str,
    width: float = 1,
    more: Markup = Markup(""),  # noqa: B008
) -> Markup:
    return Markup('<line x1="{}" y1="{:g}" x2="{}" y2="{:g}" stroke="{}" stroke-width="{:g}"{}/>').format(
        x1, y1, x2, y2, colour, width, more
    )


def _circle(x: str, y: float, fill: str, radius: int) -> Markup:
    return Markup('<circle cx="{}" cy="{:g}" r="{}" fill="{}" stroke="#ffffff" stroke-width="1"/>').format(
        x, y, radius, fill
    )


def _text(
    x: str,
    y: str,
    text: str,
    colour: str,
    *,
    size: int = 12,
    anchor: str = "start",
    bold: bool = False,
    after: str = "",
) -> Markup:
    weight = Markup(' font-weight="bold"') if bold else Markup("")
    rest = Markup('<tspan font-weight="normal" fill="{}">{}</tspan>').format(_GREY, after) if after else Markup("")
    return Markup('<text x="{}" y="{}" font-size="{}" fill="{}" text-anchor="{}"{}>{}{}</text>').format(
        x, y, size, colour, anchor, weight, escape(text), rest
    )
