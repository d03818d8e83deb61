from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.windows.command_line import through_cmd
from lab.winrm.cmd import command_of, expand, refuse_special, run, words
from lab.winrm.windows import EXIT_CODE_VARIABLE, Drive, add_program, make_drive


@pytest.fixture
def drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Drive:
    monkeypatch.setenv(EXIT_CODE_VARIABLE, str(tmp_path / "code"))
    return make_drive(tmp_path / "C")


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("cmd.exe /c echo a", "echo a"),
        ("cmd /C echo a", "echo a"),
        (r'"C:\Windows\System32\cmd.exe" /d /e:on /v:off /s /c "echo a"', "echo a"),
        ('cmd /s /c ""C:\\a b.bat" "c d""', '"C:\\a b.bat" "c d"'),
        # `cmd /?`: two quotes around an executable's name stay without /s; all other first and last quotes go.
        ('cmd /c "C:\\a b.exe"', '"C:\\a b.exe"'),
        ('cmd /s /c "C:\\a b.exe"', "C:\\a b.exe"),
        ('cmd /c "C:\\a b.exe" "c"', 'C:\\a b.exe" "c'),
        ('cmd /c "a" b', "a b"),
    ],
)
def test_quotes_behind_c_go_as_cmd_documents_it(line: str, command: str) -> None:
    assert command_of(line, lambda name: name.endswith(".exe")) == command


@pytest.mark.parametrize("line", ["cmd.exe", "cmd.exe /k echo", "cmd.exe /x /c echo"])
def test_other_ways_to_start_it_are_refused(line: str) -> None:
    with pytest.raises(NotImplementedError):
        command_of(line)


def test_variables_are_expanded_and_unknown_ones_stay() -> None:
    assert expand("%OS% %os% %NO% 5%", {"OS": "Windows_NT"}) == "Windows_NT Windows_NT %NO% 5%"


@pytest.mark.parametrize("command", ["a & b", "a > b", 'a "b" | c', "a ^& b", "(a)", '"a" && b'])
def test_what_it_would_have_to_interpret_is_refused(command: str) -> None:
    with pytest.raises(NotImplementedError):
        refuse_special(command)
    refuse_special('"a & b > c" d')


def test_a_batch_files_arguments_are_split_at_more_than_spaces() -> None:
    assert words('a,b;c=d "e f" g"h i"') == ["a", "b", "c", "d", "e f", "gh i"]


def test_batch_files_get_the_arguments_that_were_meant(drive: Drive, capfd: pytest.CaptureFixture[str]) -> None:
    script = r"C:\Program Files (x86)\Tools\show.bat"
    add_program(drive, script, 'printf "<%s>" "$@"; exit 3')
    line = str(through_cmd([script, "run", "a b", "--x=1,2", "", "C:\\d\\"]))
    assert run(line, drive) == 3
    assert capfd.readouterr().out == "<run><a b><--x=1,2><><C:\\d\\>"


def test_move_replaces_a_file(drive: Drive) -> None:
    folder = drive.path(r"C:\ProgramData")
    (folder / "new").write_text("new")
    (folder / "old").write_text("old")
    assert run('cmd /d /s /c "move /y C:\\ProgramData\\new C:\\ProgramData\\old"', drive) == 0
    assert [each.name for each in folder.iterdir()] == ["old"]
    assert (folder / "old").read_text() == "new"


@pytest.mark.parametrize("given", [r"C:\no C:\Windows\x", r"C:\ProgramData\a C:\no\x", r"C:\ProgramData\a C:\Windows"])
def test_move_says_what_it_can_not_do(drive: Drive, given: str, capfd: pytest.CaptureFixture[str]) -> None:
    drive.path(r"C:\ProgramData\a").write_text("a")
    assert run(f'cmd /d /s /c "move /y {given}"', drive) == 1
    assert capfd.readouterr().err.endswith(".\r\n")
    assert drive.path(r"C:\ProgramData\a").read_text() == "a"


def test_what_is_not_there_is_not_recognized(drive: Drive, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("cmd /c nothing a", drive) == 1
    assert "'nothing' is not recognized" in capfd.readouterr().err


def test_paths_are_found_in_any_case_and_never_leave_the_drive(drive: Drive) -> None:
    (drive.root / "Tools").mkdir()
    assert drive.path(r"c:\TOOLS\New") == drive.root / "Tools" / "New"
    assert drive.path("C:/tools/a/..") == drive.root / "Tools"
    assert drive.path(r"C:\..\..\..\etc") == drive.root / "etc"
    assert drive.path("a. ", r"C:\Tools") == drive.root / "Tools" / "a"
    assert drive.path(r"\Tools") == drive.root / "Tools"
    for elsewhere in (r"D:\a", "C:a"):
        with pytest.raises(ValueError, match="not on drive C:"):
            drive.path(elsewhere)


def test_programs_are_found_as_windows_finds_them(drive: Drive) -> None:
    show = add_program(drive, r"C:\Tools\show.exe", "true")
    assert drive.program(r"C:\tools\SHOW") == drive.program(r"C:\tools\show.exe. ") == show
    assert drive.program("cmd.exe") == drive.program("cmd") == drive.root / "Windows" / "System32" / "cmd.exe"
    assert drive.program("show", r"C:\Tools") == show
    show.chmod(0o644)
    assert drive.program(r"C:\Tools\show.exe") is None
    assert drive.program(r"C:\Tools\show.txt") is None
