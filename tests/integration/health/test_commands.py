"""Programs, Nagios plugins and processes, all of them real, on this machine."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.health.expectation import Differs, Finding
from ansible_collections.tidegate.delivery.plugins.module_utils.health.nagios_plugin import (
    State,
    parse_range,
    read_answer,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.health.node_checks import (
    CommandCheck,
    NodeCheck,
    PluginCheck,
    ProcessCheck,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.health.probes import CommandsProbe
from ansible_collections.tidegate.delivery.plugins.module_utils.node.commands import OUTPUT_LIMIT, run_each
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import LocalShell, PosixNode
from ansible_collections.tidegate.delivery.plugins.module_utils.node.process_start import (
    FoundBy,
    Process,
    ProcessQuestion,
    read_process,
)
from tests.integration.health.listener import listening
from tests.integration.health.servers import always, respond, serving
from tests.waiting import PATIENCE_S

PLUGINS = Path("/usr/lib/nagios/plugins")
NODE = PosixNode("n1", LocalShell())


def plugin(name: str, *words: str) -> tuple[str, ...]:
    return (str(PLUGINS / name), *words)


def judged(check: NodeCheck, timeout: float = PATIENCE_S) -> Finding:
    return CommandsProbe(NODE, {"it": check})(timeout)


def test_all_run_at_once_and_each_has_an_end_of_its_own() -> None:
    began = time.monotonic()
    slow, fast, failed, absent = run_each(
        NODE, [["sleep", "600"], ["printf", "%s", "a  'b'$c"], ["sh", "-c", "echo no >&2; exit 9"], ["/no/such"]], 4.0
    )
    assert slow.late
    assert (fast.rc, fast.stdout, fast.stderr, fast.late) == (0, b"a  'b'$c", b"", False)
    assert (failed.rc, failed.stdout, failed.stderr) == (9, b"", b"no\n")
    assert absent.rc == 127
    assert time.monotonic() - began < 300


def test_endless_output_is_cut_and_changes_no_exit_code() -> None:
    [ended] = run_each(
        NODE, [["sh", "-c", "head -c 5000000 /dev/zero; head -c 5000000 /dev/zero >&2; exit 3"]], PATIENCE_S
    )
    assert (ended.rc, len(ended.stdout), len(ended.stderr)) == (3, OUTPUT_LIMIT, OUTPUT_LIMIT)


@pytest.mark.slow
def test_what_a_program_leaves_running_does_not_hold_us_up_for_ever() -> None:
    [ended] = run_each(NODE, [["sh", "-c", "sleep 600 & exit 0"]], 1.0)
    assert ended.late


def test_nothing_is_left_in_the_folder_for_temporary_files(tmp_path: Path) -> None:
    node = PosixNode("n1", LocalShell({"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)}))
    assert [ended.rc for ended in run_each(node, [["true"], ["false"]], PATIENCE_S)] == [0, 1]
    assert list(tmp_path.iterdir()) == []
    tmp_path.rmdir()
    with pytest.raises(BadInput, match="commands can't be run there"):
        run_each(node, [["true"]], PATIENCE_S)


@pytest.mark.parametrize("rc", [0, 1, 2, 3])
def test_check_dummys_states(rc: int) -> None:
    answer = read_answer(*_run(plugin("check_dummy", str(rc), "said so")))
    assert (answer.state, answer.text) == (tuple(State)[rc], f"{tuple(State)[rc].upper()}: said so")
    assert judged(PluginCheck(plugin("check_dummy", str(rc), "said so"))).good is (rc == 0)


def test_check_disks_performance_data_is_held_against_ranges() -> None:
    argv = plugin("check_disk", "-w", "0", "-c", "0", "-p", "/")
    assert judged(PluginCheck(argv, limits={"/": parse_range("0:")})).good
    full = judged(PluginCheck(argv, limits={"/": parse_range("~:-1")}))
    assert ", allowed is ~:-1" in full.sentence


def test_check_http_and_check_tcp_against_a_server() -> None:
    with serving(always(respond({"status": "ok"}))) as server:
        port = server.url.split(":")[2].split("/")[0]
        http = PluginCheck(
            plugin("check_http", "-H", "127.0.0.1", "-p", port, "-u", "/health", "-s", '"ok"'),
            limits={"time": parse_range("25")},
        )
        assert judged(http).good
        assert judged(PluginCheck(plugin("check_tcp", "-H", "127.0.0.1", "-p", port))).good
        missing = judged(PluginCheck(plugin("check_http", "-H", "127.0.0.1", "-p", port, "-s", "absent")))
    assert 'CRITICAL, expected OK, it said "HTTP CRITICAL' in missing.sentence
    gone = judged(PluginCheck(plugin("check_tcp", "-H", "127.0.0.1", "-p", port)))
    assert [difference.kind for difference in gone.differences] == [Differs.CHECK]
    assert "CRITICAL, expected OK" in gone.sentence


def test_a_hanging_plugin_is_ended_and_is_no_success() -> None:
    finding = judged(PluginCheck(("sleep", "600"), accept=tuple(State)), timeout=1.0)
    assert finding.only_late
    assert "it: it did not end within" in finding.sentence


def test_several_checks_are_told_by_their_names() -> None:
    checks = {"first": CommandCheck(("false",)), "second": CommandCheck(("true",)), "third": CommandCheck(("false",))}
    finding = CommandsProbe(NODE, checks)(PATIENCE_S)
    assert [difference.text for difference in finding.differences] == [
        "first: exit code 1, expected 0",
        "third: exit code 1, expected 0",
    ]


def _run(argv: tuple[str, ...]) -> tuple[int, bytes, bytes]:
    [ended] = run_each(NODE, [argv], PATIENCE_S)
    return ended.rc, ended.stdout, ended.stderr


def found(question: ProcessQuestion) -> Process | str:
    [ended] = run_each(NODE, [question.argv], PATIENCE_S)
    return read_process(question, ended)


def test_a_process_is_found_by_its_port_and_pid_file_with_its_age(tmp_path: Path) -> None:
    before = time.time()
    with listening() as (port, pid):
        (tmp_path / "pid").write_text(f"{pid}\n")
        by_port = ProcessQuestion(FoundBy.PORT, str(port), "127.0.0.1")
        for question in (
            by_port,
            ProcessQuestion(FoundBy.PORT, str(port)),
            ProcessQuestion(FoundBy.PID_FILE, str(tmp_path / "pid")),
        ):
            process = found(question)
            assert isinstance(process, Process)
            assert process.pid == pid
            assert 0 <= process.age <= time.time() - before + 0.02
        assert judged(ProcessCheck(by_port, before - 1)).good
        time.sleep(0.05)
        old = judged(ProcessCheck(by_port, time.time()))
        assert [difference.kind for difference in old.differences] == [Differs.STARTED]
        elsewhere = ProcessQuestion(FoundBy.PORT, str(port), "127.0.0.9")
        assert found(elsewhere) == f"there is no such process: {elsewhere}"
    assert "there is no such process" in str(found(by_port))
    assert "there is no such process" in str(found(ProcessQuestion(FoundBy.PID_FILE, str(tmp_path / "pid"))))
    assert "there is no such process" in str(found(ProcessQuestion(FoundBy.PID_FILE, str(tmp_path / "none"))))


def test_a_process_that_listens_everywhere_is_found_by_an_address() -> None:
    with listening("0.0.0.0") as (port, pid):
        process = found(ProcessQuestion(FoundBy.PORT, str(port), "127.0.0.7"))
    assert isinstance(process, Process)
    assert process.pid == pid


@pytest.mark.parametrize(
    ("said", "found_there"),
    [("echo $PPID", True), ("echo 0", False), ("exit 1", None)],
    ids=["running", "stopped", "no systemd"],
)
def test_a_units_main_process(tmp_path: Path, said: str, found_there: bool | None) -> None:
    """There is no systemd in a container: a double answers as systemctl(1) documents `show --property --value`."""
    program = tmp_path / "systemctl"
    program.write_text(f'#!/bin/sh\n[ "$*" = "show --property MainPID --value -- trade.service" ] || exit 9\n{said}\n')
    program.chmod(0o755)
    node = PosixNode("n1", LocalShell({"PATH": f"{tmp_path}:{os.environ['PATH']}"}))
    question = ProcessQuestion(FoundBy.UNIT, "trade.service")
    [ended] = run_each(node, [question.argv], PATIENCE_S)
    process = read_process(question, ended)
    if found_there:
        assert isinstance(process, Process)
    else:
        assert ("there is no such process" if found_there is False else "can't be told") in str(process)
