"""Node operations on a Windows-like node, over the connection plugin and through real pywinrm."""

from __future__ import annotations

import base64
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible import constants
from ansible.playbook.play_context import PlayContext
from ansible.plugins.connection.winrm import Connection as AnsiblesWinrm
from ansible.plugins.loader import connection_loader
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import (
    BadInput,
    DeadlineExceeded,
    DomainError,
    NotLetIn,
    Unreachable,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.pin_files import (
    Conflict,
    FileChange,
    read_files,
    write_files,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.windows import node as windows_node
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.node import (
    OutputTooLarge,
    ShellLost,
    WindowsNode,
)
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.connections import WINRM, connect
from lab.layout import PROJECT
from lab.processes import read
from lab.winrm.windows import SYSTEM, add_program
from tests.integration.windows.endpoint import ADDRESS, PASSWORD, USER, Endpoint, delete_shell_of, running
from tests.integration.windows.relay import Relay
from tests.waiting import DEPLOYMENT_S, PATIENCE_S, until

SHOW = r"C:\Program Files\Tools\show.exe"
BATCH = r"C:\Program Files (x86)\Tools\show.bat"
EXIT = r"C:\Tools\exit.exe"
SAY = r"C:\Tools\say.exe"
CAT = r"C:\Tools\cat.exe"
FAMILY = r"C:\Tools\family.exe"
NEW = r"C:\ProgramData\Tidegate\new folder\file"


def with_programs(endpoint: Endpoint) -> Endpoint:
    for program in (SHOW, BATCH):
        add_program(endpoint.drive, program, 'printf "<%s>" "$@"')
    add_program(endpoint.drive, EXIT, 'printf "$1" >"$LAB_EXIT_CODE"')
    add_program(endpoint.drive, SAY, 'head -c "$1" /dev/zero')
    add_program(endpoint.drive, CAT, "exec cat")
    # Starts a child in a session of its own, leaves both pids in a file, and waits.
    family = 'setsid sleep 600 </dev/null >/dev/null 2>&1 & echo $$ $! >"$LAB_DRIVE/new"; mv "$LAB_DRIVE/new" '
    add_program(endpoint.drive, FAMILY, family + '"$LAB_DRIVE/pids"; exec sleep 600')
    return endpoint


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with running(tmp_path_factory.mktemp("node")) as found:
        yield with_programs(found)


@pytest.fixture(scope="module")
def closing() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def variables(endpoint: Endpoint, **more: object) -> dict[str, object]:
    return {
        "ansible_connection": WINRM,
        "ansible_host": ADDRESS,
        "ansible_port": endpoint.port,
        "ansible_user": USER,
        "ansible_password": PASSWORD,
        "ansible_winrm_transport": ["ntlm"],
        "ansible_winrm_ca_trust_path": endpoint.certificate,
        **more,
    }


def connected(endpoint: Endpoint, closing: ExitStack, **more: object) -> WindowsNode:
    node = connect("w1", {"w1": variables(endpoint, **more)}, PlayContext(), False, closing)
    assert isinstance(node, WindowsNode)
    return node


@pytest.fixture(scope="module")
def node(endpoint: Endpoint, closing: ExitStack) -> WindowsNode:
    return connected(endpoint, closing)


def lives(pid: int) -> bool:
    process = read(pid)
    return process is not None and process.state not in "ZX"


def ended(pids: list[int]) -> None:
    """Wait until none of them lives; by themselves they would live for ten minutes."""
    until(lambda: not any(map(lives, pids)), f"{pids} have ended")


def family_of(endpoint: Endpoint) -> list[int]:
    """The pids of a family that was just started, which live."""
    file = endpoint.drive.root / "pids"
    until(file.exists, "a family was started")
    pids = [int(pid) for pid in file.read_text().split()]
    file.unlink()
    return pids


def one(error: pytest.ExceptionInfo[Any]) -> DomainError:
    """The error, which has three parts and no secret."""
    value = error.value
    assert isinstance(value, DomainError)
    assert value.where
    assert value.remedy
    assert PASSWORD not in str(value)
    return value


CHARACTERS = st.one_of(st.sampled_from('\\" \t%&<>^|'), st.characters(exclude_categories=["Cc", "Cs", "Cn"]))


@given(st.lists(st.text(CHARACTERS, max_size=8), min_size=1, max_size=5))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_arguments_reach_a_program_as_they_are(node: WindowsNode, arguments: list[str]) -> None:
    assert node.run([SHOW, *arguments]).text == "".join(f"<{each}>" for each in arguments)


def test_batch_files_get_harmless_arguments_and_nothing_else(node: WindowsNode) -> None:
    assert node.run([BATCH, "run", "a b", "--x=1", ""]).text == "<run><a b><--x=1><>"
    with pytest.raises(BadInput, match="may take for more than a character"):
        node.run([BATCH, "%PATH%"])


@pytest.mark.parametrize("code", [0, 1, 255, 256, 3010, 70000, 0xC0000005])
def test_exit_codes_have_32_bits(node: WindowsNode, code: int) -> None:
    assert node.run([EXIT, str(code)]).rc == code


def test_output_and_input_are_byte_exact_and_large(node: WindowsNode) -> None:
    data = b"\r\n\x1a\0\xff\xe9" + os.urandom(700_000)
    assert node.run([CAT], stdin=data).stdout == data
    assert node.run([CAT], stdin=b"").stdout == b""
    assert len(node.run([SAY, "2000000"]).stdout) == 2_000_000


def test_a_program_that_says_too_much_is_ended(node: WindowsNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows_node, "OUTPUT_LIMIT", 500_000)
    with pytest.raises(OutputTooLarge, match="more than 500000 bytes and was ended") as raised:
        node.run([SAY, "2000000"])
    one(raised)


@pytest.mark.parametrize(
    "data", [b"", b"a", b"\r\n\x1a\0\xff", os.urandom(3_000_000)], ids=["empty", "a", "odd", "3 MB"]
)
def test_files_are_written_whole_and_read_back(endpoint: Endpoint, node: WindowsNode, data: bytes) -> None:
    node.write(NEW, b"before")
    node.write(NEW, data)
    assert node.read(NEW) == data
    file = endpoint.drive.path(NEW)
    assert file.read_bytes() == data
    assert [each.name for each in file.parent.iterdir()] == ["file"]


def test_what_is_there_is_told_from_what_is_not(node: WindowsNode) -> None:
    node.write(NEW, b"12345")
    folder = NEW.rpartition("\\")[0]
    assert (node.exists(NEW), node.exists(folder)) == (True, True)
    for absent in (NEW + "x", folder + r"x\y", r"C:\no"):
        assert node.read(absent) is None
        assert not node.exists(absent)
    assert node.read(NEW, limit=5) == b"12345"
    with pytest.raises(BadInput, match="larger than 4 bytes") as raised:
        node.read(NEW, limit=4)
    one(raised)
    with pytest.raises(BadInput, match="is not a file") as raised:
        node.read(folder)
    one(raised)


def test_a_file_that_is_much_too_large_is_not_carried_over(endpoint: Endpoint, node: WindowsNode) -> None:
    with endpoint.drive.path(r"C:\ProgramData\large").open("wb") as file:
        file.truncate(100_000_000)
    with pytest.raises(BadInput, match="larger than"):
        node.read(r"C:\ProgramData\large", limit=100_000)
    assert node.exists(r"C:\ProgramData\large")


def test_what_can_not_be_written_is_told_and_leaves_nothing(endpoint: Endpoint, node: WindowsNode) -> None:
    (endpoint.drive.root / "ProgramData" / "a" / "b").mkdir(parents=True)
    with pytest.raises(BadInput, match="can't write") as raised:
        node.write(r"C:\ProgramData\a\b", b"x")
    one(raised)
    assert [each.name for each in (endpoint.drive.root / "ProgramData" / "a").iterdir()] == ["b"]


@pytest.mark.parametrize(
    "path", ["file", r"\file", "C:file", "C:/a", r"C:\a\..\b", r"C:\a*", "C:\\", r"\\host\share\a"]
)
def test_paths_must_be_full(node: WindowsNode, path: str) -> None:
    for act in (node.read, node.exists, lambda there: node.write(there, b"")):
        with pytest.raises(BadInput, match="is not a full path") as raised:
            act(path)
        one(raised)


def test_what_does_not_end_is_ended_with_all_that_it_started(endpoint: Endpoint, node: WindowsNode) -> None:
    with pytest.raises(DeadlineExceeded, match="did not end within 5 s and was ended") as raised:
        node.run([FAMILY], timeout=5)
    one(raised)
    ended(family_of(endpoint))
    assert node.run([EXIT, "3"]).rc == 3


def test_a_program_that_is_not_there_is_named(node: WindowsNode) -> None:
    with pytest.raises(BadInput, match=r"there is no C:\\Tools\\no\.exe") as raised:
        node.run([r"C:\Tools\no.exe"])
    one(raised)


def test_there_is_no_posix_shell(node: WindowsNode) -> None:
    with pytest.raises(BadInput, match="no POSIX shell") as raised:
        node.sh("true")
    one(raised)


def test_where_everything_goes_through_cmd_only_harmless_arguments_do(tmp_path: Path) -> None:
    with running(tmp_path / "node", ignores_skip=True) as found, ExitStack() as stack:
        node = connected(with_programs(found), stack)
        assert node.run([SHOW, "a b", "--x=1"]).text == "<a b><--x=1>"
        with pytest.raises(BadInput, match="may take for more than a character"):
            node.run([SHOW, "%OS%"])
        node.write(NEW, b"\r\n\x1a")
        assert node.read(NEW) == b"\r\n\x1a"
        assert node.read(NEW + "x") is None
        assert node.run([EXIT, "70000"]).rc == 70000
        assert node.run([BATCH, "a b"]).text == "<a b>"


def in_background(node: WindowsNode, argv: list[str]) -> Any:
    pool = ThreadPoolExecutor(1)
    started = pool.submit(node.run, argv, timeout=DEPLOYMENT_S)
    pool.shutdown(wait=False)
    return started


def test_a_shell_that_somebody_deletes_is_an_outcome_of_its_own(endpoint: Endpoint, closing: ExitStack) -> None:
    node = connected(endpoint, closing)
    node.run([EXIT, "0"])
    started = in_background(node, [FAMILY])
    pids = family_of(endpoint)
    delete_shell_of(endpoint, node)
    with pytest.raises(ShellLost, match="is gone, and") as raised:
        started.result(PATIENCE_S)
    assert one(raised).reason == "shell_lost"
    ended(pids)
    # Between two commands nothing is lost: the next one gets another shell.
    assert node.run([EXIT, "4"]).rc == 4
    delete_shell_of(endpoint, node)
    assert node.run([EXIT, "5"]).rc == 5


@pytest.mark.parametrize("for_good", [False, True])
def test_a_connection_that_drops_is_an_unknown_outcome(endpoint: Endpoint, closing: ExitStack, for_good: bool) -> None:
    relay = Relay(endpoint.port)
    closing.callback(relay.close)
    node = connected(endpoint, closing, ansible_port=relay.port)
    started = in_background(node, [FAMILY])
    pids = family_of(endpoint)
    relay.cut(for_good=for_good)
    with pytest.raises(Unreachable, match="broke off") as raised:
        started.result(PATIENCE_S)
    remedy = one(raised).remedy
    assert "the next run reads the state back" in remedy
    if for_good:
        assert "what runs in it ends within 120 s" in remedy
        with pytest.raises(Unreachable):
            node.run([EXIT, "0"])
        for pid in pids:
            os.kill(pid, 9)
    else:
        # Over a new connection the shell was deleted, and all that it owned.
        assert "could not be deleted" not in remedy
        ended(pids)
        assert node.run([EXIT, "6"]).rc == 6


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"ansible_password": "wrong"}, NotLetIn, "credentials were rejected"),
        ({"ansible_winrm_transport": ["basic"], "ansible_user": "x"}, NotLetIn, "credentials were rejected"),
        ({"ansible_winrm_ca_trust_path": "legacy_requests"}, BadInput, "certificate is not trusted"),
        ({"ansible_winrm_transport": ["no-such"]}, BadInput, "does not support transport"),
        ({"ansible_user": ""}, BadInput, "requires a username"),
        ({"ansible_port": 1}, Unreachable, "refused"),
    ],
)
def test_why_there_is_no_connection_is_told(
    endpoint: Endpoint, closing: ExitStack, given: dict[str, object], error: type[DomainError], message: str
) -> None:
    with pytest.raises(error, match=message) as raised:
        connected(endpoint, closing, **given).run([EXIT, "0"])
    one(raised)


def test_certificates_can_be_ignored_by_whoever_says_so(endpoint: Endpoint, closing: ExitStack) -> None:
    ignoring = {"ansible_winrm_ca_trust_path": "legacy_requests", "ansible_winrm_server_cert_validation": "ignore"}
    assert connected(endpoint, closing, **ignoring).run([EXIT, "7"]).rc == 7


def test_nothing_stays_open_on_the_node_and_a_shell_that_is_used_up_is_replaced(tmp_path: Path) -> None:
    """Windows allows 30 shells a user and 1,500 commands a shell; here it's one, and three."""
    with running(tmp_path / "node", limits={"shells_per_user": 1, "operations_per_shell": 3}) as found:
        with_programs(found)
        with ExitStack() as stack:
            node = connected(found, stack)
            assert [node.run([EXIT, str(code)]).rc for code in range(7)] == list(range(7))
        with ExitStack() as stack, ExitStack() as another:
            assert connected(found, stack).run([EXIT, "8"]).rc == 8
            with pytest.raises(Unreachable, match=r"gives no shell.*MaxShellsPerUser"):
                connected(found, another).run([EXIT, "0"])


class Elsewhere(BaseHTTPRequestHandler):
    """A web server that isn't WinRM."""

    protocol_version = "HTTP/1.1"
    answer = b""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.answer)))
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.mark.parametrize("answer", [b"", b"<html>", b"<a/>", b'<a Name="ShellId">1</a>'])
def test_an_answer_that_is_none_of_winrms_is_told(endpoint: Endpoint, closing: ExitStack, answer: bytes) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(endpoint.certificate, endpoint.folder / "winrm.key")
    with ThreadingHTTPServer((ADDRESS, 0), type("Answering", (Elsewhere,), {"answer": answer})) as server:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        node = connected(endpoint, closing, ansible_port=server.server_port, ansible_winrm_transport=["basic"])
        with pytest.raises(Unreachable) as raised:
            node.run([EXIT, "0"])
        one(raised)
        server.shutdown()


def test_become_is_refused(endpoint: Endpoint, closing: ExitStack) -> None:
    with pytest.raises(BadInput, match="run as the user who logs in") as raised:
        connected(endpoint, closing, ansible_become=True)
    one(raised)


def test_it_has_all_options_that_ansibles_own_has() -> None:
    ours, ansibles = (
        constants.config.get_configuration_definitions("connection", name)
        for name in (_loaded(WINRM), _loaded("winrm"))
    )
    for option in (*ours.values(), *ansibles.values()):
        for key in ("version_added", "version_added_collection"):
            option.pop(key, None)
    assert ours == ansibles
    assert len(ours) > 10


def _loaded(name: str) -> str:
    plugin = connection_loader.get(name, PlayContext())
    assert plugin.exec_command.__func__ is AnsiblesWinrm.exec_command
    assert plugin.put_file.__func__ is AnsiblesWinrm.put_file
    assert plugin.fetch_file.__func__ is AnsiblesWinrm.fetch_file
    return str(plugin._load_name)


def test_ansibles_own_tasks_go_on_as_before(endpoint: Endpoint, tmp_path: Path) -> None:
    """They use PowerShell, which the lab has none of: a program in its place says what it was given."""
    add_program(endpoint.drive, rf"{SYSTEM}\powershell.exe", 'printf "%s" "$*"')
    inventory = tmp_path / "hosts.yml"
    hosts = "\n".join(f"      {key}: {value!r}" for key, value in variables(endpoint).items())
    inventory.write_text(f"all:\n  hosts:\n    w1:\n{hosts}\n")
    argv = ["ansible", "w1", "-i", str(inventory), "-m", "ansible.builtin.raw", "-a", "Get-Service tidegate"]
    done = subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    encoded = done.stdout.partition("-EncodedCommand ")[2].split()[0]
    assert "Get-Service tidegate" in base64.b64decode(encoded).decode("utf-16-le")
    assert PASSWORD not in done.stdout + done.stderr


def test_threads_have_connections_of_their_own(endpoint: Endpoint, closing: ExitStack) -> None:
    nodes = [connected(endpoint, closing) for _ in range(4)]
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda each=each, code=code: found.append(each.run([EXIT, str(code)]).rc))
        for code, each in enumerate(nodes)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert sorted(found) == [0, 1, 2, 3]


def test_pins_on_the_node_are_written_read_back_and_removed_and_another_writers_are_a_conflict(
    endpoint: Endpoint, node: WindowsNode
) -> None:
    path = r"C:\ProgramData\PuppetLabs\facter\facts.d\tidegate_pins.yaml"
    folders, there = {"w1": path.rpartition("\\")[0]}, endpoint.drive.path(path)

    def pinned(before: bytes | None, after: bytes | None) -> FileChange:
        return FileChange("w1", path, before, after)

    write_files(node, folders["w1"], [pinned(None, b"one\n")])
    assert there.read_bytes() == b"one\n"
    with pytest.raises(Conflict):
        write_files(node, folders["w1"], [pinned(None, b"two\n")])
    write_files(node, folders["w1"], [pinned(b"two\n", b"one\n").undo])
    assert there.read_bytes() == b"two\n", "undone whether it had been written or not"
    write_files(node, folders["w1"], [pinned(b"two\n", None)])
    assert read_files(node, [path]) == {path: None}
