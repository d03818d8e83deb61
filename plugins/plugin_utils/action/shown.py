# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Ansible shows while an action of ours runs: with -vvv also what hosts were told and what they answered."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ansible.utils.display import Display

from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import printable

_thread = threading.local()
# Every way to show something ends in one of these; the connection plugins' `vvv` and its like in `verbose`.
_WAYS = ("display", "verbose", "debug", "warning", "error")


@contextmanager
def redacted(redact: Callable[[str], str]) -> Iterator[None]:
    """Have everything that this worker shows redacted, and nothing in it that a terminal would obey.

    A worker lives for one task: nobody else's is.
    """
    shown = Display()
    for way in _WAYS:
        setattr(shown, way, _through(redact, getattr(shown, way)))
    try:
        yield
    finally:
        for way in _WAYS:
            delattr(shown, way)


def _through(redact: Callable[[str], str], show: Callable[..., Any]) -> Callable[..., Any]:
    def clean(text: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (Ansible's own signature)
        return show(printable(_clean(redact, text)) if isinstance(text, str) else text, *args, **kwargs)

    return clean


def _clean(redact: Callable[[str], str], text: str) -> str:
    if getattr(_thread, "redacting", False):
        # Finding the secrets may itself have something to show: of names and templates, before there are values.
        return text
    _thread.redacting = True
    try:
        return redact(text)
    finally:
        _thread.redacting = False
