"""What an answer of graphite-web means."""

from __future__ import annotations

import pytest

from tidegate.shipping.graphite.web import FEW, Meaning, meaning


@pytest.mark.parametrize(
    ("statuses", "wanted"),
    [
        ((200, 201, 204), Meaning.TAKEN),
        ((301, 302, 401, 403, 404, 405, 407), Meaning.MISCONFIGURED),
        ((400, 406, 413, 422), Meaning.BAD_EVENT),
        ((408, 425, 429, 500, 501, 502, 503, 504, 507), Meaning.RETRY),
    ],
)
def test_what_a_status_means(statuses: tuple[int, ...], wanted: Meaning) -> None:
    assert {meaning(status) for status in statuses} == {wanted}


def test_a_slow_one_gets_on_within_the_time_that_there_is() -> None:
    """Two requests for each marker, of a second each, within the default `drain`: else it never gets beyond them."""
    assert 2 * FEW * 1.0 < 60
