# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a test box reported of one run: how far it came, who answered the probes, how the runner ended."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import excerpt
from ansible_collections.tidegate.delivery.plugins.module_utils.health.http_answer import Answer

_BETWEEN_HEADS = re.compile(r"\r?\n\r?\n")


class Stage(StrEnum):
    """How far the box came; every one but DONE ended the run."""

    TOOLS = "tools"
    BUSY = "busy"
    FETCH = "fetch"
    DIGEST = "digest"
    UNPACK = "unpack"
    ASSEMBLY = "assembly"
    AIM = "aim"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class BoxReport:
    """What the box reported: how far it came and why it ended there, the runner's end, and who answered the probes.

    `place` is what it had in the queue when it came, 1 for the front, and `queued` the seconds until its turn;
    `assemblies` are the files that were tested with their SHA-256; `source` is the address that its requests came from.
    """

    stage: Stage
    problem: str = ""
    folder: str = ""
    runner_rc: int | None = None
    runner_seconds: float = 0.0
    console: str = ""
    probes: Mapping[str, Answer] = field(default_factory=dict)
    place: int = 0
    queued: float = 0.0
    assemblies: Mapping[str, str] = field(default_factory=dict)
    source: str = ""


def read_report(output: bytes) -> BoxReport:
    """The report from the script's output: one `name value` a line, the values in base64.

    Raises BadInput for an output that did not come from the script.
    """
    told: dict[str, bytes] = {}
    try:
        for line in output.decode("ascii").splitlines():
            name, _, value = line.partition(" ")
            told[name] = base64.b64decode(value, validate=True)
        stage = Stage(_told(told, "stage"))
        seconds, queued = (float(_told(told, name) or 0) for name in ("seconds", "queued"))
        place = int(_told(told, "place") or 0)
    except (UnicodeDecodeError, binascii.Error, ValueError):
        raise BadInput(
            f"the report of the test box can't be read: {excerpt(output[-200:], 150)!r}",
            where="test box",
            remedy="Look whether its login shell prints something of its own",
        ) from None
    code = _told(told, "rc")
    return BoxReport(
        stage,
        excerpt(_told(told, "problem"), 400),
        _told(told, "folder"),
        int(code) if code.isascii() and code.isdecimal() else None,
        seconds,
        _told(told, "console"),
        {when: _probe(told, when) for when in ("before", "after") if f"{when}.rc" in told},
        place,
        queued,
        {name: digest for digest, _, name in (line.partition("  ") for line in _told(told, "assemblies").splitlines())},
        _told(told, "before.source"),
    )


def _told(told: Mapping[str, bytes], name: str) -> str:
    return told.get(name, b"").decode(errors="replace").strip()


def _probe(told: Mapping[str, bytes], when: str) -> Answer:
    if _told(told, f"{when}.rc") != "0":
        return Answer(0.0, 0.0, problem=excerpt(_told(told, f"{when}.error"), 200) or "no answer")
    lines = _final_head(_told(told, f"{when}.head")).splitlines()
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    status = lines[0].split()[1:2] if lines else []
    if not status or not status[0].isdigit():
        return Answer(0.0, 0.0, problem="the answer has no status")
    return Answer(0.0, 0.0, int(status[0]), headers, told.get(f"{when}.body", b""))


def _final_head(heads: str) -> str:
    """Of all heads that curl writes the last: interim answers, such as 103 Early Hints, have their own before it."""
    return next((head for head in reversed(_BETWEEN_HEADS.split(heads)) if head.startswith("HTTP/")), heads)
