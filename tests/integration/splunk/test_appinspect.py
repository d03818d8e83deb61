"""Splunk's own AppInspect finds nothing wrong with the app, neither for Splunkbase nor for Splunk Cloud."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from lab.layout import PROJECT
from tests.waiting import DEPLOYMENT_S

APP = PROJECT / "extras" / "splunk" / "tidegate"
EXAMINER = PROJECT / "build" / "appinspect" / "bin" / "splunk-appinspect"
WRONG = ("error", "failure", "future_failure", "warning", "skipped")
FOR_CLOUD = ("--included-tags", "cloud", "--included-tags", "private_app", "--included-tags", "future")


def packed(folder: Path) -> Path:
    argv = [sys.executable, str(PROJECT / "tools" / "splunk_app.py"), str(folder)]
    return Path(subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip())


def examined(package: Path, folder: Path, *options: str) -> dict[str, Any]:
    assert EXAMINER.is_file(), f"{EXAMINER} is missing: run make setup"
    report = folder / "report.json"
    argv = [str(EXAMINER), "inspect", str(package), "--data-format", "json", "--output-file", str(report), *options]
    # Its home is where it keeps notes of its own.
    environment = {**os.environ, "HOME": str(folder)}
    done = subprocess.run(argv, capture_output=True, text=True, timeout=DEPLOYMENT_S, env=environment, check=False)
    assert report.is_file(), done.stdout + done.stderr
    found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))["reports"][0]
    return found


def complaints(report: dict[str, Any]) -> list[str]:
    return [
        f"{check['result']}: {check['name']}: {message['message']}"
        for group in report["groups"]
        for check in group["checks"]
        if check["result"] in WRONG
        for message in check["messages"] or [{"message": "no message"}]
    ]


@pytest.mark.parametrize("options", [("--mode", "precert"), FOR_CLOUD], ids=["splunkbase", "cloud"])
def test_nothing_is_wrong_with_the_app(tmp_path: Path, options: tuple[str, ...]) -> None:
    report = examined(packed(tmp_path), tmp_path, *options)
    assert complaints(report) == []
    assert report["summary"]["success"] > 90


def test_something_wrong_is_found(tmp_path: Path) -> None:
    app = shutil.copytree(APP, tmp_path / "tidegate")
    (app / "default" / "app.conf").write_text("[install]\nis_configured = true\n", encoding="utf-8")
    with tarfile.open(tmp_path / "broken.tar.gz", "w:gz") as package:
        package.add(app, "tidegate")
    assert any(found.startswith("failure: ") for found in complaints(examined(tmp_path / "broken.tar.gz", tmp_path)))
