"""The rules of tests/conftest.py, seen on small sessions of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lab.layout import PROJECT
from tests.waiting import DEPLOYMENT_S


def session(folder: Path, source: str, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = lab\n  slow\n")
    (folder / "test_sample.py").write_text(f"import pytest\n{source}")
    argv = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:pytest-ansible", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*argv, "-v", *options, str(folder)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=DEPLOYMENT_S,
        check=False,
    )


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        ("skipped", "def test_it(): pytest.skip('no server here')"),
        ("skipped", "pytest.importorskip('no_such_module')"),
        ("xfailed", "@pytest.mark.xfail\ndef test_it(): assert False"),
        ("xpassed", "@pytest.mark.xfail\ndef test_it(): pass"),
    ],
)
def test_what_did_not_run_fails_the_session(tmp_path: Path, kind: str, source: str) -> None:
    ended = session(tmp_path, f"def test_good(): pass\n{source}\n")
    assert ended.returncode == pytest.ExitCode.TESTS_FAILED
    assert f"{kind}: " in ended.stdout
    assert "counts as failed" in ended.stdout


def test_what_was_deselected_does_not(tmp_path: Path) -> None:
    source = "@pytest.mark.slow\ndef test_slow(): assert False\ndef test_good(): pass\n"
    ended = session(tmp_path, source, "-m", "not slow")
    assert ended.returncode == pytest.ExitCode.OK
    assert "1 deselected" in ended.stdout


def test_tests_on_the_lab_come_last_and_can_be_deselected(tmp_path: Path) -> None:
    source = (
        "@pytest.fixture\ndef lab(): pass\n"
        "def test_with_fixture(lab): pass\n"
        "@pytest.mark.lab\ndef test_with_mark(): pass\n"
        "def test_without(): pass\n"
    )
    ran = [line for line in session(tmp_path, source).stdout.splitlines() if " PASSED" in line]
    assert [line.partition("::")[2].split()[0] for line in ran] == [
        "test_without",
        "test_with_fixture",
        "test_with_mark",
    ]
    assert "1 passed, 2 deselected" in session(tmp_path, source, "-m", "not lab").stdout


def test_the_shares_have_every_test_once(tmp_path: Path) -> None:
    on_lab = "@pytest.mark.lab\ndef test_deploys(): pass\n@pytest.mark.lab\ndef test_looks(): pass\n"
    source = f"{on_lab}def test_near(): pass\n"
    kills = tmp_path / "chaos"
    kills.mkdir()
    (kills / "test_kills.py").write_text(f"import pytest\n{on_lab}{on_lab.replace('test_', 'test_too_')}")
    assert "2 passed, 5 deselected" in session(tmp_path, source, "--share", "1").stdout
    assert "4 passed, 3 deselected" in session(tmp_path, source, "--share", "2").stdout
    assert "1 passed, 6 deselected" in session(tmp_path, source, "--share", "3").stdout
