from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.access import AdminAccess
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import LocalShell, PosixNode
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.around import (
    Around,
    around_problems,
    as_problem,
    look_around,
)
from tests.waiting import until

ACCESS = AdminAccess("lb1", "/run/a.sock", "/run/m.sock", state_dir="/var/state")
FIT = Around(mode="600", folder=True, stateless=())


@pytest.mark.parametrize(
    ("around", "expected"),
    [
        (FIT, []),
        (dataclasses.replace(FIT, mode="700"), []),
        (dataclasses.replace(FIT, mode="660"), ["mode 660"]),
        (dataclasses.replace(FIT, mode="unknown"), ["mode unknown"]),
        # Without a socket, who asks HAProxy tells it.
        (dataclasses.replace(FIT, mode=""), []),
        (dataclasses.replace(FIT, mode="777", stateless=("b",)), ["mode 777", "backend b has no state file"]),
        (dataclasses.replace(FIT, folder=False, stateless=("b",)), ["/var/state is no folder that can be written"]),
        (
            dataclasses.replace(FIT, stateless=("a", "b")),
            ["backend a has no state file", "backend b has no state file"],
        ),
    ],
)
def test_each_thing_that_is_missing_is_told(around: Around, expected: list[str]) -> None:
    found = around_problems(ACCESS, around)
    assert len(found) == len(expected)
    for problem, part in zip(found, expected, strict=True):
        assert part in problem.reason
        assert problem.reason.startswith("load balancer lb1")
        assert problem.remedy


def test_without_a_folder_for_states_every_left_server_would_come_back() -> None:
    [problem] = around_problems(dataclasses.replace(ACCESS, state_dir=""), FIT)
    assert "a reload brings back every server that left" in problem.reason
    assert "tidegate_haproxy_state_dir" in problem.remedy


@pytest.mark.parametrize(
    ("text", "unread"),
    [
        ("global\n  server-state-base {state}/\ndefaults\n  load-server-state-from-file local\n", ""),
        ("defaults\n  load-server-state-from-file local\n", ""),
        ("defaults\n  load-server-state-from-file global\n", "load-server-state-from-file local"),
        ("# load-server-state-from-file local\n", "load-server-state-from-file local"),
        (
            "global\n  server-state-base /elsewhere\ndefaults\n  load-server-state-from-file local\n",
            "server-state-base {state}",
        ),
        ("", ""),
    ],
)
def test_what_haproxys_files_lack_is_told(tmp_path: Path, text: str, unread: str) -> None:
    """A program that is called haproxy and does nothing, started with a folder of files."""
    program, conf = tmp_path / "haproxy", tmp_path / "conf.d"
    program.write_text("#!/bin/sh\nread -r _\n")
    program.chmod(0o755)
    conf.mkdir()
    (conf / "a.cfg").write_text(text.format(state=tmp_path))
    access = dataclasses.replace(ACCESS, master_socket=str(tmp_path / "m.sock"), state_dir=str(tmp_path))
    argv = [str(program), "-W", "-f", "conf.d", "-S", f"{access.master_socket},mode,600"]
    process = subprocess.Popen(argv, cwd=tmp_path, stdin=subprocess.PIPE)
    try:
        until(lambda: Path(f"/proc/{process.pid}/comm").read_text() == "haproxy\n", "it is called haproxy")
        found = look_around(PosixNode("lb1", LocalShell()), access, [])
    finally:
        process.communicate()
    assert found.unread == unread.format(state=tmp_path)


def test_a_host_without_haproxy_has_no_mode(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1\n")
    access = dataclasses.replace(ACCESS, socket=str(tmp_path / "none.sock"), state_dir=str(tmp_path))
    found = look_around(PosixNode("lb1", LocalShell()), access, ["a", "b"])
    assert found == Around(mode="", folder=True, stateless=("b",))


def test_a_load_balancer_that_does_not_answer_is_a_problem() -> None:
    problem = as_problem(Unreachable("no answer", where="load balancer lb1", remedy="Look there"))
    assert (problem.reason, problem.remedy) == ("load balancer lb1: no answer", "Look there")
