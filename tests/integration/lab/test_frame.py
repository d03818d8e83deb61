"""sshd, HAProxy and the artifact server of the lab, and what `lab.control` does to them."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.message import Message
from functools import partial
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, DomainError
from lab import control, haproxy_socket, processes, supervise
from lab.down import down
from lab.layout import ARTIFACT_PORT, PROJECT, SHARED_PORT, SSH_PORT
from lab.programs import program
from lab.progress import Progress
from lab.supervise import Run
from tests.integration.lab.frame import Frame, stand_in_name, start_frame
from tests.waiting import PATIENCE_S, until

NET = "127.41"


@pytest.fixture(scope="module")
def frame() -> Iterator[Frame]:
    """In a shallow folder, with the sockets below it; `test_lifecycle` has deep ones."""
    with tempfile.TemporaryDirectory(prefix="tg") as folder:
        started = start_frame(NET, Path(folder) / "lab")
        assert not started.layout.runtime_is_elsewhere
        yield started
        down(started.layout, Progress(), purge=True)
        assert processes.of_lab(started.layout) == []


@pytest.fixture(autouse=True)
def _as_at_first(frame: Frame) -> None:
    """Whatever a test did to the pools is undone before the next one."""
    for host in frame.layout.load_balancers:
        control.thaw_haproxy(frame.layout, host.name)
        commands = [
            f"set server {backend}/{node} state {state}"
            for service in frame.layout.services
            for backend, state in ((service.online, "ready"), (service.maintenance, "maint"))
            for node in service.nodes
        ]
        haproxy_socket.ask(host.haproxy_socket, "; ".join(commands))
        control.dump_state(frame.layout, host.name)


def get(address: str, port: int, path: str = "/", **headers: str) -> tuple[int, str, dict[str, str]]:
    request = urllib.request.Request(f"http://{address}:{port}{path}")
    for name, value in headers.items():
        request.add_header(name.replace("_", "-"), value)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return answer.status, answer.read().decode(), lowered(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), lowered(error.headers)


def lowered(headers: Message) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def change(frame: Frame, host: str, command: str) -> None:
    assert haproxy_socket.ask(frame.layout.host(host).haproxy_socket, command).strip() == ""


def status(frame: Frame, host: str, backend: str, node: str) -> haproxy_socket.Server:
    servers = haproxy_socket.servers(frame.layout.host(host).haproxy_socket)
    return next(server for server in servers if (server.backend, server.name) == (backend, node))


def await_serving(frame: Frame, node: str) -> None:
    """Until a service that was started again is back: a pool that has not noticed its end says UP all the time."""
    until(lambda: answers(frame.address(node), 8080), f"{node} answers")
    for host in frame.layout.load_balancers:
        until(partial(_is_up, frame, host.name, node), f"{node} is up on {host.name}")


def _is_up(frame: Frame, host: str, node: str) -> bool:
    return status(frame, host, "tradeapi_online", node).is_up


def answers(address: str, port: int) -> bool:
    try:
        return get(address, port)[0] == 200
    except OSError:
        return False


# -- pools and aiming ------------------------------------------------------------------------------------------------


def test_on_a_first_start_online_is_ready_and_maintenance_is_not(frame: Frame) -> None:
    for host in frame.layout.load_balancers:
        for server in haproxy_socket.servers(host.haproxy_socket):
            assert server.is_up is server.backend.endswith("_online"), server
            assert server.is_out is server.backend.endswith("_maintenance"), server


def test_customers_reach_every_node_and_cannot_aim(frame: Frame) -> None:
    answers = [get(frame.address("lb1"), 8080, "/", X_Tidegate_Node="n1")[1] for _ in range(12)]
    assert {answer.split()[0] for answer in answers} == {frame.address(node) for node in frame.layout.services[0].nodes}
    assert {answer.split()[1] for answer in answers} == {"None"}


@pytest.mark.parametrize(("name", "status_code"), [("trade.lab", 200), ("FEED.lab:8000", 200), ("other.lab", 404)])
def test_the_shared_front_end_goes_by_name(frame: Frame, name: str, status_code: int) -> None:
    found, body, _ = get(frame.address("lb2"), SHARED_PORT, "/", Host=name)
    assert found == status_code
    if name.startswith("FEED"):
        assert body.split()[0] in (frame.address("n6"), frame.address("p1"))


def test_testers_reach_exactly_the_node_that_they_aim_at(frame: Frame) -> None:
    for node in ("n2", "n5"):
        change(frame, "lb1", f"set server tradeapi_maintenance/{node} state ready")
    for node in ("n2", "n5") * 3:
        code, body, headers = get(frame.address("lb1"), 8090, X_Tidegate_Node=node)
        assert (code, body.split()[0], headers["x-served-by"]) == (200, frame.address(node), node)


@pytest.mark.parametrize("aim", [{}, {"X_Tidegate_Node": "n9"}, {"X_Tidegate_Node": "n1,n2"}, {"X_Tidegate_Node": ""}])
def test_without_one_known_name_testers_get_503(frame: Frame, aim: dict[str, str]) -> None:
    for node in frame.layout.services[0].nodes:
        change(frame, "lb1", f"set server tradeapi_maintenance/{node} state ready")
    code, _, headers = get(frame.address("lb1"), 8090, **aim)
    assert code == 503
    assert "x-served-by" not in headers


def test_aiming_at_a_node_that_is_in_maintenance_gives_503_and_no_other_node(frame: Frame) -> None:
    change(frame, "lb1", "set server tradeapi_maintenance/n2 state ready")
    assert {get(frame.address("lb1"), 8090, X_Tidegate_Node="n1")[0] for _ in range(6)} == {503}


def test_aiming_at_a_node_whose_service_dies_never_reaches_another(frame: Frame) -> None:
    """From before HAProxy's checks notice until after: `use-server` and a redispatch would both go elsewhere."""
    layout, unit = frame.layout, stand_in_name("n3", "tradeapi")
    for node in layout.services[0].nodes:
        change(frame, "lb1", f"set server tradeapi_maintenance/{node} state ready")
    supervise.stop(layout, [unit])
    try:
        seen: list[tuple[int, str]] = []
        while status(frame, "lb1", "tradeapi_maintenance", "n3").status != "DOWN" or len(seen) < 40:
            with contextlib.suppress(http.client.IncompleteRead):  # The answer that its death cut off.
                code, body, _ = get(frame.address("lb1"), 8090, X_Tidegate_Node="n3")
                seen.append((code, body.split()[0] if code == 200 else ""))
        # 502: the request that was under way when the service died.
        assert {code for code, _ in seen} <= {200, 502, 503}
        assert {address for code, address in seen if code == 200} <= {frame.address("n3")}
        assert seen[-1][0] == 503
    finally:
        supervise.start(layout, [unit])
        await_serving(frame, "n3")


# -- the log ---------------------------------------------------------------------------------------------------------


def log_rows(frame: Frame, host: str, label: str) -> list[dict[str, object]]:
    lines = frame.layout.host(host).haproxy_log.read_text(errors="replace").splitlines()
    rows = [json.loads(line) for line in lines if line.startswith("{")]
    return [row for row in rows if row["load"] == label]


def test_each_request_is_one_json_line_with_what_the_demo_counts(frame: Frame) -> None:
    get(frame.address("lb1"), 8080, "/quotes?x=%22%5C", X_Load='part "a"', X_Request_Id="r-1")
    until(lambda: log_rows(frame, "lb1", 'part "a"'), "its line is there")
    [row] = log_rows(frame, "lb1", 'part "a"')
    assert (row["frontend"], row["backend"]) == ("tradeapi_customers", "tradeapi_online")
    assert row["server"] in frame.layout.services[0].nodes
    assert (row["status"], row["termination"], row["retries"]) == (200, "----", "0")
    assert (row["method"], row["uri"], row["request_id"]) == ("GET", "/quotes?x=%22%5C", "r-1")
    assert isinstance(row["time"], float)
    assert abs(row["time"] - time.time()) < 60
    assert isinstance(row["total_ms"], int)


def test_a_very_long_uri_is_cut_but_its_line_is_whole(frame: Frame) -> None:
    get(frame.address("lb1"), 8080, "/" + "a" * 7000, X_Load="long", X_Request_Id="r-long")
    until(lambda: log_rows(frame, "lb1", "long"), "its line is there")
    [row] = log_rows(frame, "lb1", "long")
    assert str(row["uri"]).startswith("/" + "a" * 1000)
    assert (row["status"], row["request_id"]) == (200, "r-long")


def test_redispatched_requests_are_marked(frame: Frame) -> None:
    """Production's safety net is on: what the demo must show is that nothing ever falls into it."""
    unit = stand_in_name("n4", "tradeapi")
    # Without checks HAProxy goes on sending requests there, however long this test takes.
    change(frame, "lb1", "disable health tradeapi_online/n4")
    supervise.stop(frame.layout, [unit])
    try:
        until(lambda: supervise.statuses(frame.layout, [unit])[unit].run is Run.DOWN, f"{unit} is down")
        assert {get(frame.address("lb1"), 8080, X_Load="net")[0] for _ in range(12)} == {200}
        until(lambda: len(log_rows(frame, "lb1", "net")) == 12, "all lines are there")
        assert any(str(row["retries"]).startswith("+") for row in log_rows(frame, "lb1", "net"))
    finally:
        supervise.start(frame.layout, [unit])
        change(frame, "lb1", "enable health tradeapi_online/n4")
        await_serving(frame, "n4")


def test_the_log_survives_a_crash(frame: Frame) -> None:
    for part in ("before", "after"):
        get(frame.address("lb2"), 8080, X_Load=part)
        until(partial(log_rows, frame, "lb2", part), "its line is there")
        control.crash_haproxy(frame.layout, "lb2")
    assert [len(log_rows(frame, "lb2", part)) for part in ("before", "after")] == [1, 1]


# -- state files, reload, crash --------------------------------------------------------------------------------------


@pytest.mark.parametrize("disturb", [control.crash_haproxy, control.reload_haproxy], ids=["crash", "reload"])
def test_dumped_state_survives(frame: Frame, disturb: object) -> None:
    assert callable(disturb)
    change(frame, "lb1", "set server tradeapi_online/n1 state maint; set server tradeapi_online/n2 state drain")
    change(frame, "lb1", "set server tradeapi_maintenance/n1 state ready; set server pricefeed_online/p1 state maint")
    control.dump_state(frame.layout, "lb1")
    before = control.worker_pid(frame.layout.host("lb1"))
    disturb(frame.layout, "lb1")
    assert control.worker_pid(frame.layout.host("lb1")) != before
    admin = {
        name: status(frame, "lb1", *name.split("/")).admin & 0x3B
        for name in ("tradeapi_online/n1", "tradeapi_online/n2", "tradeapi_maintenance/n1", "pricefeed_online/p1")
    }
    assert list(admin.values()) == [1, 8, 0, 1], admin


def test_what_was_not_dumped_is_lost_in_a_crash(frame: Frame) -> None:
    """The reason why every move ends in a dump; if HAProxy ever keeps it by itself, this test says so."""
    change(frame, "lb1", "set server tradeapi_online/n1 state maint")
    control.crash_haproxy(frame.layout, "lb1")
    assert not status(frame, "lb1", "tradeapi_online", "n1").is_out


def test_a_configuration_that_haproxy_refuses_is_an_error_and_the_old_worker_goes_on(frame: Frame) -> None:
    config = frame.layout.host("lb1").haproxy_config
    good, before = config.read_text(), control.worker_pid(frame.layout.host("lb1"))
    config.write_text(good + "\nnonsense\n")
    try:
        with pytest.raises(BadInput, match="refused to reload"):
            control.reload_haproxy(frame.layout, "lb1")
        assert control.worker_pid(frame.layout.host("lb1")) == before
    finally:
        config.write_text(good)
        control.reload_haproxy(frame.layout, "lb1")


def test_reload_waits_for_the_lock(frame: Frame) -> None:
    thread = threading.Thread(target=control.reload_haproxy, args=(frame.layout, "lb1"))
    with control.locked(frame.layout.host("lb1")):
        thread.start()
        time.sleep(0.3)
        assert thread.is_alive()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


def test_a_hanging_admin_socket_leaves_the_master_answering(frame: Frame) -> None:
    host = frame.layout.host("lb1")
    control.hang_admin_socket(frame.layout, "lb1")
    assert not haproxy_socket.answers(host.haproxy_socket, 0.3)
    assert haproxy_socket.answers(host.haproxy_master_socket, PATIENCE_S)
    control.thaw_haproxy(frame.layout, "lb1")
    assert haproxy_socket.answers(host.haproxy_socket, PATIENCE_S)


def test_a_frozen_haproxy_answers_nobody(frame: Frame) -> None:
    control.freeze_haproxy(frame.layout, "lb2")
    assert not haproxy_socket.answers(frame.layout.host("lb2").haproxy_master_socket, 0.3)
    with pytest.raises(OSError, match="timed out"):
        urllib.request.urlopen(f"http://{frame.address('lb2')}:8080/", timeout=0.3)
    control.thaw_haproxy(frame.layout, "lb2")
    assert get(frame.address("lb2"), 8080)[0] == 200


def test_a_killed_haproxy_stays_away_until_it_is_started(frame: Frame) -> None:
    control.kill_haproxy(frame.layout, "lb2")
    time.sleep(1.5)
    assert supervise.statuses(frame.layout, ["lb2-haproxy"])["lb2-haproxy"].run is Run.DOWN
    with pytest.raises(DomainError, match="lb2-haproxy does not run"):
        control.freeze_haproxy(frame.layout, "lb2")
    control.start_haproxy(frame.layout, "lb2")
    assert get(frame.address("lb2"), 8080)[0] == 200


# -- ssh -------------------------------------------------------------------------------------------------------------


def ssh(
    frame: Frame, host: str, *command: str, options: tuple[str, ...] = (), known_hosts: Path | None = None
) -> subprocess.CompletedProcess[str]:
    layout = frame.layout
    argv = [program("ssh"), "-F", "/dev/null", "-i", str(layout.ssh_key), "-p", str(SSH_PORT)]
    fixed = {"UserKnownHostsFile": known_hosts or layout.known_hosts, "StrictHostKeyChecking": "yes"}
    argv += [word for key, value in fixed.items() for word in ("-o", f"{key}={value}")]
    argv += ["-o", "BatchMode=yes", *options, "-o", "ConnectTimeout=60", frame.address(host), *command]
    return subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("host", ["lb1", "lb2", "puppet", "testbox", "n1", "n6", "p1"])
def test_every_host_lets_our_key_in_and_shows_its_own_host_key(frame: Frame, host: str) -> None:
    done = ssh(frame, host, "echo $TIDEGATE_LAB_ID; echo $HOME; command -v haproxy")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:2] == [frame.layout.id, str(frame.layout.host(host).root)]
    assert len(done.stdout.splitlines()) == 3


def test_a_host_with_another_hosts_key_is_refused(frame: Frame, tmp_path: Path) -> None:
    swapped = tmp_path / "known_hosts"
    line = next(line for line in frame.layout.known_hosts.read_text().splitlines() if frame.address("n2") in line)
    swapped.write_text(line.replace(frame.address("n2"), frame.address("n1")) + "\n")
    done = ssh(frame, "n1", "true", known_hosts=swapped)
    assert done.returncode == 255
    assert "verification failed" in done.stderr


def test_twenty_sessions_at_once_are_let_in(frame: Frame) -> None:
    """By default sshd begins to drop connections at ten that have not logged in yet."""
    with ThreadPoolExecutor(20) as pool:
        codes = list(pool.map(lambda _: ssh(frame, "n2", "true").returncode, range(20)))
    assert codes == [0] * 20


@pytest.mark.parametrize("end", [control.stop_sshd, control.kill_sshd], ids=["stop", "kill"])
def test_an_unreachable_node_refuses_ends_its_sessions_and_lets_detached_work_go_on(
    frame: Frame, end: object, tmp_path: Path
) -> None:
    assert callable(end)
    detached = tmp_path / "detached"
    ssh(frame, "n3", f"setsid sh -c 'sleep 1.5; touch {detached}' >/dev/null 2>&1 </dev/null &")
    master = (
        "-o",
        "ControlMaster=auto",
        "-o",
        f"ControlPath={frame.layout.control_path_dir}/t",
        "-o",
        "ControlPersist=60",
    )
    assert ssh(frame, "n3", "true", options=master).returncode == 0
    try:
        end(frame.layout, "n3")
        done = ssh(frame, "n3", "true", options=master)
        assert done.returncode == 255
        assert "Connection refused" in done.stderr
        until(detached.exists, f"{detached} is there")
    finally:
        control.start_sshd(frame.layout, "n3")
    assert ssh(frame, "n3", "true").returncode == 0


def test_a_frozen_sshd_takes_connections_and_never_answers(frame: Frame) -> None:
    control.freeze_sshd(frame.layout, "n5")
    try:
        done = ssh(frame, "n5", "true", options=("-o", "ConnectTimeout=2"))
        assert done.returncode == 255
        assert "timed out" in done.stderr
    finally:
        control.thaw_sshd(frame.layout, "n5")
    assert ssh(frame, "n5", "true").returncode == 0


def test_ansible_reaches_every_host_with_an_sshd_through_the_inventory(frame: Frame) -> None:
    environ = {**os.environ, "TIDEGATE_LAB_NET": NET, "TIDEGATE_LAB_STATE": str(frame.layout.state)}
    argv = [str(Path(sys.executable).with_name("ansible")), "all:!n4", "-i", "inventories/lab", "-m", "raw", "-a"]
    done = subprocess.run(
        [*argv, "echo here"], cwd=PROJECT, env=environ, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("rc=0 >>\nhere") == 11
    assert list(frame.layout.control_path_dir.iterdir()), "shared connections are kept where down finds them"


# -- artifacts -------------------------------------------------------------------------------------------------------


def test_artifacts_are_served_and_folders_are_not_listed(frame: Frame) -> None:
    file = frame.layout.artifacts_dir / "x" / "1.0" / "x-1.0.tar.gz"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"archive")
    address = frame.address("artifacts")
    assert get(address, ARTIFACT_PORT, "/x/1.0/x-1.0.tar.gz")[:2] == (200, "archive")
    assert get(address, ARTIFACT_PORT, "/x/1.0/")[0] == 404
    assert get(address, ARTIFACT_PORT, "/x/9.9/x-9.9.tar.gz")[0] == 404
    assert get(address, ARTIFACT_PORT, "/../../../lab.json")[0] == 404
