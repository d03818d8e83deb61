# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which variables look secret, and text without their values, in the forms in which programs print them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event

BLOT = "***"
# Shorter ones are in every other word: blotting them out would make messages unreadable and hide nothing.
LEAST = 6
_MOST_DEPTH = 12
_SEPARATORS = re.compile(r"[^a-z0-9]")
_TELLING = ("password", "passwd", "passphrase", "secret", "token", "apikey", "privatekey", "credential")
_PASS = re.compile(r"(^|[^a-z])pass([^a-z]|$)|[a-z]{2}pass$")
_NO_PASS = re.compile(r"(askpass|bypass|compass)$")
# What only says where a secret is.
_PLACE = re.compile(r"[_-](file|path|dir|folder)$")
# `scheme://user:password@host`, whoever wrote it; in a descriptor the host may be a placeholder.
_USERINFO = re.compile(r"(?<=://)[^\s/?#'\"<>]{1,400}@(?=[\w\[{])")
# All programs show these characters as they are.
_PLAIN = re.compile(r"[A-Za-z0-9._-]+")
_PERCENT = re.compile("%[0-9A-F]{2}")
_CUT = "…"
# The variable that names more of them is none itself.
NAMED = "tidegate_secrets"
# A raw value as it is used, templated and decrypted; None when it has none.
Resolve = Callable[[Any], Any]


def looks_secret(name: str, named: Collection[str] = ()) -> bool:
    """Whether a variable of this name holds a secret: by its name, or because it is one of `named`."""
    lower = name.lower()
    if name in named or name == NAMED or _PLACE.search(lower):
        return name in named
    bare = _SEPARATORS.sub("", lower)
    return any(word in bare for word in _TELLING) or bool(_PASS.search(lower) and not _NO_PASS.search(lower))


def secrets_in(variables: Mapping[str, Any], named: Collection[str], resolve: Resolve) -> Iterator[str]:
    """The values of those variables, and of keys below them, whose names look secret.

    Only these are given to `resolve`.
    """
    for name, value in variables.items():
        if looks_secret(str(name), named):
            yield from _texts(resolve(value), _MOST_DEPTH)
        elif isinstance(value, Mapping | list):
            yield from _below(value, named, resolve, _MOST_DEPTH)


def _below(value: Any, named: Collection[str], resolve: Resolve, depth: int) -> Iterator[str]:  # noqa: ANN401
    if depth and isinstance(value, Mapping):
        yield from (text for name, each in value.items() for text in _entry(str(name), each, named, resolve, depth))
    elif depth and isinstance(value, list):
        yield from (text for each in value for text in _below(each, named, resolve, depth - 1))


def _entry(name: str, value: Any, named: Collection[str], resolve: Resolve, depth: int) -> Iterator[str]:  # noqa: ANN401
    if looks_secret(name, named):
        return _texts(resolve(value), depth)
    return _below(value, named, resolve, depth - 1)


def _texts(value: Any, depth: int) -> Iterator[str]:  # noqa: ANN401
    if isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool)):
        yield str(value)
    elif depth and isinstance(value, Mapping):
        yield from (text for each in value.values() for text in _texts(each, depth - 1))
    elif depth and isinstance(value, list | tuple):
        yield from (text for each in value for text in _texts(each, depth - 1))


def without_userinfo(text: str) -> str:
    """The same without users and passwords of a URL that nobody may have split: whatever stands before its last `@`."""
    return re.sub(r"://.*@", f"://{BLOT}@", text, flags=re.DOTALL)


class Redactor:
    """Replaces secrets by `***`, in whatever is printed, recorded or kept.

    `public` are names that everybody may see (hosts, groups, services): a secret that is one of them hides nothing.
    """

    def __init__(self, secrets: Iterable[str], public: Collection[str] = ()) -> None:
        self.forms = printed(secrets, public)

    def text(self, text: str) -> str:
        """The text without secrets, also those that somebody cut short with `…`, and without users in URLs."""
        for form in self.forms:
            if form in text:
                text = text.replace(form, BLOT)
        if "://" in text and "@" in text:
            text = _USERINFO.sub(f"{BLOT}@", text)
        return self._without_cut_ones(text) if _CUT in text else text

    def value(self, value: Any) -> Any:  # noqa: ANN401
        """The same structure with all texts in it redacted, keys included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self._key(key): self.value(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(each) for each in value]
        return value

    def event(self, event: Event) -> Event:
        """The event with its details redacted."""
        details = self.value(event.details)
        return event if details == event.details else replace(event, details=details)

    def _key(self, key: Any) -> Any:  # noqa: ANN401
        return self.text(key) if isinstance(key, str) else key

    def _without_cut_ones(self, text: str) -> str:
        pieces = text.split(_CUT)
        return _CUT.join([*(self._without_beginning(piece) for piece in pieces[:-1]), pieces[-1]])

    def _without_beginning(self, piece: str) -> str:
        """What stands before a cut, without the beginning of a secret at its end."""
        for form in self.forms:
            if form[:LEAST] not in piece:
                continue
            for length in range(min(len(form) - 1, len(piece)), LEAST - 1, -1):
                if piece.endswith(form[:length]):
                    return piece[:-length] + BLOT
        return piece


def printed(secrets: Iterable[str], public: Collection[str] = (), least: int = LEAST) -> tuple[str, ...]:
    """All forms in which programs print these secrets and their lines, but for those shorter than `least`.

    The longest first: what is a part of another one must not spoil it.
    """
    parts = {part for secret in secrets for part in _parts(secret, least)} - set(public)
    forms = {form for part in parts for form in _forms(part)}
    return tuple(sorted(forms, key=lambda form: (-len(form), form)))


def _parts(secret: str, least: int) -> Iterator[str]:
    """The secret, and each of its lines: programs show many lines one by one."""
    for part in (secret, secret.strip(), *(line.strip() for line in secret.splitlines())):
        if len(part) >= least:
            yield part


def _forms(secret: str) -> Iterator[str]:
    """As it is, and as URLs, JSON (escaped once and twice), XML, Python and shells show it."""
    yield secret
    if _PLAIN.fullmatch(secret):
        return
    for quoted in (quote(secret, safe=""), quote(secret), quote_plus(secret)):
        yield from (quoted, _PERCENT.sub(lambda found: found[0].lower(), quoted))
    for ascii_only in (True, False):
        once = _in_json(secret, ascii_only=ascii_only)
        yield from (once, _in_json(once, ascii_only=ascii_only))
    yield from (escape(secret), escape(secret, {'"': "&quot;"}), escape(secret, {'"': "&quot;", "'": "&apos;"}))
    yield from (repr(secret)[1:-1], secret.encode("unicode_escape", "surrogatepass").decode())
    yield secret.replace("'", "'\"'\"'")
    yield " ".join(secret.split())


def _in_json(text: str, *, ascii_only: bool) -> str:
    return json.dumps(text, ensure_ascii=ascii_only)[1:-1]
