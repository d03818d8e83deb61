"""Running a playbook: its steps are said, its output is kept, and it never runs on."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from lab import playbook
from lab.layout import Layout
from tests.waiting import PATIENCE_S


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout("127.20", tmp_path / "lab")


def play(layout: Layout, tmp_path: Path, program: str, deadline_s: float = PATIENCE_S) -> tuple[int, list[str], str]:
    said: list[str] = []
    log = tmp_path / "demo" / "a.log"
    argv = [sys.executable, "-c", program]
    code = playbook.run(layout, argv, log, said.append, lambda: "5 of 6 nodes online", deadline_s)
    return code, said, log.read_text()


def test_the_command_is_what_a_user_would_type() -> None:
    assert " ".join(playbook.command("deploy", service="tradeapi", version="1.1.0")) == (
        "ansible-playbook -i inventories/lab playbooks/deploy.yml -e service=tradeapi -e version=1.1.0"
    )


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("TASK [Begin the wave] ****", "Begin the wave"),
        ("TASK [tidegate.delivery.leave : Move the wave] ***", "leave : Move the wave"),
        ("PLAY [Settle] ****", "Settle"),
        ("ok: [n1]", ""),
        ("", ""),
    ],
)
def test_steps_are_read_from_ansibles_output(line: str, step: str) -> None:
    assert playbook.step_of(line) == step


def test_output_is_kept_steps_are_said_and_the_code_is_its_own(layout: Layout, tmp_path: Path) -> None:
    program = "import sys; print('TASK [Leave] ***'); print('ok: [n1]', file=sys.stderr); sys.exit(2)"
    code, said, log = play(layout, tmp_path, program)
    assert code == 2
    assert said == ["  Leave"]
    assert sorted(log.splitlines()) == ["TASK [Leave] ***", "ok: [n1]"]


def test_a_silent_step_is_said_again_with_how_things_are(layout: Layout, tmp_path: Path) -> None:
    _, said, _ = play(layout, tmp_path, "import time; print('TASK [Drain]', flush=True); time.sleep(2.2)")
    assert said[0] == "  Drain"
    # On a busy machine it takes longer, and is said more than once.
    assert re.fullmatch(r"  Drain \([2-9]s\) · 5 of 6 nodes online", said[1])


def test_it_means_this_lab_and_has_no_colours(layout: Layout, tmp_path: Path) -> None:
    program = "import os; [print(os.environ[k]) for k in ('TIDEGATE_LAB_NET', 'TIDEGATE_LAB_STATE', 'ANSIBLE_NOCOLOR')]"
    _, _, log = play(layout, tmp_path, program)
    assert log.splitlines() == ["127.20", str(layout.state), "1"]


def test_it_is_ended_after_its_deadline(layout: Layout, tmp_path: Path) -> None:
    began = time.monotonic()
    code, _, _ = play(layout, tmp_path, "import time; time.sleep(600)", deadline_s=0.5)
    assert code == 124
    assert time.monotonic() - began < PATIENCE_S


def test_it_does_not_outlive_an_interrupt(layout: Layout, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    program = f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); print('TASK [x]', flush=True)"

    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        playbook.run(
            layout,
            [sys.executable, "-c", program + "; time.sleep(600)"],
            tmp_path / "a.log",
            interrupt,
            lambda: "",
        )
    assert not Path(f"/proc/{pid_file.read_text()}").exists()


def test_a_missing_program_is_told_with_the_remedy(layout: Layout, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no-such-program is not installed"):
        playbook.run(layout, ["no-such-program"], tmp_path / "a.log", print, lambda: "")
