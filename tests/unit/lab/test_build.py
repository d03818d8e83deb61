from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, DomainError
from lab import build
from lab.build import Release
from lab.layout import Layout

GOOD = Release("tradeapi", "1.1.0")
DEFECT = Release("tradeapi", "1.2.0")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(net="127.32", state=tmp_path / "lab")


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What was compiled, by name, without a compiler and without the real cache."""
    calls: list[str] = []

    def compile_archive(release: Release) -> bytes:
        calls.append(release.name)
        return f"archive of {release.name}".encode()

    monkeypatch.setattr(build, "compile_archive", compile_archive)
    monkeypatch.setattr(build.build, "__defaults__", (tmp_path / "cache",))
    return calls


def test_every_release_is_published_with_its_checksum(layout: Layout, compiled: list[str]) -> None:
    build.prepare(layout)
    assert compiled == [release.name for release in build.RELEASES]
    archive = layout.artifacts_dir / "tradeapi/1.2.0/tradeapi-1.2.0.tar.gz"
    expected = hashlib.sha256(archive.read_bytes()).hexdigest()
    line = (layout.artifacts_dir / "tradeapi/1.2.0/tradeapi-1.2.0.tar.gz.sha256").read_text()
    assert line == f"{expected}  tradeapi-1.2.0.tar.gz\n"
    assert build.digest(layout, "tradeapi", "1.2.0") == expected


def test_a_second_time_nothing_is_compiled_or_written(layout: Layout, compiled: list[str]) -> None:
    build.prepare(layout)
    files = {path: path.stat().st_mtime_ns for path in layout.artifacts_dir.rglob("*.*")}
    compiled.clear()
    build.prepare(layout)
    assert compiled == []
    assert {path: path.stat().st_mtime_ns for path in layout.artifacts_dir.rglob("*.*")} == files


def test_a_damaged_artifact_is_put_right(layout: Layout, compiled: list[str]) -> None:
    build.prepare(layout)
    archive = layout.artifacts_dir / GOOD.archive
    archive.write_bytes(b"half")
    build.prepare(layout)
    assert archive.read_bytes() == b"archive of tradeapi-1.1.0"


def test_no_temporary_files_are_left(layout: Layout, compiled: list[str]) -> None:
    build.prepare(layout)
    names = {path.name for path in layout.artifacts_dir.rglob("*") if path.is_file()}
    assert not [name for name in names if not name.endswith((".tar.gz", ".sha256"))]


def test_the_digest_of_an_unknown_version_names_those_there_are(layout: Layout, compiled: list[str]) -> None:
    build.prepare(layout)
    with pytest.raises(BadInput, match=r"tradeapi 9\.9\.9 is not in the lab's artifact repository.*tradeapi-1\.3\.0"):
        build.digest(layout, "tradeapi", "9.9.9")


def test_only_the_defective_version_has_a_source_of_its_own() -> None:
    assert {path.name for path in build.service_sources(DEFECT)} == {path.name for path in build.service_sources(GOOD)}
    own = set(build.service_sources(DEFECT)) - set(build.service_sources(GOOD))
    assert own == {build.SOURCES / "regressions" / "1.2.0" / "Spread.cs"}


def test_the_archive_depends_on_nothing_but_its_files() -> None:
    packed = build._pack({"b": b"two", "a": b"one"})
    assert packed == build._pack({"a": b"one", "b": b"two"})
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(packed))) as archive:
        entries = archive.getmembers()
    assert [(entry.name, entry.mtime, entry.uid, entry.mode) for entry in entries] == [
        ("a", 0, 0, 0o644),
        ("b", 0, 0, 0o644),
    ]


def test_the_description_names_release_and_configuration() -> None:
    described = json.loads(build._describe(DEFECT))
    assert (described["name"], described["version"]) == ("tradeapi", "1.2.0")
    assert described["configuration"] != json.loads(build._describe(GOOD))["configuration"]


def test_changed_sources_are_compiled_again(
    layout: Layout, compiled: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    build.publish(GOOD, layout.artifacts_dir)
    changed = tmp_path / "Spread.cs"
    changed.write_text("// other")
    monkeypatch.setattr(build, "service_sources", lambda release: [changed])
    build.publish(GOOD, layout.artifacts_dir)
    assert compiled == [GOOD.name, GOOD.name]


def test_the_compilers_refusal_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "Broken.cs"
    broken.write_text("class {")
    monkeypatch.setattr(build, "service_sources", lambda release: [broken])
    with pytest.raises(
        DomainError, match=r"mcs refused the sources: .*Broken\.cs\(1,\d\): error CS\d+(.|\n)*Service\.exe"
    ):
        build.compile_archive(GOOD)


def test_a_missing_compiler_is_told_with_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(DomainError, match=r"compiler is missing.*Install mono-mcs"):
        build.compile_archive(GOOD)
