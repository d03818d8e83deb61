from __future__ import annotations

import base64
import shlex
import subprocess
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.box_order import BoxRun, box_inputs
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.box_report import Stage, read_report
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.box_script import SCRIPT
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.runners import Runner
from tests.waiting import PATIENCE_S

RUN = BoxRun(
    work_dir="/srv/tests",
    artifact_url="http://repo/a.tar.gz",
    artifact_sha256="ab" * 32,
    assemblies=("A.dll", "B.dll"),
    program=("nunit-console", "-labels"),
    probe_url="http://lb1:8090/health",
    aim=("X-Tidegate-Node", "n1"),
    served_by="X-Served-By",
    node="n1",
    timeout=60,
    queue_timeout=30,
    settings={"TIDEGATE_NODE": "n1"},
)


def report(**told: str | bytes) -> bytes:
    values = {name.replace("_", "."): value for name, value in told.items()}
    encoded = {n: base64.b64encode(v if isinstance(v, bytes) else v.encode()).decode() for n, v in values.items()}
    return "".join(f"{name} {value}\n" for name, value in encoded.items()).encode()


def test_nunit_2_gets_its_options_and_paths_in_the_runs_folder() -> None:
    assert RUN.argv == [
        *("nunit-console", "-labels", "-nologo", "-xml:results.xml"),
        *("unpacked/tests/A.dll", "unpacked/tests/B.dll"),
    ]


def test_another_runner_says_where_its_results_go() -> None:
    run = replace(RUN, runner=Runner.VSTEST, program=("dotnet", "vstest"), assemblies=("A.dll",))
    assert run.argv[:2] == ["dotnet", "vstest"]
    assert run.argv[-1] == "unpacked/tests/A.dll"
    assert run.results == "results.trx"


def test_the_deadline_covers_queue_fetch_and_run() -> None:
    assert RUN.deadline == 30 + 300 + 120 + 20 + 30 + 60


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"work_dir": "srv/tests"}, "work_dir"),
        ({"artifact_url": 'http://repo/a"\nheader = "x'}, "artifact.url"),
        ({"artifact_url": "file:///etc/passwd"}, "artifact.url"),
        ({"artifact_url": "http://repo/a\\b"}, "artifact.url"),
        ({"artifact_sha256": "AB" * 32}, "artifact.sha256"),
        ({"probe_url": "http://lb1/ x"}, "url"),
        ({"node": 'n1"'}, "node"),
        ({"node": ""}, "node"),
        ({"aim": ("X-Node:", "n1")}, "aim.header"),
        ({"aim": ("Host", "n1\r\nX: y")}, "aim.host"),
        ({"served_by": "X\nY"}, "aim.served_by"),
        ({"program": ("mono", "")}, "program"),
        ({"parallel": 0}, "parallel"),
        ({"assemblies": ()}, "assemblies"),
        ({"assemblies": ("A.dll", "a.dll")}, "assemblies"),
        ({"assemblies": ("../A.dll",)}, "assemblies"),
        ({"assemblies": ("-out:x",)}, "assemblies"),
        ({"secrets": {"A B": "x"}}, "environment"),
        ({"secrets": {"A": "x\0"}}, "environment"),
    ],
)
def test_what_the_box_could_read_as_something_else_is_refused(change: dict[str, Any], where: str) -> None:
    with pytest.raises(BadInput) as caught:
        replace(RUN, **change)
    assert caught.value.where == where


def test_our_own_settings_can_not_be_replaced() -> None:
    assert replace(RUN, secrets={"TIDEGATE_NODE": "n2"}).environment == {"TIDEGATE_NODE": "n1"}


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_every_value_arrives_in_the_shell_as_it_is(value: str) -> None:
    inputs = box_inputs(replace(RUN, secrets={"PASSWORD": value}))
    script = 'eval "$(cat)"; export_environment; printf %s "$PASSWORD"'
    done = subprocess.run(["/bin/sh", "-c", script], input=inputs, capture_output=True, check=True, timeout=PATIENCE_S)
    assert done.stdout.decode() == value


def test_nothing_is_exported_before_the_runner_starts() -> None:
    script = 'eval "$(cat)"; printf "%s|" "${PASSWORD-unset}" "$@"'
    inputs = box_inputs(replace(RUN, program=("my runner", "a'b")))
    done = subprocess.run(["/bin/sh", "-c", script], input=inputs, capture_output=True, check=True, timeout=PATIENCE_S)
    assert done.stdout.decode().split("|")[:3] == ["unset", "my runner", "a'b"]
    assert shlex.quote("a'b") in inputs.decode()


def test_a_full_report_is_read() -> None:
    head = "HTTP/1.1 200 OK\r\nX-Served-By: n1\r\nContent-Length: 2\r\n"
    told = read_report(
        report(folder="/srv/tests/runs/1", before_rc="0", before_head=head, before_body="{}", after_rc="28",
               after_error="curl: (28) timed out", rc="6", seconds="1.25", console="bye", problem="", stage="done")
    )  # fmt: skip
    assert (told.stage, told.runner_rc, told.runner_seconds, told.console) == (Stage.DONE, 6, 1.25, "bye")
    assert told.probes["before"].status == 200
    assert told.probes["before"].headers["x-served-by"] == "n1"
    assert told.probes["before"].body == b"{}"
    assert told.probes["after"].problem == "curl: (28) timed out"


def test_an_early_end_has_no_runner() -> None:
    told = read_report(report(problem="its SHA-256 is 00\x1b", stage="digest"))
    assert (told.stage, told.problem, told.runner_rc) == (Stage.DIGEST, r"its SHA-256 is 00\x1b", None)


def test_no_number_of_the_box_is_written_in_its_language() -> None:
    """Debian's awk writes `0,500` where the decimal sign is a comma; no such locale is there to run it with."""
    assert [line for line in SCRIPT.splitlines() if "%.3f" in line and "LC_ALL=C awk" not in line] == []
    with pytest.raises(BadInput, match="the report of the test box can't be read"):
        read_report(report(stage="done", rc="0", seconds="0,500"))


@pytest.mark.parametrize("output", [b"", b"Welcome to box!\n", b"stage !!!\n", b"stage eHl6\n", b"\xff"])
def test_what_is_no_report_is_told(output: bytes) -> None:
    with pytest.raises(BadInput, match="the report of the test box can't be read"):
        read_report(output)


def test_an_answer_without_a_status_is_no_answer() -> None:
    told = read_report(report(before_rc="0", before_head="", stage="done"))
    assert told.probes["before"].problem == "the answer has no status"


def test_of_a_probe_the_final_answer_counts() -> None:
    hints = "HTTP/1.1 103 Early Hints\r\nX-Served-By: n2\r\nLink: </a>\r\n\r\n"
    final = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\n\r\n"
    probe = read_report(report(before_rc="0", before_head=hints + final, stage="done")).probes["before"]
    assert (probe.status, dict(probe.headers)) == (503, {"content-type": "text/plain"})
