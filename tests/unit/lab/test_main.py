from __future__ import annotations

from pathlib import Path

import pytest

from lab import __main__ as command
from lab.layout import DEFAULT_NET, DEFAULT_STATE, Layout
from lab.record import claim


@pytest.fixture(autouse=True)
def _no_lab_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDEGATE_LAB_NET", raising=False)
    monkeypatch.delenv("TIDEGATE_LAB_STATE", raising=False)


def test_a_lab_that_is_there_is_found_by_its_folder_alone(tmp_path: Path) -> None:
    claim(Layout("127.249", tmp_path / "lab"))
    assert command.choose_layout(None, str(tmp_path / "lab")).net == "127.249"
    assert command.choose_layout("127.248", str(tmp_path / "lab")).net == "127.248"
    assert command.choose_layout(None, str(tmp_path / "other")).net == DEFAULT_NET


def test_the_hint_for_ansible_is_empty_for_the_default_lab(tmp_path: Path) -> None:
    assert command.exports(Layout(DEFAULT_NET, DEFAULT_STATE)) == ""
    assert command.exports(Layout("127.9", Path("/x"))) == "TIDEGATE_LAB_NET=127.9 TIDEGATE_LAB_STATE=/x "


def test_a_mistake_is_one_line_and_no_traceback(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert command.main(["up", "--net", "10.0", "--state", str(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith("lab: '10.0' is no loopback prefix (--net or TIDEGATE_LAB_NET). Write 127.")
    assert printed.err.count("\n") == 1


def test_a_folder_that_cannot_be_made_is_one_line_too(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert command.main(["up", "--net", "127.9", "--state", str(tmp_path / "file" / "lab")]) == 1
    assert (
        capsys.readouterr().err
        == f"lab: Not a directory ({tmp_path}/file/lab). Check rights, free space and limits there.\n"
    )


def test_down_without_a_lab_is_no_error(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert command.main(["down", "--purge", "--state", str(tmp_path / "none")]) == 0
    assert "nothing was running" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_purge_leaves_a_folder_alone_that_is_no_lab(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    assert command.main(["down", "--purge", "--state", str(tmp_path)]) == 1
    assert "is no folder of a lab" in capsys.readouterr().err
    assert (tmp_path / "thesis.tex").read_text() == "precious"


def test_status_of_no_lab_fails(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert command.main(["status", "--json", "--state", str(tmp_path / "none")]) == 1
    assert '"up": false' in capsys.readouterr().out
