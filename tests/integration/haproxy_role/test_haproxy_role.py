"""playbooks/haproxy.yml onto two real HAProxy: what customers and testers then reach, and what spoils nothing."""

from __future__ import annotations

import dataclasses
import fcntl
import http.client
import os
import re
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Locked, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.access import AdminAccess
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.files import Configuration, Files
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import LocalShell, PosixNode
from tests.integration.haproxy.haproxy_site import Backend, die_while_waiting_for, get
from tests.integration.haproxy_role.written_site import (
    AIM,
    HEADER_PORT,
    NET,
    NODE_PORTS,
    NODES,
    SHARED,
    Balancer,
    Run,
    Written,
    described,
)
from tests.waiting import PATIENCE_S, until

SHOP = {"host": "shop.test", "maintenance_port": HEADER_PORT, "node_ports": NODE_PORTS}


@pytest.fixture(scope="module")
def first_run() -> list[Run]:
    """What the very first run said, before HAProxy was started."""
    return []


@pytest.fixture(scope="module")
def site(first_run: list[Run]) -> Iterator[Written]:
    nodes = [node for listed in NODES.values() for node in listed]
    backends = {node: Backend(node, f"{NET}.1.{number}") for number, node in enumerate(nodes, 1)}
    # A unix socket's path may have 107 bytes: pytest's own folders can be longer.
    with tempfile.TemporaryDirectory(prefix="tg") as folder:
        home = Path(folder)
        balancers = {
            f"lb{number}": Balancer(f"lb{number}", f"{NET}.0.{number}", home / f"lb{number}") for number in (1, 2)
        }
        (home / "services").mkdir()
        made = Written(home, balancers, backends, {name: each.host for name, each in backends.items()})
        made.services = {"shop": described("shop", dict(SHOP)), "wiki": described("wiki", {"path": "/wiki"})}
        for name in made.services:
            made.edit(name, lambda _: None)
        try:
            for backend in backends.values():
                backend.start()
            for balancer in balancers.values():
                balancer.prepare()
            first_run.append(made.play())
            assert first_run[0].rc == 0, first_run[0].output
            for balancer in balancers.values():
                balancer.start()
            await_up(made, "shop_online/n1", "shop_online/n2", "wiki_online/w1", "wiki_online/w2")
            yield made
        finally:
            for balancer in balancers.values():
                balancer.kill()
            for backend in backends.values():
                backend.stop()


def servers(wiki_port: int) -> list[str]:
    """What the model returns for the site."""
    ports = {"shop": 8080, "wiki": wiki_port}
    return [
        f"{name}_{part} {node} {ports[name]}"
        for name, nodes in NODES.items()
        for part in ("online", "maintenance")
        for node in nodes
    ]


def configuration(
    balancer: Balancer,
    *,
    folder: str = "",
    reload: tuple[str, ...] = (),
    timeout: float = 60,
    lock: float = 30,
    access: AdminAccess | None = None,
) -> Configuration:
    """What the role's action works with."""
    variables = balancer.variables()
    files = Files(
        folder=folder or variables["haproxy_folder"],
        base=tuple(variables["haproxy_base"]),
        program="haproxy",
        reload=reload or tuple(variables["haproxy_reload"]),
        timeout=timeout,
    )
    return Configuration(PosixNode(balancer.name, LocalShell()), access or balancer.access, files, lock=lock)


@contextmanager
def moved_to(port: int, *names: str, site: Written) -> Iterator[None]:
    """Nodes that listen on another port for a while, and not on their own."""
    answering = [answer_on(site.addresses[name], port, f"{name} on {port}") for name in names]
    for name in names:
        site.backends[name].stop()
    try:
        yield
    finally:
        for name in names:
            site.backends[name].start()
        for server in answering:
            server.shutdown()
            server.server_close()


def answer_on(host: str, port: int, text: str) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer((host, port), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server


def await_up(site: Written, *servers: str) -> None:
    for balancer in site.balancers.values():
        await_up_on(balancer, *servers)


def await_up_on(balancer: Balancer, *servers: str) -> None:
    for server in servers:
        until(lambda s=server: balancer.status(s) == "UP", f"{server} is UP on {balancer.name}")  # type: ignore[misc]


def asked(balancer: Balancer, host: str, path: str, times: int = 6) -> set[tuple[int, str]]:
    answers = [get(balancer.address, SHARED, path, Host=host) for _ in range(times)]
    return {(status, body if status == 200 else "") for status, body, _headers in answers}


def aimed(balancer: Balancer, port: int, name: str = "") -> tuple[int, str]:
    status, _body, headers = get(balancer.address, port, **({AIM: name} if name else {}))
    return status, headers.get("x-served-by", "")


def test_where_haproxy_is_not_running_the_files_are_put_in_place(site: Written, first_run: list[Run]) -> None:
    assert first_run[0].changed == {"lb1": 1, "lb2": 1, "localhost": 0}
    for balancer in site.balancers.values():
        assert (balancer.state_dir / "shop_online").is_file()
        assert Path(balancer.access.socket).stat().st_mode & 0o777 == 0o600


def test_customers_reach_services_by_host_and_by_path(site: Written) -> None:
    for balancer in site.balancers.values():
        assert asked(balancer, "shop.test", "/") == {(200, "n1"), (200, "n2")}
        assert asked(balancer, f"SHOP.test:{SHARED}", "/any") == {(200, "n1"), (200, "n2")}
        assert asked(balancer, "other.test", "/wiki") == {(200, "w1"), (200, "w2")}
        assert asked(balancer, "other.test", "/wiki/page") == {(200, "w1"), (200, "w2")}
        assert asked(balancer, "other.test", "/wikis", 1) == {(404, "")}
        assert asked(balancer, "other.test", "/", 1) == {(404, "")}


def test_testers_reach_the_node_that_they_aim_at_and_no_other(site: Written) -> None:
    balancer = site.balancers["lb1"]
    for node in NODES["shop"]:
        balancer.say(f"set server shop_maintenance/{node} state ready")
        until(lambda node=node: balancer.status(f"shop_maintenance/{node}") == "UP", f"{node} is UP")  # type: ignore[misc]
    try:
        for number, node in enumerate(NODES["shop"]):
            assert aimed(balancer, HEADER_PORT, node) == (200, node)
            assert aimed(balancer, NODE_PORTS + number) == (200, node)
            # The port decides, whatever header comes along.
            assert aimed(balancer, NODE_PORTS + number, "n2") == (200, node)
        assert aimed(balancer, HEADER_PORT) == (503, "")
        assert aimed(balancer, HEADER_PORT, "w1") == (503, "")
        site.backends["n1"].healthy = False
        until(lambda: balancer.status("shop_maintenance/n1") == "DOWN", "n1 is DOWN")
        assert (aimed(balancer, HEADER_PORT, "n1"), aimed(balancer, NODE_PORTS)) == ((503, ""), (503, ""))
        assert aimed(balancer, HEADER_PORT, "n2") == (200, "n2")
        balancer.say("set server shop_maintenance/n2 state maint")
        assert (aimed(balancer, HEADER_PORT, "n2"), aimed(balancer, NODE_PORTS + 1)) == ((503, ""), (503, ""))
    finally:
        site.backends["n1"].healthy = True
        balancer.say(*(f"set server shop_maintenance/{node} state maint" for node in NODES["shop"]))
        await_up(site, "shop_online/n1")


def test_a_second_run_changes_nothing_and_reloads_nothing(site: Written) -> None:
    before = {name: (each.read().pid, each.written.stat().st_mtime_ns) for name, each in site.balancers.items()}
    run = site.play()
    assert run.rc == 0, run.output
    assert {host: run.changed[host] for host in site.balancers} == {"lb1": 0, "lb2": 0}
    assert {name: (each.read().pid, each.written.stat().st_mtime_ns) for name, each in site.balancers.items()} == before


def test_a_reload_keeps_a_left_server_out_and_gives_a_changed_port_to_its_servers(site: Written) -> None:
    with moved_to(8081, "w1", "w2", site=site):
        for balancer in site.balancers.values():
            # By hand, so that no state file has it yet.
            balancer.say("set server shop_online/n1 state maint", "set server shop_maintenance/n1 state ready")
        site.edit("wiki", lambda service: service["pools"][0]["haproxy"].update(server_port=8081))
        pids = {name: each.read().pid for name, each in site.balancers.items()}
        preview = site.play("--check", "--diff")
        assert preview.rc == 0, preview.output
        assert f"+    server w2 {site.addresses['w2']}:8081 check" in preview.output
        assert {name: each.read().pid for name, each in site.balancers.items()} == pids
        run = site.play()
        assert run.rc == 0, run.output
        assert {host: run.changed[host] for host in site.balancers} == {"lb1": 1, "lb2": 1}
        await_up(site, "wiki_online/w1", "wiki_online/w2")
        for balancer in site.balancers.values():
            assert balancer.read().pid != pids[balancer.name]
            assert balancer.status("shop_online/n1") == "MAINT"
            await_up_on(balancer, "shop_maintenance/n1")
            assert asked(balancer, "shop.test", "/") == {(200, "n2")}
            assert asked(balancer, "wiki.test", "/wiki") == {(200, "w1 on 8081"), (200, "w2 on 8081")}
            balancer.say("set server shop_maintenance/n1 state maint", "set server shop_online/n1 state ready")
        await_up(site, "shop_online/n1")
    # Back, below ansible-playbook, once they listen there again: a server that has not noticed yet that nobody does
    # would be UP, too.
    site.edit("wiki", lambda service: service["pools"][0]["haproxy"].pop("server_port"))
    for balancer in site.balancers.values():
        text = balancer.written.read_text().replace(":8081 ", ":8080 ")
        assert configuration(balancer).put(text, servers(8080)) == "put in place and loaded"
    await_up(site, "wiki_online/w1", "wiki_online/w2")


def test_a_reload_fails_no_request_and_ends_none_that_is_under_way(site: Written) -> None:
    balancer, pid = site.balancers["lb1"], site.balancers["lb1"].read().pid
    text, ended = balancer.written.read_text(), threading.Event()
    failed: list[str] = []
    good: list[str] = []

    def customer(path: str) -> None:
        while not ended.is_set():
            try:
                status, _body, _headers = get(balancer.address, SHARED, path, Host="shop.test")
            except (OSError, http.client.HTTPException) as error:
                failed.append(f"{path}: {error!r}")
            else:
                (good if status == 200 else failed).append(f"{path}: {status}")

    customers = [threading.Thread(target=customer, args=(path,)) for path in ("/", "/", "/", "/slow?0.7", "/slow?1.1")]
    for each in customers:
        each.start()
    try:
        for times in range(3):
            assert configuration(balancer).put(f"{text}# {times}\n", servers(8080)) == "put in place and loaded"
    finally:
        ended.set()
        for each in customers:
            each.join()
        assert configuration(balancer).put(text, servers(8080)) == "put in place and loaded"
    assert failed == []
    assert len(good) > 50
    assert balancer.read().pid != pid


def test_a_node_that_is_new_comes_in_out_of_service_and_stays_where_it_is_moved_to(site: Written) -> None:
    balancer = site.balancers["lb1"]
    before = balancer.written.read_text()
    new = f"server w0 {site.addresses['n1']}:8080 check"
    # Before the others, so that HAProxy numbers all of them anew.
    old = re.compile(rf"^    server w1 {site.addresses['w1']}:8080 check( disabled)?$", re.M)
    with_new = old.sub(rf"    {new}\1\n\g<0>", before)
    assert with_new.count(new) == 2
    listed = [f"wiki_{part} w0 8080" for part in ("online", "maintenance")]
    try:
        assert configuration(balancer).put(with_new, [*listed, *servers(8080)]) == "put in place and loaded"
        await_up_on(balancer, "wiki_online/w1", "wiki_online/w2", "shop_online/n1")
        assert [balancer.status(f"wiki_{part}/w0") for part in ("online", "maintenance")] == ["MAINT", "MAINT"]
        assert balancer.read().servers["wiki_online", "w0"].address == f"{site.addresses['n1']}:8080"
        assert asked(balancer, "wiki.test", "/wiki") == {(200, "w1"), (200, "w2")}
        balancer.say("set server wiki_online/w0 state ready")
        await_up_on(balancer, "wiki_online/w0")
        again = with_new.replace("timeout connect 1s", "timeout connect 2s")
        assert configuration(balancer).put(again, [*listed, *servers(8080)]) == "put in place and loaded"
        await_up_on(balancer, "wiki_online/w0", "wiki_online/w1")
    finally:
        assert configuration(balancer).put(before, servers(8080)) == "put in place and loaded"
    await_up_on(balancer, "wiki_online/w1", "wiki_online/w2")


def test_what_haproxy_refuses_leaves_the_old_files_and_stops_before_the_next(site: Written) -> None:
    first, second = site.balancers.values()
    before, pids = first.written.read_text(), (first.read().pid, second.read().pid)
    good = first.base.read_text()
    try:
        first.base.write_text(good + "    no-such-word 1\n")
        with site.edited("wiki", lambda service: service["pools"][0]["haproxy"].update(host="wiki.test")):
            run = site.play()
        assert run.rc != 0
        assert "HAProxy refuses the configuration, and the old files stay" in run.output
        assert "haproxy.cfg:3" in run.output
        assert "no-such-word" in run.output
        assert first.written.read_text() == before
        assert second.written.read_text() == before.replace(first.address, second.address).replace("/lb1/", "/lb2/")
        assert (first.read().pid, second.read().pid) == pids
    finally:
        first.base.write_text(good)


@pytest.mark.slow
def test_nothing_is_written_while_the_catalog_is_wrong(site: Written) -> None:
    before = {name: each.written.read_text() for name, each in site.balancers.items()}
    taken = {"host": "wiki.test", "path": "/wiki"}
    with (
        site.edited("wiki", lambda service: service["pools"][0]["haproxy"].update(taken)),
        site.edited("shop", lambda service: service["pools"][0]["haproxy"].update(taken)),
    ):
        run = site.play()
    assert run.rc != 0
    assert "pools.0.haproxy.host: wiki.test/wiki goes to wiki_online already" in run.output
    assert "(and 1 more problem; playbooks/validate.yml shows all)" in run.output
    assert {name: each.written.read_text() for name, each in site.balancers.items()} == before


def test_a_reload_that_fails_is_told_and_the_old_file_is_back(site: Written) -> None:
    balancer = site.balancers["lb1"]
    before, pid = balancer.written.read_text(), balancer.read().pid
    with socket.socket() as taken:
        taken.bind((balancer.address, 8999))
        taken.listen()
        text = before.replace(f"{balancer.address}:{SHARED}", f"{balancer.address}:8999")
        with pytest.raises(Refused) as refused:
            configuration(balancer).put(text, servers(8080))
    assert "HAProxy did not load the new configuration: the reload failed" in str(refused.value)
    assert (balancer.written.read_text(), balancer.read().pid) == (before, pid)
    assert not configuration(balancer).is_pending()
    assert asked(balancer, "shop.test", "/") == {(200, "n1"), (200, "n2")}
    # Once the cause is gone, HAProxy loads again.
    assert configuration(balancer).put(before, servers(8080)) == "put in place and loaded"
    assert balancer.read().pid != pid


@pytest.mark.parametrize(
    ("reload", "within", "told"),
    [
        (("/bin/sh", "-c", "echo no such unit >&2; exit 5"), 60, "the reload command ended with 5: no such unit"),
        (("true",), 1, "no new worker within 1 s"),
        pytest.param(("sleep", "600"), 1, "the reload command ended with 124", marks=pytest.mark.slow),
    ],
)
def test_a_reload_command_that_reloads_nothing_is_told(
    site: Written, reload: tuple[str, ...], within: float, told: str
) -> None:
    balancer = site.balancers["lb1"]
    before, pid = balancer.written.read_text(), balancer.read().pid
    with pytest.raises(Refused) as refused:
        configuration(balancer, reload=reload, timeout=within).put(before + "# more\n", servers(8080))
    assert told in refused.value.message
    assert (balancer.written.read_text(), balancer.read().pid) == (before, pid)


def test_haproxy_that_was_not_started_with_the_folder_is_told(site: Written) -> None:
    balancer = site.balancers["lb1"]
    folder = balancer.home / "elsewhere"
    with pytest.raises(Refused) as refused:
        configuration(balancer, folder=str(folder)).put("", ["other_online x 1"])
    assert "does not know backend other_online" in refused.value.message
    assert f"-f {folder}" in refused.value.remedy
    # Not loaded: the next run must not take it for done.
    assert configuration(balancer, folder=str(folder)).is_pending()
    assert configuration(balancer).put(balancer.written.read_text(), servers(8080)) == "put in place and loaded"


def test_a_backend_that_is_gone_leaves_no_saved_state(site: Written) -> None:
    balancer = site.balancers["lb1"]
    text = balancer.written.read_text()
    more = "backend gone_online from tidegate\n    server-state-file-name use-backend-name\n    server x 127.0.0.1:1\n"
    configuration(balancer).put(text + more, [*servers(8080), "gone_online x 1"])
    assert (balancer.state_dir / "gone_online").is_file()
    configuration(balancer).put(text, servers(8080))
    assert not (balancer.state_dir / "gone_online").exists()
    assert (balancer.state_dir / "shop_online").is_file()


def test_a_run_that_was_killed_before_its_reload_is_made_up_for(site: Written) -> None:
    balancer = site.balancers["lb1"]
    pid = balancer.read().pid
    (balancer.written.parent / ".tidegate.reload").touch()
    assert configuration(balancer).is_pending()
    assert configuration(balancer).put(balancer.written.read_text(), servers(8080)) == "put in place and loaded"
    assert balancer.read().pid != pid
    assert not configuration(balancer).is_pending()


def test_a_state_that_cannot_be_saved_stops_the_reload(site: Written) -> None:
    balancer = site.balancers["lb1"]
    before, pid = balancer.written.read_text(), balancer.read().pid
    file = balancer.state_dir / "shop_online"
    kept = file.read_bytes()
    spoiled = configuration(
        balancer, access=dataclasses.replace(balancer.access, socket=str(balancer.home / "dead.sock"))
    )
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(spoiled.access.socket)
        with pytest.raises(Refused) as refused:
            spoiled.put(before + "# more\n", servers(8080))
    assert "could not be saved before the reload" in refused.value.message
    assert (balancer.written.read_text(), balancer.read().pid, file.read_bytes()) == (before, pid, kept)


def test_a_master_that_cannot_be_asked_is_not_taken_for_an_haproxy_that_is_not_running(site: Written) -> None:
    balancer = site.balancers["lb1"]
    before = balancer.written.read_text()
    elsewhere = dataclasses.replace(balancer.access, master_socket=str(balancer.home / "none.sock"))
    with pytest.raises(Refused) as refused:
        configuration(balancer, access=elsewhere).put(before + "# more\n", servers(8080))
    assert "HAProxy runs, but its master's socket" in refused.value.message
    assert balancer.written.read_text() == before
    assert not configuration(balancer).is_pending()


def test_the_lock_that_moves_take_is_waited_for(site: Written) -> None:
    balancer = site.balancers["lb1"]
    before = balancer.written.read_text()
    with Path(balancer.access.lock).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Locked) as locked:
            configuration(balancer, lock=1).put(before + "# more\n", servers(8080))
    assert locked.value.where == "load balancer lb1"
    assert balancer.written.read_text() == before


def test_the_hook_saves_states_before_a_reload_by_somebody_else(site: Written) -> None:
    balancer = site.balancers["lb2"]
    drop_in = (balancer.home / "unit.d" / "tidegate.conf").read_text()
    script = next(line.split()[-1] for line in drop_in.splitlines() if line.startswith("ExecReload=/bin/sh"))
    assert drop_in.index("-c -q") < drop_in.index(script) < drop_in.index("kill -USR2")
    balancer.say("set server wiki_online/w1 state drain")
    try:
        subprocess.run(["/bin/sh", script], check=True, timeout=PATIENCE_S)
        rows = [line.split() for line in (balancer.state_dir / "wiki_online").read_text().splitlines()]
        assert {row[3]: row[6] for row in rows if len(row) > 20 and row[0] != "#"} == {"w1": "8", "w2": "0"}
    finally:
        balancer.say("set server wiki_online/w1 state ready")


def test_a_reload_by_somebody_else_waits_for_moves_though_a_killed_run_left_its_mark(site: Written) -> None:
    balancer = site.balancers["lb2"]
    hook = (balancer.written.parent / "tidegate-save-state.sh").read_text()
    mark = balancer.written.parent / ".tidegate.reload"
    ended = subprocess.Popen(["true"])
    ended.wait()
    with Path(balancer.access.lock).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for holder, rc in (("", 1), (str(ended.pid), 1), (str(os.getpid()), 0)):
            mark.write_text(holder)
            impatient = hook.replace("\nwait=30\n", "\nwait=1\n")
            run = subprocess.run(
                ["/bin/sh", "-c", impatient], capture_output=True, text=True, timeout=PATIENCE_S, check=False
            )
            assert (run.returncode, "stayed taken" in run.stderr) == (rc, rc == 1)
    mark.unlink()


def test_a_configuration_that_waited_longer_than_its_controller_lived_is_not_put_in_place(site: Written) -> None:
    balancer = site.balancers["lb1"]
    before, pid = balancer.written.read_text(), balancer.read().pid
    die_while_waiting_for(balancer.access.lock, lambda: configuration(balancer).put(before + "# more\n", servers(8080)))
    assert (balancer.written.read_text(), balancer.read().pid) == (before, pid)


def test_existing_configurations_are_checked_and_nothing_is_written(site: Written) -> None:
    balancer = site.balancers["lb1"]
    text = balancer.written.read_text()
    testers = [f"    server t{node} {site.addresses[node]}:8080 check" for node in NODES["shop"]]
    by_hand = "\n".join(["backend by_hand from tidegate", "    load-server-state-from-file none", *testers, ""])
    assert configuration(balancer).put(text + by_hand, servers(8080)) == "put in place and loaded"
    before = {name: each.written.stat().st_mtime_ns for name, each in site.balancers.items()}
    run = site.play("-e", "adopt=true")
    assert run.rc == 0, run.output
    assert "load balancer lb1: by_hand has n1, n2 of shop_online too" in run.output
    assert "2 services on 2 load balancers: fit for moves, 1 remark" in run.output
    (balancer.state_dir / "wiki_online").unlink()
    Path(balancer.access.socket).chmod(0o660)
    site.edit("shop", lambda service: service["pools"][0].update(online="shop_live"))
    try:
        run = site.play("-e", "adopt=true")
        assert run.rc != 0
        assert "load balancer lb1 has no backend shop_live" in run.output
        assert "load balancer lb2 has no backend shop_live" in run.output
        assert "backend wiki_online has no state file" in run.output
        assert "has mode 660" in run.output
        assert "2 services on 2 load balancers: 4 problems" in run.output
    finally:
        site.edit("shop", lambda service: service["pools"][0].update(online="shop_online"))
        Path(balancer.access.socket).chmod(0o600)
        (balancer.state_dir / "wiki_online").write_text("1\n")
    assert {name: each.written.stat().st_mtime_ns for name, each in site.balancers.items()} == before
    assert configuration(balancer).put(text, servers(8080)) == "put in place and loaded"
