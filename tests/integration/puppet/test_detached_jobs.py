"""Jobs on a real shell: what ends them, what doesn't, and what is left of them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.node.jobs import (
    OUTPUT_TAIL,
    AtEnd,
    Limits,
    Phase,
    begin,
    find,
    poll,
    start,
    stop,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.node.jobs_script import OUTPUT_LIMIT
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Completed, LocalShell, PosixNode
from tests.waiting import PATIENCE_S, until

NODE = PosixNode("here", LocalShell())
HOUR = Limits(3600)
# Until its first argument is there.
WAITS = 'while [ ! -e "$1" ]; do sleep 0.1; done;'


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[str]:
    """A folder for jobs; whatever still runs in it is ended."""
    path = tmp_path / "jobs"
    yield str(path)
    for job in find(NODE, str(path), "j"):
        stop(NODE, str(path), job, grace=1)


def pid(folder: str, job: str, who: str = "command") -> int:
    """The pid that the job wrote down, once it has."""
    file = Path(folder, job, who)
    until(lambda: file.exists() and file.read_text().endswith("\n"), f"{file} is written")
    return int(file.read_text().split()[0])


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_exit_code_output_and_environment_come_back(folder: str) -> None:
    script = 'echo "out $1 $X"; echo err >&2; exit 3'
    assert start(NODE, folder, "j1", ["sh", "-c", script, "sh", "it's $HOME"], HOUR, {"X": "a b"})
    state = poll(NODE, folder, "j1", wait=PATIENCE_S)
    assert (state.phase, state.rc, state.output) == (Phase.ENDED, 3, "out it's $HOME a b\nerr\n")
    assert state.seconds is not None and state.seconds <= PATIENCE_S


def test_begun_and_waited_for_in_one_call_it_tells_what_is_asked_for_at_its_end(folder: str, tmp_path: Path) -> None:
    ending = AtEnd('echo "$1 $2"; ls "$1"', "it's $HOME")
    argv = ["sh", "-c", f"{WAITS} echo output; exit 3", "sh", str(tmp_path / "go")]
    assert begin(NODE, folder, "j1", argv, HOUR, wait=0, at_end=ending)[1].told == "", "it is not over"
    (tmp_path / "go").touch()
    started, state = begin(NODE, folder, "j1", argv, HOUR, wait=PATIENCE_S, at_end=ending)
    assert not started, "it is the same one"
    assert (state.phase, state.rc, state.output) == (Phase.ENDED, 3, "output\n")
    assert state.told.splitlines() == [f"{folder}/j1 it's $HOME", "command", "out", "rc", "supervisor"]
    assert poll(NODE, folder, "j1", at_end=ending) == state


def test_a_job_that_was_never_started_is_absent(folder: str) -> None:
    assert poll(NODE, folder, "j1").phase is Phase.ABSENT
    assert find(NODE, folder, "j") == {}


def test_the_poll_returns_when_the_job_ends(folder: str) -> None:
    start(NODE, folder, "j1", ["sleep", "1"], HOUR)
    began = time.monotonic()
    assert poll(NODE, folder, "j1", wait=PATIENCE_S).phase is Phase.ENDED
    assert time.monotonic() - began < 60


def test_a_running_job_shows_its_process_and_its_output_so_far(folder: str) -> None:
    start(NODE, folder, "j1", ["sh", "-c", "echo so far; sleep 600"], HOUR)
    until(lambda: poll(NODE, folder, "j1").output == "so far\n", "the output is there")
    state = poll(NODE, folder, "j1")
    assert (state.phase, state.pid) == (Phase.RUNNING, pid(folder, "j1"))


def test_the_same_id_is_adopted_running_or_ended(folder: str, tmp_path: Path) -> None:
    argv = ["sh", "-c", f"echo x >>{tmp_path}/ran; sleep 1"]
    assert start(NODE, folder, "j1", argv, HOUR)
    assert not start(NODE, folder, "j1", argv, HOUR)
    poll(NODE, folder, "j1", wait=PATIENCE_S)
    assert not start(NODE, folder, "j1", argv, HOUR)
    assert (tmp_path / "ran").read_text() == "x\n"


def test_of_many_starters_one_wins(folder: str, tmp_path: Path) -> None:
    argv = ["sh", "-c", f"echo x >>{tmp_path}/ran"]
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda _n: start(NODE, folder, "j1", argv, HOUR), range(8)))
    assert won.count(True) == 1
    assert poll(NODE, folder, "j1", wait=PATIENCE_S).phase is Phase.ENDED
    assert (tmp_path / "ran").read_text() == "x\n"
    assert [path.name for path in Path(folder).iterdir()] == ["j1"]


def test_jobs_are_found_by_their_beginning(folder: str) -> None:
    for job in ("j.n1.1", "j.n10.1", "j.n1.2"):
        start(NODE, folder, job, ["true"], HOUR)
        poll(NODE, folder, job, wait=PATIENCE_S)
    assert set(find(NODE, folder, "j.n1.")) == {"j.n1.1", "j.n1.2"}


def test_the_death_of_client_and_session_does_not_end_it(folder: str, tmp_path: Path) -> None:
    """What a dropped connection does: the shell at the other end is killed, its whole process group and its pipes."""

    class Dropping(LocalShell):
        def __call__(self, command: str, stdin: bytes | None, timeout: float) -> Completed:
            line = ["/bin/sh", "-c", command + "; sleep 600"]
            with subprocess.Popen(line, stdout=subprocess.PIPE, start_new_session=True) as client:
                until(lambda: Path(folder, "j1", "command").exists(), "the job runs")
                os.killpg(client.pid, signal.SIGKILL)
            raise Unreachable("connection lost")

    with pytest.raises(Unreachable):
        argv = ["sh", "-c", f"{WAITS} echo done", "sh", str(tmp_path / "go")]
        start(PosixNode("here", Dropping()), folder, "j1", argv, HOUR)
    assert poll(NODE, folder, "j1").phase is Phase.RUNNING
    (tmp_path / "go").touch()
    state = poll(NODE, folder, "j1", wait=PATIENCE_S)
    assert (state.phase, state.rc, state.output) == (Phase.ENDED, 0, "done\n")


def test_it_has_no_terminal_no_open_pipe_and_a_session_of_its_own(folder: str) -> None:
    start(NODE, folder, "j1", ["sh", "-c", "readlink /proc/$$/fd/0; ls /proc/$$/fd | wc -l; sleep 600"], HOUR)
    until(lambda: poll(NODE, folder, "j1").output.count("\n") == 2, "it said so")
    state = poll(NODE, folder, "j1")
    stdin, descriptors = state.output.split()
    assert stdin == "/dev/null"
    assert int(descriptors) <= 4
    assert os.getsid(pid(folder, "j1")) == pid(folder, "j1", "supervisor") != os.getsid(0)


def test_the_time_limit_ends_the_whole_tree_even_what_ignores_and_hides(folder: str, tmp_path: Path) -> None:
    script = f"""
        setsid sh -c "trap '' TERM; echo \\$\\$ >{tmp_path}/hidden; sleep 600; sleep 600" &
        trap '' TERM; echo $$ >{tmp_path}/stubborn; while :; do sleep 1; done
    """
    start(NODE, folder, "j1", ["sh", "-c", script], Limits(5, grace=1))
    state = poll(NODE, folder, "j1", wait=PATIENCE_S)
    assert (state.phase, state.rc) == (Phase.TIMED_OUT, 137)
    for name in ("hidden", "stubborn"):
        ended = int((tmp_path / name).read_text())
        until(lambda ended=ended: not alive(ended), f"{name} is gone")  # type: ignore[misc]


def test_what_ends_politely_is_not_killed(folder: str, tmp_path: Path) -> None:
    script = f"trap 'echo polite >{tmp_path}/said; exit 0' TERM; while :; do sleep 0.1; done"
    start(NODE, folder, "j1", ["sh", "-c", script], Limits(4, grace=60))
    state = poll(NODE, folder, "j1", wait=PATIENCE_S)
    assert (state.phase, state.rc) == (Phase.TIMED_OUT, 0)
    assert (tmp_path / "said").read_text() == "polite\n"


def test_a_killed_supervisor_leaves_it_running_watched_and_then_lost(folder: str) -> None:
    start(NODE, folder, "j1", ["sleep", "600"], Limits(8, grace=1))
    command = pid(folder, "j1")
    os.kill(pid(folder, "j1", "supervisor"), signal.SIGKILL)
    state = poll(NODE, folder, "j1")
    assert (state.phase, state.pid) == (Phase.RUNNING, command)
    assert poll(NODE, folder, "j1", wait=PATIENCE_S).phase is Phase.TIMED_OUT
    assert not alive(command)


def test_supervisor_and_command_killed_is_lost(folder: str) -> None:
    start(NODE, folder, "j1", ["sh", "-c", "echo begun; sleep 600; :"], HOUR)
    command = pid(folder, "j1")
    until(lambda: poll(NODE, folder, "j1").output == "begun\n", "it began")
    sleeper = int(subprocess.run(["pgrep", "-P", str(command)], check=True, capture_output=True, text=True).stdout)
    for each in (pid(folder, "j1", "supervisor"), command, sleeper):
        os.kill(each, signal.SIGKILL)
    until(lambda: not alive(command), "it is gone")
    state = poll(NODE, folder, "j1", wait=PATIENCE_S)
    assert (state.phase, state.rc, state.output) == (Phase.LOST, None, "begun\n")


def test_a_pid_that_another_process_has_now_is_not_it(folder: str) -> None:
    start(NODE, folder, "j1", ["true"], HOUR)
    poll(NODE, folder, "j1", wait=PATIENCE_S)
    job = Path(folder, "j1")
    (job / "rc").unlink()
    identity = (job / "command").read_text().split()
    for who in ("command", "supervisor"):
        (job / who).write_text(f"{os.getpid()} 1 {identity[2]}\n")
    assert poll(NODE, folder, "j1").phase is Phase.LOST
    start_time = Path(f"/proc/{os.getpid()}/stat").read_text().rpartition(")")[2].split()[19]
    (job / "command").write_text(f"{os.getpid()} {start_time} 00000000-another-boot\n")
    assert poll(NODE, folder, "j1").phase is Phase.LOST
    (job / "command").write_text(f"{os.getpid()} {start_time} {identity[2]}\n")
    assert poll(NODE, folder, "j1").phase is Phase.RUNNING
    # So that the fixture doesn't stop this very process.
    (job / "command").unlink()


def test_stop_ends_it(folder: str) -> None:
    start(NODE, folder, "j1", ["sleep", "600"], HOUR)
    command = pid(folder, "j1")
    stop(NODE, folder, "j1", grace=60)
    assert not alive(command)
    assert poll(NODE, folder, "j1", wait=PATIENCE_S).phase is Phase.TIMED_OUT


def test_the_output_is_bounded_and_its_end_is_kept(folder: str) -> None:
    script = 'i=0; while [ $i -lt 40 ]; do head -c 100000 /dev/zero | tr "\\0" x; sleep 0.1; i=$((i+1)); done; echo end'
    start(NODE, folder, "j1", ["sh", "-c", script], HOUR)
    state = poll(NODE, folder, "j1", wait=PATIENCE_S)
    kept = sum((Path(folder, "j1") / name).stat().st_size for name in ("out", "out.old"))
    assert kept < 4_000_000
    assert (Path(folder, "j1") / "out.old").stat().st_size <= OUTPUT_LIMIT
    assert state.output.endswith("xend\n")
    assert len(state.output) == OUTPUT_TAIL


def test_a_file_is_kept_as_it_was_at_the_end(folder: str, tmp_path: Path) -> None:
    report = tmp_path / "report"
    start(NODE, folder, "j1", ["sh", "-c", f"echo ours >{report}"], Limits(600, keep=str(report)))
    poll(NODE, folder, "j1", wait=PATIENCE_S)
    report.write_text("someone else's\n")
    assert Path(folder, "j1", "kept").read_text() == "ours\n"


def test_a_missing_file_to_keep_does_not_hide_the_exit_code(folder: str, tmp_path: Path) -> None:
    start(NODE, folder, "j1", ["sh", "-c", "exit 4"], Limits(600, keep=str(tmp_path / "none")))
    assert poll(NODE, folder, "j1", wait=PATIENCE_S).rc == 4


def test_the_last_twenty_finished_jobs_stay_and_running_ones_too(folder: str) -> None:
    start(NODE, folder, "j-running", ["sleep", "600"], HOUR)
    pid(folder, "j-running")
    for number in range(23):
        old = Path(folder, f"j{number:02}")
        old.mkdir()
        (old / "rc").write_text("0 1\n")
        os.utime(old, (1000 + number, 1000 + number))
    os.utime(Path(folder, "j-running"), (1, 1))
    start(NODE, folder, "j-new", ["true"], HOUR)
    names = {path.name for path in Path(folder).iterdir()}
    assert names == {"j-new", "j-running", *(f"j{number:02}" for number in range(3, 23))}


def test_a_command_that_is_not_there_is_told(folder: str) -> None:
    start(NODE, folder, "j1", ["/no/such/program"], HOUR)
    state = poll(NODE, folder, "j1", wait=PATIENCE_S)
    assert (state.phase, state.rc) == (Phase.ENDED, 127)
    assert "/no/such/program" in state.output


def test_a_folder_that_can_not_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"can't start job j1: .*Not a directory"):
        start(NODE, str(tmp_path / "file" / "jobs"), "j1", ["true"], HOUR)


def test_only_its_owner_reads_a_jobs_folder(folder: str) -> None:
    start(NODE, folder, "j1", ["sh", "-c", "umask"], HOUR)
    state = poll(NODE, folder, "j1", wait=PATIENCE_S)
    assert Path(folder, "j1").stat().st_mode & 0o777 == 0o700
    # … but what the command makes has the mode that it would have had.
    mask = os.umask(0)
    os.umask(mask)
    assert int(state.output, 8) == mask


def test_nothing_is_left_of_an_ended_job(folder: str) -> None:
    start(NODE, folder, "j1", ["true"], HOUR)
    supervisor = pid(folder, "j1", "supervisor")
    poll(NODE, folder, "j1", wait=PATIENCE_S)
    listed = ["ps", "-o", "pid=", "-s", str(supervisor)]
    until(lambda: not subprocess.run(listed, check=False, capture_output=True).stdout, "its session is empty")
