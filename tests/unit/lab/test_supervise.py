from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from lab import supervise
from lab.layout import Layout
from lab.supervise import Run, Unit, UnitStatus
from tests.waiting import PATIENCE_S


def unit(tmp_path: Path) -> Unit:
    return Unit(name="u", host="h", argv=["/bin/echo", "it's", "$HOME"], ready=lambda: True, log=tmp_path / "u.log")


def test_the_run_script_passes_arguments_and_environment_as_they_are(tmp_path: Path) -> None:
    script = tmp_path / "run"
    show = ["/bin/sh", "-c", 'printf "%s|" "$@" "$GREETING"', "x", "it's", "$HOME", "a b"]
    script.write_text(supervise.run_script(replace(unit(tmp_path), argv=show, env={"GREETING": "good 'day' $X"})))
    subprocess.run(["/bin/sh", str(script)], check=True, timeout=PATIENCE_S)
    assert (tmp_path / "u.log").read_text() == "runit starts u\nit's|$HOME|a b|good 'day' $X|"


def test_a_second_start_appends_even_if_the_server_takes_append_mode_off(tmp_path: Path) -> None:
    """HAProxy's F_SETFL does that; its log began to overwrite itself after each restart."""
    log = tmp_path / "u.log"
    code = "import fcntl, os; fcntl.fcntl(1, fcntl.F_SETFL, os.O_NONBLOCK); os.write(1, b'x' * 40 + b'\\n')"
    script = tmp_path / "run"
    script.write_text(supervise.run_script(replace(unit(tmp_path), argv=["/usr/bin/env", "python3", "-c", code])))
    for _ in range(2):
        subprocess.run(["/bin/sh", str(script)], check=True, timeout=PATIENCE_S)
    assert log.read_text() == f"runit starts u\n{'x' * 40}\n" * 2


def test_errors_can_have_a_file_of_their_own(tmp_path: Path) -> None:
    script = tmp_path / "run"
    argv = ["/bin/sh", "-c", "echo out; echo err >&2"]
    script.write_text(supervise.run_script(replace(unit(tmp_path), argv=argv, errors=tmp_path / "errors")))
    subprocess.run(["/bin/sh", str(script)], check=True, timeout=PATIENCE_S)
    assert (tmp_path / "u.log").read_text() == "runit starts u\nout\n"
    assert (tmp_path / "errors").read_text() == "err\n"


# Lines of sv 2.1.2.
STATUS_LINES = {
    "run: /x/service/u: (pid 812) 5s": UnitStatus(Run.RUNNING, 812),
    "run: /x/service/u: (pid 812) 5s, normally down": UnitStatus(Run.RUNNING, 812),
    "run: /x/service/u: (pid 812) 5s, normally down, want down, got TERM": UnitStatus(Run.RUNNING, 812),
    "down: /x/service/u: 3s": UnitStatus(Run.DOWN),
    "down: /x/service/u: 1s, normally up, want up": UnitStatus(Run.DOWN),
    "finish: /x/service/u: (pid 9) 0s": UnitStatus(Run.DOWN),
    "fail: /x/service/u: unable to change to service directory: file does not exist": UnitStatus(Run.UNSUPERVISED),
    "fail: /x/service/u: runsv not running": UnitStatus(Run.UNSUPERVISED),
    "warning: /x/service/u: unable to open supervise/ok: file does not exist": UnitStatus(Run.UNSUPERVISED),
    "": UnitStatus(Run.UNSUPERVISED),
}


@pytest.mark.parametrize("line", STATUS_LINES)
def test_status_lines(line: str) -> None:
    assert supervise.parse_status(line) == STATUS_LINES[line]


def test_installing_again_leaves_no_second_link_and_keeps_the_units_down(tmp_path: Path) -> None:
    layout = Layout("127.254", tmp_path / "lab")
    for _ in range(2):
        supervise.install(layout, [unit(tmp_path), replace(unit(tmp_path), name="tree", hang_up=True)])
    assert sorted(link.name for link in layout.unit_tree.iterdir()) == ["tree", "u"]
    assert (layout.unit_tree / "u").resolve() == layout.unit_definitions / "u"
    assert (layout.unit_tree / "u" / "down").exists()
    assert os.access(layout.unit_tree / "u" / "run", os.X_OK)
    assert os.access(layout.unit_tree / "tree" / "control" / "t", os.X_OK)
    assert not (layout.unit_tree / "u" / "control").exists()


def test_without_a_tree_nothing_runs(tmp_path: Path) -> None:
    layout = Layout("127.254", tmp_path / "lab")
    assert not supervise.tree_is_running(layout)
    assert supervise.statuses(layout, ["u"]) == {"u": UnitStatus(Run.UNSUPERVISED)}
