# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading test results as a stream: NUnit 2.x, NUnit 3.x, TRX and JUnit, told apart by their root element.

Totals that a file states about itself are not believed: some writers set `result="Passed"` beside `failed="3"`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import NoReturn
from xml.parsers import expat

from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import excerpt
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results_case import Clean, Results, Sink, Unread
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results_format import (
    Attributes,
    Broken,
    Into,
    ResultsFormat,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results_junit import JUnit
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results_nunit import NUnit2, NUnit3
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results_text import readable
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results_trx import Trx

RESULTS_LIMIT = 100 * 1024 * 1024
CHUNK = 64 * 1024
_MOST_DEPTH = 200
# One tag with its attributes, one comment: expat keeps it until it is whole.
_LONGEST_TAG = 1024 * 1024
_FORMATS: dict[str, type[ResultsFormat]] = {
    "test-results": NUnit2,
    "test-run": NUnit3,
    "TestRun": Trx,
    "testsuites": JUnit,
    "testsuite": JUnit,
}


def read_results(chunks: Iterable[bytes], sink: Sink, clean: Clean | None = None) -> Results | Unread:
    """Give each case to `sink` as it is read; then what the whole file says, or why it can't be trusted.

    Cases count only if the answer is Results. At most 100 MiB, in about 1 MiB of memory; of TRX, whose names and
    categories come last, the cases that it holds. `clean` takes secrets out of names and messages. DTDs and entities
    are refused.
    """
    try:
        return _Reader(Into(sink, clean)).read(_pieces(chunks))
    except Broken as broken:
        return Unread(str(broken))
    except (LookupError, UnicodeError) as error:
        return Unread(f"the results file can't be read: {error}")


def chunks_of(path: Path) -> Iterator[bytes]:
    """The file's bytes, a little at a time. Raises OSError."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in small pieces; Broken when they are too many."""
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > RESULTS_LIMIT:
            raise Broken(f"the results file is larger than {RESULTS_LIMIT // 1024 // 1024} MiB")
        if len(chunk) <= CHUNK:
            yield chunk
        else:
            yield from (chunk[begin : begin + CHUNK] for begin in range(0, len(chunk), CHUNK))


class _Reader:
    def __init__(self, into: Into) -> None:
        self._into = into
        self._format: ResultsFormat | None = None
        # Our encoding overrides the declared one: what is fed is UTF-8.
        self._parser = expat.ParserCreate("utf-8")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._root
        self._parser.StartDoctypeDeclHandler = _refuse
        self._parser.EntityDeclHandler = _refuse
        self._parser.ExternalEntityRefHandler = _refuse

    def read(self, pieces: Iterator[bytes]) -> Results:
        fed = 0
        for data in chain(readable(pieces), [None]):
            try:
                self._parser.Parse(data or b"", data is None)
            except expat.ExpatError as error:
                raise self._broken(error, fed, ended=data is None) from None
            fed += len(data or b"")
            self._require_bounded(fed)
        if self._format is None:
            raise Broken("the results file is empty")
        return self._format.results()

    def _root(self, name: str, attributes: Attributes) -> None:
        known = _FORMATS.get(name)
        if known is None:
            raise Broken(f"the file is XML but no test results that are known here: its root is <{excerpt(name, 60)}>")
        self._format = known(self._parser, self._into)
        self._parser.StartElementHandler = self._format.start
        self._parser.EndElementHandler = self._format.end
        self._format.start(name, attributes)

    def _require_bounded(self, fed: int) -> None:
        where = f"at line {self._parser.CurrentLineNumber}"
        if self._format is not None and self._format.depth > _MOST_DEPTH:
            raise Broken(f"the results file nests more than {_MOST_DEPTH} elements, {where}")
        if fed - self._parser.CurrentByteIndex > _LONGEST_TAG + CHUNK:
            raise Broken(f"the results file has a tag or comment of more than {_LONGEST_TAG // 1024} KiB, {where}")

    def _broken(self, error: expat.ExpatError, fed: int, *, ended: bool) -> Broken:
        if ended and not fed:
            return Broken("the results file is empty")
        where = f"line {error.lineno}, column {error.offset + 1}"
        if ended:
            return Broken(f"the results file is cut off: it ends at {where}, before its last element does")
        return Broken(f"the results file is not XML at {where}: {expat.ErrorString(error.code)}")


def _refuse(*_declared: object) -> NoReturn:
    raise Broken("the results file has a DTD or entities, which no test runner writes")
