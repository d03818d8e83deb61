"""The lab's WS-Management endpoint, asked by pywinrm, by pypsrp and by requests that no client of theirs would send."""

from __future__ import annotations

import base64
import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import pytest
import requests
from pypsrp.shell import Process, SignalCode, WinRS
from pypsrp.wsman import WSMan
from winrm.exceptions import InvalidCredentialsError, WinRMOperationTimeoutError, WSManFaultError
from winrm.protocol import Protocol

from lab.processes import read
from lab.winrm.envelope import MAX_ENVELOPE_BYTES, NAMESPACES, name
from lab.winrm.service import COMMAND, CREATE, DELETE, RECEIVE, RESOURCE, SEND, SIGNAL
from lab.winrm.windows import SYSTEM, add_program
from tests.integration.windows.endpoint import ADDRESS, PASSWORD, USER, Endpoint, protocol, running
from tests.waiting import PATIENCE_S, until

SHOW = r"C:\Tools\show.exe"
EXIT = r"C:\Tools\exit.exe"
CAT = r"C:\Tools\cat.exe"
# Starts a child in a session of its own, says both pids, and waits.
FAMILY = r"C:\Tools\family.exe"
TERMINATE = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/signal/Terminate"
DECLARED = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())


def with_programs(endpoint: Endpoint) -> Endpoint:
    add_program(endpoint.drive, SHOW, 'printf "<%s>" "$@"; printf err >&2; exit 7')
    add_program(endpoint.drive, EXIT, 'printf "$1" >"$LAB_EXIT_CODE"')
    add_program(endpoint.drive, CAT, "exec cat")
    add_program(endpoint.drive, FAMILY, "setsid sleep 600 </dev/null >/dev/null 2>&1 & echo $$ $!; exec sleep 600")
    return endpoint


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with running(tmp_path_factory.mktemp("node"), passwords={USER: PASSWORD, "other": "other"}) as found:
        yield with_programs(found)


@contextmanager
def shell(client: Protocol, **options: Any) -> Iterator[str]:
    opened = client.open_shell(codepage=65001, **options)
    yield opened
    client.close_shell(opened)


def run(client: Protocol, opened: str, program: str, *words: str) -> tuple[bytes, bytes, int]:
    command = client.run_command(opened, program, words, skip_cmd_shell=True)
    stdout, stderr, code = client.get_command_output(opened, command)
    client.cleanup_command(opened, command)
    return stdout, stderr, code


def lives(pid: int) -> bool:
    process = read(pid)
    return process is not None and process.state not in "ZX"


def family(client: Protocol, opened: str) -> tuple[str, int, int]:
    """A command that runs: its id, its pid and its child's."""
    command = client.run_command(opened, FAMILY, skip_cmd_shell=True)
    parent, child = client.get_command_output_raw(opened, command)[0].split()
    assert lives(int(parent))
    assert lives(int(child))
    return command, int(parent), int(child)


@pytest.mark.parametrize("transport", ["basic", "ntlm"])
def test_pywinrm_runs_a_program(endpoint: Endpoint, transport: str) -> None:
    client = protocol(endpoint, transport=transport)
    with shell(client) as opened:
        assert run(client, opened, SHOW, '"a b"', "c") == (b"<a b><c>", b"err", 7)


@pytest.mark.parametrize("auth", ["basic", "ntlm", "negotiate"])
def test_pypsrp_runs_a_program(endpoint: Endpoint, auth: str) -> None:
    client = WSMan(
        ADDRESS,
        port=endpoint.port,
        username=USER,
        password=PASSWORD,
        auth=auth,
        # A path is documented, though not in the annotation.
        cert_validation=endpoint.certificate,  # type: ignore[arg-type]
    )
    with client, WinRS(client) as opened:
        process = Process(opened, SHOW, ['"a b"', "c"], no_shell=True)
        process.invoke()
        assert (process.stdout, process.stderr, process.rc) == (b"<a b><c>", b"err", 7)
        process.signal(SignalCode.TERMINATE)


@pytest.mark.parametrize("transport", ["basic", "ntlm"])
@pytest.mark.parametrize("wrong", [{"password": "x"}, {"username": "x"}, {"password": ""}])
def test_wrong_credentials_are_rejected(endpoint: Endpoint, transport: str, wrong: dict[str, str]) -> None:
    with pytest.raises(InvalidCredentialsError):
        protocol(endpoint, transport=transport, **wrong).open_shell()


def test_an_ntlm_authentication_is_bound_to_its_tls_connection(endpoint: Endpoint) -> None:
    with pytest.raises(InvalidCredentialsError):
        protocol(endpoint, transport="ntlm", send_cbt=False).open_shell()


@pytest.mark.parametrize(
    "token", ["", "!", "größe", "TlRMTVNTUAA=", "YA==", base64.b64encode(b"NTLMSSP\0\x03" + b"\0" * 80)]
)
def test_a_token_that_is_none_is_not_authorized(endpoint: Endpoint, token: str | bytes) -> None:
    said = token if isinstance(token, str) else token.decode()
    headers = {"Authorization": f"Negotiate {said}".encode("latin-1")}
    answered = requests.post(endpoint.url, headers=headers, verify=endpoint.certificate, timeout=PATIENCE_S)
    assert answered.status_code == 401
    assert "Negotiate" in answered.headers["WWW-Authenticate"]


def test_a_certificate_that_is_not_trusted_ends_the_connection(endpoint: Endpoint) -> None:
    with pytest.raises(requests.exceptions.SSLError):
        protocol(endpoint, ca_trust_path=True).open_shell()


@pytest.mark.parametrize("code", [0, 1, 255, 256, 259, 3010, 70000, 3221225477])
def test_exit_codes_have_32_bits(endpoint: Endpoint, code: int) -> None:
    client = protocol(endpoint)
    with shell(client) as opened:
        assert run(client, opened, EXIT, str(code))[2] == code


def test_large_output_and_input_are_byte_exact(endpoint: Endpoint) -> None:
    client = protocol(endpoint)
    data = os.urandom(1_500_000)
    with shell(client) as opened:
        command = client.run_command(opened, CAT, skip_cmd_shell=True, console_mode_stdin=False)
        chunk, received = 300_000, b""
        for at in range(0, len(data), chunk):
            client.send_command_input(opened, command, data[at : at + chunk], end=at + chunk >= len(data))
            # Nobody reads standard input while standard output is full.
            received += client.get_command_output_raw(opened, command)[0]
        rest, _, code = client.get_command_output(opened, command)
        assert code == 0
        assert received + rest == data
        with pytest.raises(WSManFaultError, match="reads no more input"):
            client.send_command_input(opened, command, b"more")


def test_a_receive_with_nothing_to_say_times_out_and_the_next_one_goes_on(endpoint: Endpoint) -> None:
    client, impatient = protocol(endpoint), protocol(endpoint, operation_timeout_sec=1)
    with shell(client) as opened:
        command = client.run_command(opened, CAT, skip_cmd_shell=True)
        with pytest.raises(WinRMOperationTimeoutError):
            impatient.get_command_output_raw(opened, command)
        client.send_command_input(opened, command, b"a", end=False)
        assert client.get_command_output_raw(opened, command) == (b"a", b"", -1, False)
        client.send_command_input(opened, command, b"b", end=True)
        assert client.get_command_output(opened, command) == (b"b", b"", 0)


def test_a_deleted_shell_ends_all_that_was_started_in_it(endpoint: Endpoint) -> None:
    client = protocol(endpoint)
    with shell(client) as opened:
        _, parent, child = family(client, opened)
    until(lambda: not lives(parent) and not lives(child), "the family has ended")


def test_terminate_ends_the_program_and_not_what_it_started(endpoint: Endpoint) -> None:
    client = protocol(endpoint)
    with shell(client) as opened:
        command, parent, child = family(client, opened)
        client.cleanup_command(opened, command)
        until(lambda: not lives(parent), "the command has ended")
        assert lives(child)
        with pytest.raises(WSManFaultError, match="no such command"):
            client.get_command_output(opened, command)
    until(lambda: not lives(child), "the child has ended")


def test_a_shell_that_nobody_asks_ends_and_so_do_all_when_the_service_stops(tmp_path: Path) -> None:
    with running(tmp_path / "node", limits={"shortest_idle_s": 1}) as found:
        client = protocol(with_programs(found), operation_timeout_sec=2)
        idle = client.open_shell(idle_timeout="PT5S")
        _, parent, child = family(client, idle)
        kept = client.open_shell(idle_timeout="PT600S")
        _, *others = family(client, kept)
        until(lambda: not lives(parent) and not lives(child), "the family has ended")
        with pytest.raises(WSManFaultError, match="selectors"):
            client.run_command(idle, SHOW)
        os.kill(found.pid, signal.SIGTERM)
        until(lambda: not any(map(lives, others)), "the others have ended")


def test_a_receive_that_waits_keeps_its_shell(tmp_path: Path) -> None:
    with running(tmp_path / "node", limits={"shortest_idle_s": 1}) as found:
        client = protocol(with_programs(found), operation_timeout_sec=6)
        # Longer than between two requests, shorter than the receive waits.
        with shell(client, idle_timeout="PT4S") as opened:
            command, *_ = family(client, opened)
            with pytest.raises(WinRMOperationTimeoutError):
                client.get_command_output_raw(opened, command)
            assert run(client, opened, EXIT, "5")[2] == 5


def test_cmd_runs_what_does_not_skip_it(endpoint: Endpoint) -> None:
    client = protocol(endpoint)
    with shell(client) as opened:
        assert run(client, opened, SHOW, "%OS%")[0] == b"<%OS%>"
        command = client.run_command(opened, SHOW, ["%OS%"])
        assert client.get_command_output(opened, command) == (b"<Windows_NT>", b"err", 7)


def test_tar_is_libarchives_with_windows_paths(endpoint: Endpoint) -> None:
    client = protocol(endpoint)
    tar = rf"{SYSTEM}\tar.exe"
    endpoint.drive.path(r"C:\ProgramData\a b").write_bytes(b"\r\n\x1a\0\xff")
    with shell(client) as opened:
        stdout, _, code = run(client, opened, tar, "-cf", "-", "-C", r"c:\programdata", '"./a b"')
        assert code == 0
        assert stdout[512:517] == b"\r\n\x1a\0\xff"
        assert run(client, opened, tar, "-tf", "%OS%")[1].endswith(b"Failed to open '%OS%'\n")


# Below, requests as only this test would write them.


def envelope(action: str, body: str, header: str = "", resource: str = RESOURCE) -> str:
    return (
        f"<s:Envelope {DECLARED}><s:Header><a:MessageID>uuid:{uuid.uuid4()}</a:MessageID><a:Action>{action}</a:Action>"
        f"<w:ResourceURI>{resource}</w:ResourceURI>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    )


def post(endpoint: Endpoint, data: str | bytes, **options: Any) -> requests.Response:
    headers = {"Content-Type": "application/soap+xml;charset=UTF-8", **options.pop("headers", {})}
    return requests.post(
        options.pop("url", endpoint.url),
        data=data.encode() if isinstance(data, str) else data,
        headers=headers,
        **{"auth": (USER, PASSWORD), "verify": endpoint.certificate, "timeout": PATIENCE_S, **options},
    )


def fault(answered: requests.Response) -> tuple[str, str]:
    assert answered.status_code == 500
    found: Element | None = fromstring(answered.content).find(f".//{name('s:Fault')}")
    assert found is not None
    return found.findtext(f".//{name('s:Subcode')}/{name('s:Value')}") or "", found.findtext(
        f".//{name('f:Message')}"
    ) or ""


def selecting(shell_id: str, option: str = "") -> str:
    return f'<w:SelectorSet><w:Selector Name="ShellId">{shell_id}</w:Selector></w:SelectorSet>{option}'


def option(key: str, value: str, comply: str = "false") -> str:
    return f'<w:OptionSet><w:Option Name="{key}" MustComply="{comply}">{value}</w:Option></w:OptionSet>'


SHELL = "<rsp:Shell/>"
LINE = "<rsp:CommandLine><rsp:Command>%s</rsp:Command></rsp:CommandLine>"
# What is asked of a shell that lives, and the fault: subcode, and a word of its text.
FAULTS = {
    "another resource": ("", CREATE, SHELL, "", "a:DestinationUnreachable", "urn:x"),
    "another action": ("", f"{CREATE}d", SHELL, "", "a:ActionNotSupported", "Created"),
    "a body that is no shell": ("", CREATE, "<rsp:Signal/>", "", "w:SchemaValidationError", "rsp:Shell"),
    "an unknown element": ("", CREATE, "<rsp:Shell><rsp:X/></rsp:Shell>", "", "w:SchemaValidationError", "not known"),
    "an unknown stream": (
        "",
        CREATE,
        "<rsp:Shell><rsp:OutputStreams>stdlog</rsp:OutputStreams></rsp:Shell>",
        "",
        "w:InvalidParameter",
        "stdout and stderr",
    ),
    "a short idle time-out": (
        "",
        CREATE,
        "<rsp:Shell><rsp:IdleTimeOut>PT59S</rsp:IdleTimeOut></rsp:Shell>",
        "",
        "w:InvalidTimeout",
        "60 s",
    ),
    "a folder that is not there": (
        "",
        CREATE,
        r"<rsp:Shell><rsp:WorkingDirectory>C:\no</rsp:WorkingDirectory></rsp:Shell>",
        "",
        "w:InternalError",
        "working directory",
    ),
    "a folder on another drive": (
        "",
        CREATE,
        r"<rsp:Shell><rsp:WorkingDirectory>D:\Tools</rsp:WorkingDirectory></rsp:Shell>",
        "",
        "w:InternalError",
        "cannot find the file",
    ),
    "a folder with a name too long": (
        "",
        CREATE,
        rf"<rsp:Shell><rsp:WorkingDirectory>C:\{'x' * 300}</rsp:WorkingDirectory></rsp:Shell>",
        "",
        "w:InternalError",
        "too long",
    ),
    "a long code page": ("", CREATE, SHELL, option("WINRS_CODEPAGE", "1" + "0" * 5000), "w:InvalidOptions", "number"),
    "a code page with zeros": ("", CREATE, SHELL, option("WINRS_CODEPAGE", "000437"), "w:InvalidOptions", "number"),
    "a wrong code page": ("", CREATE, SHELL, option("WINRS_CODEPAGE", "x"), "w:InvalidOptions", "number"),
    "an option that must be known": ("", CREATE, SHELL, option("X", "1", "true"), "w:InvalidOptions", "complied"),
    "no shell": ("", COMMAND, LINE % SHOW, "", "w:InvalidSelectors", "ShellId"),
    "an unknown shell": (str(uuid.uuid4()), COMMAND, LINE % SHOW, "", "w:InvalidSelectors", "fit nothing"),
    "no command": ("it", COMMAND, LINE % " ", "", "w:InvalidParameter", "no command"),
    "an unknown program": (
        "it",
        COMMAND,
        LINE % r"C:\no.exe",
        option("WINRS_SKIP_CMD_SHELL", "TRUE"),
        "w:InternalError",
        "cannot find the file",
    ),
    "a program on another drive": (
        "it",
        COMMAND,
        LINE % r"D:\Tools\show.exe",
        option("WINRS_SKIP_CMD_SHELL", "TRUE"),
        "w:InternalError",
        "cannot find the file",
    ),
    "a program with a name too long": (
        "it",
        COMMAND,
        LINE % rf"C:\{'x' * 300}.exe",
        option("WINRS_SKIP_CMD_SHELL", "TRUE"),
        "w:InternalError",
        "too long",
    ),
    "neither true nor false": (
        "it",
        COMMAND,
        LINE % SHOW,
        option("WINRS_SKIP_CMD_SHELL", "1"),
        "w:InvalidOptions",
        "1",
    ),
    "an unknown command": (
        "it",
        RECEIVE,
        '<rsp:Receive><rsp:DesiredStream CommandId="x">stdout</rsp:DesiredStream></rsp:Receive>',
        "",
        "w:InvalidParameter",
        "no such command",
    ),
    "no stream": ("it", RECEIVE, "<rsp:Receive/>", "", "w:InvalidParameter", "desired streams"),
    "another input stream": (
        "it",
        SEND,
        '<rsp:Send><rsp:Stream Name="x"/></rsp:Send>',
        "",
        "w:InvalidParameter",
        "stdin",
    ),
    "an unknown signal": (
        "it",
        SIGNAL,
        "<rsp:Signal><rsp:Code>x</rsp:Code></rsp:Signal>",
        "",
        "w:InvalidParameter",
        "x",
    ),
    "a body of Delete": ("it", DELETE, SHELL, "", "w:SchemaValidationError", "empty"),
}


@pytest.fixture(scope="module")
def living(endpoint: Endpoint) -> Iterator[str]:
    with shell(protocol(endpoint)) as opened:
        yield opened


@pytest.mark.parametrize("case", list(FAULTS))
def test_a_request_that_can_not_be_done_gets_its_fault(endpoint: Endpoint, living: str, case: str) -> None:
    which, action, body, header, subcode, word = FAULTS[case]
    header = (selecting(living if which == "it" else which) if which else "") + header
    resource = "urn:x" if case == "another resource" else RESOURCE
    answered = fault(post(endpoint, envelope(action, body, header, resource)))
    assert answered[0] == subcode
    assert word in answered[1]


@pytest.mark.parametrize("told", ["größe", "a", "!!!!"])
def test_a_stream_that_is_no_base64_gets_a_fault(endpoint: Endpoint, living: str, told: str) -> None:
    client = protocol(endpoint)
    command = client.run_command(living, CAT, skip_cmd_shell=True)
    body = f'<rsp:Send><rsp:Stream Name="stdin" CommandId="{command}">{told}</rsp:Stream></rsp:Send>'
    assert fault(post(endpoint, envelope(SEND, body, selecting(living))))[1].endswith("A stream is base64.")
    client.cleanup_command(living, command)


@pytest.mark.parametrize(
    "data",
    [
        "no XML",
        "<a/>",
        '<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;&b;&b;">]><a>&d;</a>',
        '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
    ],
)
def test_what_is_no_envelope_gets_a_fault(endpoint: Endpoint, data: str) -> None:
    assert fault(post(endpoint, data))[0] in ("w:SchemaValidationError", "")


def test_the_http_around_it_is_strict(endpoint: Endpoint) -> None:
    right = envelope(CREATE, SHELL)
    assert post(endpoint, right, auth=None).status_code == 401
    assert post(endpoint, right, url=endpoint.url + "x").status_code == 404
    assert post(endpoint, b"").status_code == 200
    assert fault(post(endpoint, right, headers={"Content-Type": "text/xml"}))[0] == "w:EncodingLimit"
    assert post(endpoint, b" " * (MAX_ENVELOPE_BYTES + 1)).status_code == 413
    asked = requests.get(endpoint.url, auth=(USER, PASSWORD), verify=endpoint.certificate, timeout=PATIENCE_S)
    assert asked.status_code == 501
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.post(endpoint.url.replace("https", "http"), data=right, timeout=PATIENCE_S)


def test_answers_are_not_larger_than_was_asked_for(endpoint: Endpoint, living: str) -> None:
    client = protocol(endpoint)
    command = client.run_command(living, CAT, skip_cmd_shell=True)
    client.send_command_input(living, command, b"x" * 100_000, end=True)
    body = f'<rsp:Receive><rsp:DesiredStream CommandId="{command}">stdout stderr</rsp:DesiredStream></rsp:Receive>'
    sizes, text = [], b""
    while not text.endswith(b"Done") and b"CommandState/Done" not in text:
        asked = selecting(living, "<w:MaxEnvelopeSize>8192</w:MaxEnvelopeSize>")
        text = post(endpoint, envelope(RECEIVE, body, asked)).content
        sizes.append(len(text))
    client.cleanup_command(living, command)
    assert max(sizes) <= 8192
    assert len(sizes) > 10


def test_a_shell_is_its_owners_alone(endpoint: Endpoint, living: str) -> None:
    other = protocol(endpoint, username="other", password="other")
    with pytest.raises(WSManFaultError, match="fit nothing"):
        other.run_command(living, SHOW)
    with pytest.raises(WSManFaultError, match="fit nothing"):
        other.close_shell(living)


def test_quotas_are_faults(tmp_path: Path) -> None:
    with running(tmp_path / "node", limits={"shells_per_user": 1, "commands_per_shell": 1}) as found:
        client = protocol(with_programs(found))
        with shell(client) as opened:
            with pytest.raises(WSManFaultError, match="quota"):
                client.open_shell()
            command = client.run_command(opened, CAT, skip_cmd_shell=True)
            with pytest.raises(WSManFaultError, match="quota"):
                client.run_command(opened, CAT, skip_cmd_shell=True)
            client.cleanup_command(opened, command)
            assert run(client, opened, EXIT, "0")[2] == 0
