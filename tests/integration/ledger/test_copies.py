"""The events' copy, whoever dies while it is written: the next write makes it whole, byte for byte."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.ledger.copier import book
from tests.integration.ledger.worker import event
from tests.waiting import DEPLOYMENT_S
from tidegate.copied import CopiedLedger

PROJECT = Path(__file__).parents[3]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.integration.ledger.copier", *arguments],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def end(process: subprocess.Popen[str]) -> tuple[int, list[dict[str, Any]]]:
    said, _ = process.communicate("\n", timeout=DEPLOYMENT_S)
    return process.returncode, [json.loads(line) for line in said.splitlines()]


def stored(ledger: CopiedLedger) -> bytes:
    return "".join(f"{body}\n" for body in ledger.bodies("lab", "d1")).encode()


def test_many_writers_at_once_leave_one_whole_copy(url: str, file: Path) -> None:
    writers = [start("write", url, str(file), "12") for _ in range(8)]
    for writer in writers:
        assert writer.stdout is not None and json.loads(writer.stdout.readline()) == {"ready": True}
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    assert [end(writer)[0] for writer in writers] == [0] * 8
    lines = file.read_text().splitlines()
    assert [json.loads(line)["seq"] for line in lines] == list(range(1, 97))
    assert file.read_bytes() == stored(book(url, str(file)))


def test_killed_between_ledger_and_copy_the_next_write_completes_it(url: str, file: Path) -> None:
    ledger = book(url, str(file))
    ledger.append(event(1))
    assert end(start("lag", url, str(file)))[0] == -9
    assert file.read_bytes() != stored(ledger)
    ledger.append(event(2))
    assert file.read_bytes() == stored(ledger)
    assert file.read_bytes().count(b"\n") == 3


@pytest.mark.parametrize("kept", [1, 100, 300])
def test_killed_in_the_middle_of_a_line_the_next_write_repairs_it(url: str, file: Path, kept: int) -> None:
    ledger = book(url, str(file))
    ledger.append(event(1))
    whole = file.stat().st_size
    assert end(start("tear", url, str(file), str(kept)))[0] < 0
    assert file.stat().st_size == whole + kept
    ledger.append(event(2))
    assert file.read_bytes() == stored(ledger)
    assert file.read_bytes().count(b"\n") == 3


def test_writers_killed_at_random_moments_leave_nothing_that_the_next_write_does_not_mend(url: str, file: Path) -> None:
    code, said = end(start("herd", url, str(file), "3", "3"))
    assert code == 0
    rounds = said[1:]
    assert all(each["same"] for each in rounds)
    assert sum(each["behind"] for each in rounds) == 3
