"""One answer on one connection, from servers that do what they should not."""

from __future__ import annotations

import ssl
import subprocess
import threading
import time
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Stopped
from ansible_collections.tidegate.delivery.plugins.module_utils.health.http_answer import BODY_LIMIT, ask, target
from tests.integration.health.servers import (
    NEVER_S,
    Behaviour,
    always,
    headers_without_end,
    never,
    respond,
    serving,
    trickle,
)
from tests.waiting import PATIENCE_S, until

OK = respond({"status": "ok"})


def test_an_answer_has_status_headers_and_body() -> None:
    with serving(always(respond({"a": 1}, extra="X-Served-By: n1\r\n"))) as node:
        answer = ask(target(node.url, {"X-Probe": "yes"}), PATIENCE_S)
    assert (answer.status, answer.body, answer.problem) == (200, b'{"a": 1}', "")
    assert answer.headers["x-served-by"] == "n1"
    assert b"GET /health HTTP/1.1\r\n" in node.requests[0]
    assert b"Connection: close\r\n" in node.requests[0]
    assert b"X-Probe: yes\r\n" in node.requests[0]


HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nX-Served-By: hints\r\n\r\n"


@pytest.mark.parametrize("interim", [HINTS, b"HTTP/1.1 100 Continue\r\n\r\n" + HINTS * 2, HINTS * 10])
def test_interim_answers_are_passed_over(interim: bytes) -> None:
    with serving(always(interim + respond({"a": 1}, "503 Service Unavailable", "X-Served-By: n1\r\n"))) as node:
        answer = ask(target(node.url), PATIENCE_S)
    assert (answer.status, answer.body, answer.problem) == (503, b'{"a": 1}', "")
    assert answer.headers["x-served-by"] == "n1"
    assert "link" not in answer.headers


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        (HINTS * 11 + OK, "11 interim answers (status 1xx) came, and no final one"),
        (HINTS, "the connection was closed without an answer"),
    ],
)
def test_interim_answers_alone_are_no_answer(sent: bytes, problem: str) -> None:
    with serving(always(sent)) as node:
        answer = ask(target(node.url), PATIENCE_S)
    assert (answer.status, answer.problem) == (None, problem)


def test_a_switch_of_protocols_is_not_waited_out() -> None:
    with serving(always(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")) as node:
        assert ask(target(node.url), PATIENCE_S).status == 101


def test_each_try_has_a_connection_of_its_own_even_if_the_server_keeps_it() -> None:
    kept = OK.replace(b"Connection: close", b"Connection: keep-alive")
    with serving(always(kept)) as node:
        for _ in range(3):
            assert ask(target(node.url), PATIENCE_S).status == 200
    assert node.connections == 3


@pytest.mark.parametrize("behave", [never, trickle, headers_without_end])
def test_a_server_that_never_ends_its_answer_is_given_up_at_the_deadline(behave: Behaviour) -> None:
    with serving(behave) as node:
        began = time.monotonic()
        answer = ask(target(node.url), 0.5)
        took = time.monotonic() - began
    assert answer.late
    assert answer.problem
    assert 0.4 < took < NEVER_S


def test_a_stop_ends_a_request_in_its_middle() -> None:
    looks: list[bool] = []

    def look() -> None:
        looks.append(True)
        if len(looks) > 2:
            raise Stopped("stopped")

    with serving(trickle) as node, pytest.raises(Stopped):
        ask(target(node.url), 120, look)
    assert len(looks) == 3


def test_the_thread_of_a_given_up_request_ends() -> None:
    before = threading.active_count()
    with serving(trickle) as node:
        for _ in range(5):
            ask(target(node.url), 0.2)
        # The server's accepting thread may still live.
        until(lambda: threading.active_count() <= before + 1, "the threads have ended")


def test_a_proxy_from_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with serving(always(OK)) as node:
        assert ask(target(node.url), PATIENCE_S).status == 200


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    with serving(always(respond(b"", "302 Found", "Location: /elsewhere\r\n"))) as node:
        assert ask(target(node.url), PATIENCE_S).status == 302
    assert node.connections == 1


@pytest.mark.parametrize(
    ("raw", "status", "told"),
    [
        (b"", None, "closed without an answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", None, "not HTTP"),
        (OK[:-5], 200, "broke off, 5 bytes are missing"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", None, "broke off inside its body"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", None, "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", None, "not HTTP"),
        (respond(b"x" * (BODY_LIMIT + 1)), 200, "larger than 1024 KiB"),
    ],
    ids=["closed", "ssh", "short", "chunk", "headers", "long header", "large"],
)
def test_a_broken_answer_is_told(raw: bytes, status: int | None, told: str) -> None:
    with serving(always(raw)) as node:
        answer = ask(target(node.url), PATIENCE_S)
    assert answer.status == status
    assert told in answer.problem
    assert not answer.late


def test_the_largest_body_is_read() -> None:
    with serving(always(respond(b"x" * BODY_LIMIT))) as node:
        answer = ask(target(node.url), PATIENCE_S)
    assert (len(answer.body), answer.problem) == (BODY_LIMIT, "")


def test_nobody_there_is_told() -> None:
    answer = ask(target("http://127.0.0.1:1/"), PATIENCE_S)
    assert "refused" in answer.problem
    assert not answer.late


@pytest.mark.parametrize(
    "url",
    ["", "n1:8080/health", "ftp://n1/", "http://", "http://n1:99999/", "http://[::1/", "http://n1/a b",
     "http://n1/\r\nX: y", "http://user:secret@n1/",
     "http://user:'secret@n1:99999/"],
)  # fmt: skip
def test_an_url_that_can_not_be_asked_is_refused(url: str) -> None:
    with pytest.raises(BadInput) as caught:
        target(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("value", ["s3cret\r\nX: y", "s3cret \u20ac"])
def test_a_header_that_can_not_be_sent_is_refused_without_its_value(value: str) -> None:
    with pytest.raises(BadInput) as caught:
        target("http://n1/", {"Authorization": value})
    assert "s3cret" not in str(caught.value)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key in one file."""
    folder = tmp_path_factory.mktemp("tls")
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    argv += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{folder}/key", "-out", f"{folder}/cert"]
    subprocess.run(argv, check=True, capture_output=True, timeout=PATIENCE_S)
    both = folder / "both.pem"
    both.write_bytes((folder / "key").read_bytes() + (folder / "cert").read_bytes())
    return both


def test_certificates_are_checked_against_the_given_authorities(certificate: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    with serving(always(OK), tls) as node:
        assert "certificate verify failed" in ask(target(node.url), PATIENCE_S).problem
        assert ask(target(node.url, ca_file=str(certificate)), PATIENCE_S).status == 200
        assert ask(target(node.url, validate_certs=False), PATIENCE_S).status == 200


def test_a_ca_file_that_is_none_is_refused() -> None:
    with pytest.raises(BadInput, match="can't use the CA file"):
        target("https://n1/", ca_file="/etc/hostname")
    with pytest.raises(BadInput, match="can't use the CA file"):
        target("https://n1/", ca_file="/nonexistent")
