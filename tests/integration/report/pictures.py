"""`python -m tests.integration.report.pictures`: docs/img/report-*.png anew, of the demo's reports (`make demo`)."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from lab.layout import PROJECT
from tests.integration.report.browser import browser, served

# Name of the picture, the demo's part, width in pixels, and how much of the page's height is shown.
PICTURES = (("held", "b", 1000, 940), ("done", "a", 1000, 1100), ("phone", "b", 390, 1040))


def main() -> None:
    """Open each page and keep its beginning."""
    reports = PROJECT / "build" / "demo"
    missing = [part for part in ("a", "b") if not (reports / f"report-{part}.html").exists()]
    if missing:
        sys.exit(f"{reports} has no report of part {', '.join(missing)}: run make demo")
    pages = {part: (reports / f"report-{part}.html").read_bytes() for part in ("a", "b")}
    with tempfile.TemporaryDirectory() as folder, browser(Path(folder)) as shown, served(pages) as address:
        for picture, name, width, height in PICTURES:
            shown.open(f"{address}/{name}", width)
            shown.screenshot(PROJECT / "docs" / "img" / f"report-{picture}.png", height)


if __name__ == "__main__":
    main()
