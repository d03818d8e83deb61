"""What HAProxy's log says of a test run, from lines as HAProxy writes them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.log import Logged, read_line
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import LocalShell, PosixNode
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.log import (
    Account,
    LogQuestion,
    Served,
    judge_logs,
)

RUN = "5f0c8a61d2b34e97"
BACKENDS = frozenset({"trade_online", "trade_maintenance"})
ALONE = LogQuestion(RUN, "n1", BACKENDS)
BY_ID = LogQuestion(RUN, "n1", BACKENDS, alone=False)


def line(
    server: str = "n1", uri: str = "/quotes", client: str = "10.0.0.9", backend: str = "trade_maintenance"
) -> bytes:
    """As `option httplog` writes it, behind what rsyslog puts in front."""
    return (
        f"Jan 31 12:00:00 lb1 haproxy[7]: {client}:40321 [31/Jan/2026:12:00:00.123] testers {backend}/{server} "
        f'0/0/1/2/3 200 512 - - ---- 1/1/0/0/0 0/0 {{|{RUN if "own" in uri else ""}}} "GET {uri} HTTP/1.1"'
    ).encode()


def probe(when: str, server: str = "n1", run: str = RUN) -> bytes:
    return line(server, f"/health?tidegate-run={run}-{when}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (line(), Logged("10.0.0.9", "trade_maintenance", "n1", "/quotes")),
        (line(client="2001:db8::9"), Logged("2001:db8::9", "trade_maintenance", "n1", "/quotes")),
        (line(server="<NOSRV>"), Logged("10.0.0.9", "trade_maintenance", "<NOSRV>", "/quotes")),
        (b'x haproxy[1]: 10.0.0.9:1 [d] f f/<NOSRV> -1/-1/-1/-1/0 400 187 - - PR-- 1/1/0/0/0 0/0 "<BADREQ>"',
         Logged("10.0.0.9", "f", "<NOSRV>", "<BADREQ>")),
        (b'Jan 31 lb1 haproxy: {"client":"10.0.0.9:1","backend":"b","server":"n1","uri":"/a","status":200}',
         Logged("10.0.0.9", "b", "n1", "/a")),
        (line(uri="/long")[:-12], Logged("10.0.0.9", "trade_maintenance", "n1", "/lo")),
        (line()[:125], Logged("10.0.0.9", "trade_maintenance", "n1", "")),
        (b'{"client":"10.0.0.9:1","backend":"b","uri":"/a"}', None),
        (b'{"client":7,"backend":"b","server":"n1","uri":"/a"}', None),
        (b"[NOTICE] (7) : New worker (8) forked", None),
        (b"\xff\xfe{", None),
    ],
)  # fmt: skip
def test_lines_are_read_as_haproxy_writes_them(text: bytes, said: Logged | None) -> None:
    assert read_line(text) == said


def test_bytes_that_are_no_text_hide_no_line(tmp_path: Path) -> None:
    log = tmp_path / "haproxy.log"
    log.write_bytes(b"")
    lb = PosixNode("lb1", LocalShell())
    account = Account({"lb1": str(log)}, {"lb1": lb}, BACKENDS, required=True, by_id=False)
    assert account.begin() == ""
    # As a machine that crashed leaves them, and a program that writes there as well.
    log.write_bytes(b"\n".join([b"\0" * 512 + probe("before"), b"\xff\xfe of 10.0.0.9", line(), probe("after"), b""]))
    assert account.proof(RUN, "n1", "10.0.0.9").served is Served.BY_THE_NODE


def test_requests_between_the_probes_that_the_node_served_are_the_proof() -> None:
    logs = {"lb1": [line("n2"), probe("before"), line(), line("<NOSRV>"), line("n7", backend="other"), probe("after"),
                    line("n2")]}  # fmt: skip
    proof = judge_logs(logs, ALONE)
    assert (proof.served, proof.requests) == (Served.BY_THE_NODE, 1)
    assert proof.sentence == "1 request of the tests, served by n1, in the log of lb1"


@pytest.mark.parametrize(
    ("between", "told"),
    [
        ([line(), line("n2"), line("n2"), line("n3")], "of 4 requests of the tests 2 by trade_maintenance/n2, 1 by"),
        ([line(), line("n2", backend="trade_online")], "of 2 requests of the tests 1 by trade_online/n2, not by n1"),
        ([], "n1 served no request of the tests"),
        ([line(client="10.0.0.8")], "n1 served no request of the tests"),
        ([line("<NOSRV>")], "n1 served no request of the tests"),
    ],
)
def test_a_request_elsewhere_or_none_at_the_node_is_no_evidence(between: list[bytes], told: str) -> None:
    proof = judge_logs({"lb1": [probe("before"), *between, probe("after")]}, ALONE)
    assert proof.served is Served.ELSEWHERE
    assert told in proof.sentence


def test_a_request_through_another_load_balancer_counts_as_well() -> None:
    logs = {"lb1": [probe("before"), line(), probe("after")], "lb2": [line("n2")]}
    assert judge_logs(logs, ALONE).served is Served.ELSEWHERE


def test_other_runs_of_the_box_are_told_apart_by_the_id() -> None:
    between = [line(uri="/own"), line("n2"), probe("before", "n2", run="0" * 16)]
    logs = {"lb1": [probe("before"), *between, probe("after")]}
    assert judge_logs(logs, BY_ID).served is Served.BY_THE_NODE
    assert judge_logs(logs, ALONE).served is Served.ELSEWHERE
    astray = judge_logs({"lb1": [probe("before"), line("n2", "/own"), probe("after")]}, BY_ID)
    assert astray.served is Served.ELSEWHERE
    silent = judge_logs({"lb1": [probe("before"), line(), probe("after")]}, BY_ID)
    assert silent.sentence == "n1 served no request of the tests with the run's id in the header X-Tidegate-Run"


@pytest.mark.parametrize(
    "lines",
    [[], [probe("before"), line()], [line(), probe("after")], [probe("after"), line(), probe("before")]],
)
def test_a_log_without_both_probes_in_turn_is_incomplete(lines: list[bytes]) -> None:
    proof = judge_logs({"lb1": lines}, ALONE)
    assert proof.served is Served.UNKNOWN
    assert f"both probes of run {RUN} are not in the log of lb1" in proof.sentence


def test_a_json_log_is_judged_alike() -> None:
    def told(uri: str, server: str = "n1") -> bytes:
        said = {"client": "10.0.0.9:1", "backend": "trade_maintenance", "server": server, "uri": uri}
        return json.dumps(said).encode()

    lines = [told(f"/health?tidegate-run={RUN}-before"), told("/a"), told(f"/health?tidegate-run={RUN}-after")]
    assert judge_logs({"lb1": lines}, ALONE).requests == 1


def test_a_request_too_long_for_the_log_goes_astray_like_others() -> None:
    cut = line("n2", f"/quotes?of={'x' * 2000}")[:1024]
    assert judge_logs({"lb1": [probe("before"), line(), cut, probe("after")]}, ALONE).served is Served.ELSEWHERE


def test_a_log_with_cut_json_is_no_proof() -> None:
    cut = b'{"client": "10.0.0.9:1", "backend": "trade_maintenance", "uri": "/xxxx'
    proof = judge_logs({"lb1": [probe("before"), line(), cut, probe("after")]}, ALONE)
    assert proof.served is Served.UNKNOWN
    assert "lines of the log of lb1 are cut" in proof.sentence
    assert judge_logs({"lb1": [probe("before"), line("n2"), cut, probe("after")]}, ALONE).served is Served.ELSEWHERE
