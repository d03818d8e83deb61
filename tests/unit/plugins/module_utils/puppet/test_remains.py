from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import (
    DeadlineExceeded,
    DomainError,
    NotLetIn,
    Unreachable,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.node.boot import OnPending
from ansible_collections.tidegate.delivery.plugins.module_utils.node.jobs import JobState, Phase
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Completed
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet import remains as module
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet import report, run
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.agent import Agent
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.remains import (
    Remains,
    at_end,
    look_for_remains,
    read_remains,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.result import Request
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import NEVER
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.node import WindowsNode
from tests.unit.plugins.module_utils.windows.test_node import DIRECT, Answers

GOOD = b"status: changed\njob_id: d1.n1.1\n"


def left(folder: Path, report: Path, **environment: str) -> Remains:
    """What the node tells of a job with this folder and an agent with this last report."""
    agent = Agent(program="puppet", confdir="", disabled_lock="", report=str(report))
    asked = at_end(agent)
    argv = ["sh", "-c", asked.script, "tidegate", str(folder), asked.about]
    told = subprocess.run(
        argv, check=True, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", **environment}
    )
    return read_remains("n1", agent, JobState(Phase.ENDED, rc=0, told=told.stdout))


def test_the_report_that_was_kept_goes_before_the_last_one(tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(GOOD)
    (tmp_path / "last.yaml").write_bytes(b"status: failed\n")
    found = left(tmp_path, tmp_path / "last.yaml")
    assert (found.path, found.problem) == (f"{tmp_path}/kept", "")
    assert found.report is not None and (found.report.status, found.report.job_id) == ("changed", "d1.n1.1")


def test_without_one_that_was_kept_it_is_the_last_one(tmp_path: Path) -> None:
    (tmp_path / "last = yaml").write_bytes(GOOD)
    found = left(tmp_path / "gone", tmp_path / "last = yaml")
    assert found.path == f"{tmp_path}/last = yaml"
    assert found.report is not None


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "there is no {}"),
        ("folder", "{}: it is no file"),
        (b"", "it has no status"),
        (b"{", "Puppet's report can't be read"),
        (b"x" * 101, "{}: it is larger than 100 bytes"),
    ],
)
def test_why_there_is_no_report(
    tmp_path: Path, content: bytes | str | None, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TELL", module._TELL.replace(str(report.REPORT_LIMIT), "100"))
    last = tmp_path / "last.yaml"
    if content == "folder":
        last.mkdir()
    elif isinstance(content, bytes):
        last.write_bytes(content)
    found = left(tmp_path, last)
    assert found.report is None
    assert problem.format(last) in found.problem
    assert found.path == str(last)


def test_the_boot_is_told_beside_it(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for file, text in {"proc/sys/kernel/random/boot_id": "first\n", "run/reboot-required": ""}.items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(text)
    boot = left(tmp_path, tmp_path / "last.yaml", TIDEGATE_NODE_ROOT=str(root)).boot
    assert (boot.id, boot.pending) == ("first", "/run/reboot-required is there")


@pytest.mark.parametrize("told", ["", "boot = first\n", "path = /r\ntold =\n"])
def test_half_an_answer_is_none(told: str) -> None:
    agent = Agent(program="puppet", confdir="", disabled_lock="", report="/r")
    with pytest.raises(Unreachable):
        read_remains("n1", agent, JobState(Phase.ENDED, told=told))


@pytest.mark.parametrize("error", [DeadlineExceeded("tar.exe did not end within 60 s"), NotLetIn("rejected")])
def test_a_windows_node_that_is_slow_or_lets_nobody_in_for_a_moment_is_asked_again(
    error: DomainError, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = Agent(program="", confdir="", disabled_lock="", report=r"C:\report.yaml")
    with pytest.raises(type(error)):
        look_for_remains(WindowsNode("w1", Answers([DIRECT, error])), agent, OnPending.IGNORE)
    ended = JobState(Phase.ENDED, rc=2, output="Notice: Applied catalog in 3 seconds\n")
    monkeypatch.setattr(run, "run_attached", lambda *_what, **_limits: ended)
    monkeypatch.setattr(run, "run_argv", lambda *_what: [])
    monkeypatch.setattr(run, "LOG_IN_AGAIN_S", 0.01)
    node = WindowsNode("w1", Answers([DIRECT, error, error, Completed(1, b"", b"C: No such file or directory")]))
    request = Request(folder="", run_id="d.1", family="d.", timeout=1, wait_for_lock=1, interval=1)
    result = run._run_attached(node, agent, request, lambda _line: None, NEVER)
    assert "there is no C:" in result.verdict.detail, "the report was asked for until there was an answer"
    monkeypatch.setattr(run, "PATIENCE", 0)
    with pytest.raises(Unreachable, match=r"came to can't be read \(.*Then run the same deployment again"):
        run._run_attached(WindowsNode("w1", Answers([DIRECT, error])), agent, request, lambda _line: None, NEVER)
