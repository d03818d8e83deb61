# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The values of a service descriptor: each is read strictly, in one place."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy import state as haproxy_state
from ansible_collections.tidegate.delivery.plugins.module_utils.health.json_path import parse_json_path
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet import hiera
from ansible_collections.tidegate.delivery.plugins.module_utils.values import Share, format_duration, parse_duration

_NAME = r"^[a-z][a-z0-9_-]{0,62}$"
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
# As the test box takes them, so that a slip shows before a wave has left.
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
_HEADER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,199}")
_NAGIOS_SERVICE = re.compile(r"[^;\x00-\x1f]{1,255}")
# These become words of HAProxy's configuration: nothing that it could read as more than one.
HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_CHECK = re.compile(r"/[A-Za-z0-9._~/?=&-]*")
_BIND = re.compile(r"[A-Za-z0-9.:*_\[\]-]*:[0-9]{1,5}( [A-Za-z0-9./,:_@-]+)*")
Parsed = TypeVar("Parsed")


def _scalar(parse: Callable[[Any], Parsed]) -> Callable[[Any], Parsed]:
    """`parse`, but for lists and mappings: their text could be endless."""

    def read(value: Any) -> Parsed:  # noqa: ANN401
        if not isinstance(value, str | int | float):
            raise ValueError("must be a single value, not a list or mapping")
        return parse(value)

    return read


Seconds = Annotated[float, BeforeValidator(_scalar(parse_duration)), PlainSerializer(format_duration, return_type=str)]
NodeShare = Annotated[
    Share, BeforeValidator(_scalar(Share.parse)), PlainSerializer(lambda share: str(share), return_type=str)
]
Name = Annotated[str, Field(pattern=_NAME)]


def known_placeholders(*known: str) -> Callable[[str], str]:
    """A validator that refuses other placeholders than these."""

    def check(text: str) -> str:
        unknown = sorted(set(_PLACEHOLDER.findall(text)) - set(known))
        if unknown:
            allowed = ", ".join(f"{{{name}}}" for name in known)
            raise ValueError(f"unknown placeholder {{{unknown[0]}}}; allowed are {allowed}")
        return text

    return check


def url_text(text: str) -> str:
    """The text, if it is an URL that can be asked, and can be told to curl on a test box. Raises ValueError."""
    if not re.match(r"https?://[^\s/]+", text):
        raise ValueError(f"{text!r} is not an http or https URL")
    if re.match(r"https?://[^/?#]*@", text):
        raise ValueError("the URL carries a user or password")
    if odd := re.search(r"""[^!#-\[\]-~]""", text):
        raise ValueError(f"the URL has {odd[0]!r}, which must be percent-encoded")
    return text


def _like(pattern: re.Pattern[str], what: str) -> AfterValidator:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(f"{text[:120]!r} is not {what}")
        return text

    return AfterValidator(check)


def _json_path(text: str) -> str:
    try:
        steps = parse_json_path(text)
    except BadInput as error:
        raise ValueError(error.message) from None
    if not steps:
        raise ValueError(f"{text!r} is the whole document; name one place in it, such as $.status")
    return text


def _finite(value: str | int | float | bool) -> str | int | float | bool:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value!r} is no value that JSON has")
    return value


def _single(value: Any) -> Any:  # noqa: ANN401
    """Told once, and not once for each kind of value that it isn't."""
    if not isinstance(value, str | int | float):
        raise ValueError("must be a text, a number, true or false")
    return value


def _day(value: Any) -> date:  # noqa: ANN401
    # YAML reads a bare 2026-12-31 as a date already; pydantic alone would take numbers, too.
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError(f"{str(value)[:60]!r} is not a day such as 2026-12-31") from None


NodeUrl = Annotated[str, AfterValidator(url_text), AfterValidator(known_placeholders("node", "service", "environment"))]
Path = Annotated[str, Field(pattern=r"^/\S*$")]
JsonPath = Annotated[str, AfterValidator(_json_path)]
Scalar = Annotated[str | int | float | bool, BeforeValidator(_single), AfterValidator(_finite)]
Backend = Annotated[str, _like(haproxy_state.NAME, "a backend's name: letters, digits and . _ : -, at most 100")]
FileName = Annotated[str, _like(_FILE, "a plain file name: letters, digits and . _ -, without folders")]
HeaderName = Annotated[str, _like(_HEADER, "a header's name: letters, digits, _ and -")]
VariableName = Annotated[str, _like(_VARIABLE, "a variable's name: letters, digits and _")]
HieraKey = Annotated[str, _like(hiera.KEY, "a Hiera key such as tradeapi::version")]
Text = Annotated[str, Field(min_length=1, max_length=2000)]
# What ends a field of Nagios' external commands can't be in a name.
NagiosService = Annotated[str, _like(_NAGIOS_SERVICE, "a service's description in Nagios: no semicolon, at most 255")]
HostName = Annotated[str, _like(HOST_NAME, "a host name in small letters, without a port")]
PathPrefix = Annotated[str, _like(_PREFIX, "a path such as /trade, without a slash at its end")]
CheckPath = Annotated[str, _like(_CHECK, "a path such as /health: letters, digits and . _ ~ / ? = & -")]
Bind = Annotated[str, _like(_BIND, "an ADDRESS:PORT with options, as HAProxy's `bind` takes them")]
Day = Annotated[date, BeforeValidator(_day), PlainSerializer(str, return_type=str)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Part(BaseModel):
    """A part of a descriptor: unknown keys are errors, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


def fill(text: str, **values: str) -> str:
    """`text` with its placeholders filled in; those that have no value here stay."""
    return _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), text)
