# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every format of test results has in common while it is read: open elements, bounded texts, cases."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import excerpt
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results_case import Clean, Results, Sink

if TYPE_CHECKING:
    from xml.parsers.expat import XMLParserType

MOST_CASES = 500_000
LONGEST_MESSAGE = 2000
LONGEST_NAME = 2000
MOST_CATEGORIES = 50
# More than is shown, so that secrets are taken out before anything is cut.
_LONGEST_TEXT = 64 * 1024
_MOST_REMARKS = 20
Attributes = Mapping[str, str]


class Broken(Exception):
    """The file can't be trusted; the text says why."""


@dataclass(frozen=True, slots=True)
class Into:
    """Where cases go, and what takes secrets out of their texts."""

    sink: Sink
    clean: Clean | None = None


class ResultsFormat(ABC):
    """The handlers of one format's elements. Called for every element: they are the reader's speed."""

    NAME = ""

    def __init__(self, parser: XMLParserType, into: Into) -> None:
        self.depth = 0
        self.aborted = ""
        self._parser = parser
        self._sink, self._clean = into.sink, into.clean
        self._cases = 0
        self._remarks: list[str] = []
        self._pieces: list[str] = []
        self._room = 0

    @abstractmethod
    def start(self, name: str, attributes: Attributes) -> None:
        """An element begins."""

    @abstractmethod
    def end(self, name: str) -> None:
        """An element ends."""

    def results(self) -> Results:
        """What there is to say when the file was read to its end."""
        return Results(self.NAME, self._cases, tuple(self._remarks), self.aborted)

    def _counted(self) -> None:
        self._cases += 1
        if self._cases > MOST_CASES:
            raise Broken(f"the results file holds more than {MOST_CASES} cases")

    def _remark(self, text: str) -> None:
        if len(self._remarks) < _MOST_REMARKS:
            self._remarks.append(self._cleaned(text))

    def _cleaned(self, text: str, limit: int = LONGEST_MESSAGE) -> str:
        """Without secrets, and only then cut."""
        if self._clean is not None and text:
            text = self._clean(text)
        return text[:limit]

    # The text of an element

    def _collect(self) -> None:
        self._pieces, self._room = [], _LONGEST_TEXT
        self._parser.CharacterDataHandler = self._text

    def _text(self, data: str) -> None:
        if self._room > 0:
            self._pieces.append(data[: self._room])
            self._room -= len(data)

    def _collected(self) -> str:
        self._parser.CharacterDataHandler = None
        text = "".join(self._pieces).strip()
        self._pieces = []
        return text


def nested(name: str) -> Broken:
    """A case inside a case: whose outcome is whose can't be told."""
    return Broken(f"the results file has a <{excerpt(name, 60)}> inside another one, which no format has")


def with_category(categories: tuple[str, ...], category: str) -> tuple[str, ...]:
    """One more of them, each once and not endlessly many."""
    category = category[:LONGEST_NAME]
    if not category or category in categories or len(categories) >= MOST_CATEGORIES:
        return categories
    return (*categories, category)


def file_of(path: str) -> str:
    """The file's name of a Windows or Linux path."""
    return path.replace("\\", "/").rpartition("/")[2]
