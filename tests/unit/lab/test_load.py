"""The load's command line, and its refusal of what it could not measure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.customers import Customer, Kind
from lab.layout import Layout
from lab.load import Load, main


def test_a_load_on_nothing_is_all_failures_and_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["--seconds", "0.5", "--rate", "100", "--net", "127.254", "--state", str(tmp_path)])
    found = json.loads(capsys.readouterr().out)
    assert code == 1
    assert found["requests_total"] == found["requests_failed"] > 20
    assert found["requests_written"] == 0
    assert "no connection to 127.254.0.1:8080" in " ".join(each["error"] for each in found["first_errors"])


@pytest.mark.parametrize("argv", [["--label", "a b"], ["--net", "10.0"]])
def test_bad_input_is_told_and_exit_code_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*argv, "--seconds", "0.1"]) == 2
    assert "python -m lab.load: " in capsys.readouterr().err


def test_a_bad_label_is_refused_before_anything_starts(tmp_path: Path) -> None:
    one = Customer(Kind.KEEP_ALIVE, "lb1", "127.254.0.1", 8080, "trade.lab", 1)
    with pytest.raises(ValueError, match="is no label"):
        Load(Layout("127.254", tmp_path), "a/b", customers=[one], folder=tmp_path).start()
    assert list(tmp_path.iterdir()) == []


def test_after_an_exception_there_is_no_result_and_no_process(tmp_path: Path) -> None:
    one = Customer(Kind.KEEP_ALIVE, "lb1", "127.254.0.1", 8080, "trade.lab", 1)
    load = Load(Layout("127.254", tmp_path), "x", customers=[one], folder=tmp_path)
    with pytest.raises(KeyError), load:
        raise KeyError("something else")
    assert load.result is None
    assert not load.running()
