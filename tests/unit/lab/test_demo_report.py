"""The demo keeps each part's report as it was when the part ended: what follows writes it anew."""

from __future__ import annotations

from pathlib import Path

from lab.demo import PARTS, Demo
from lab.layout import Layout
from lab.progress import Progress


def test_each_part_must_leave_a_report_of_its_own(tmp_path: Path) -> None:
    layout = Layout("127.99", tmp_path / "lab")
    demo = Demo(layout, tmp_path, 100.0, Progress())
    assert demo._keep_report(PARTS[0]) == ["it left no report"]
    for part, name in zip(PARTS, ("s-20260131-142501-aaaa", "s-20260131-142601-0000"), strict=False):
        folder = layout.state / "deployments" / "lab" / name
        folder.mkdir(parents=True)
        (folder / "report.html").write_text(f"{name}: No customer was affected")
        assert demo._keep_report(part) == []
        assert demo.reports[part.name].read_text().startswith(name)
    assert demo._keep_report(PARTS[2]) == ["it left no report"]
    silent = layout.state / "deployments" / "lab" / "s-20260131-142701-0000"
    silent.mkdir()
    (silent / "report.html").write_text("What customers felt is not known")
    assert demo._keep_report(PARTS[2]) == ["its report does not say 'No customer was affected'"]
    demo.reports.pop("c")
    assert sorted(demo.reports) == ["a", "b"]
