"""The report in Chromium, under the policy that Jenkins sends: nothing is refused, nothing is wider than the window."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.report.browser import Browser, browser, served
from tests.unit.tidegate.report.recordings import hostile_page, page, recorded, with_customers

NAMES = ("done", "held", "rolled_back")
FORBIDDEN = b"<!DOCTYPE html><title>x</title><style>p{color:red}</style><p style='color:blue'>x<script>1</script>"


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    pages = {name: page(name, with_customers(recorded(name)[2])).encode() for name in NAMES}
    with served(pages | {"hostile": hostile_page().encode(), "forbidden": FORBIDDEN}) as url:
        yield url


def test_what_the_policy_forbids_would_be_seen(shown: Browser, address: str) -> None:
    shown.open(f"{address}/forbidden", 1280)
    assert len([text for text in shown.complaints() if "Content Security Policy" in text]) >= 2


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", [*NAMES, "hostile"])
def test_it_fits_and_needs_nothing_that_is_forbidden(shown: Browser, address: str, name: str, width: int) -> None:
    shown.open(f"{address}/{name}", width)
    assert shown.complaints() == []
    assert {url for url in shown.asked_for() if not url.endswith("/favicon.ico")} == {f"{address}/{name}"}
    assert shown.size()[0] <= width


def test_a_screen_reader_is_told_what_the_pictures_show(shown: Browser, address: str) -> None:
    shown.open(f"{address}/held", 390)
    heard = shown.heard()
    assert ("heading", "Held: tradeapi 1.2.0 in lab") in heard
    assert ("image", "Nodes through the pools, attempt 1") in heard
    assert [name for role, name in heard if role == "table"]


def test_it_can_be_printed(shown: Browser, address: str, tmp_path: Path) -> None:
    shown.open(f"{address}/held", 1280)
    pdf = shown.pdf()
    assert pdf.startswith(b"%PDF") and pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") <= 6
