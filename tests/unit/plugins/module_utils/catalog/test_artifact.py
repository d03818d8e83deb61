from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.artifact import checked_version, find_artifact
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Unreachable
from tests.waiting import PATIENCE_S


def test_the_digest_stands_beside_the_artifact(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz.sha256").write_text("AB" * 32 + "  a.tar.gz\n")
    found = find_artifact("s", "1.0.0", f"file://{tmp_path}/a.tar.gz")
    assert found.sha256 == "ab" * 32


def test_a_file_without_a_digest_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz.sha256").write_text("<html>login</html>")
    with pytest.raises(BadInput, match=r"no SHA-256 in the digest file .*a\.tar\.gz\.sha256"):
        find_artifact("s", "1.0.0", f"file://{tmp_path}/a.tar.gz")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/a", "not a url", "file:///nowhere/a"])
def test_a_silent_repository_is_no_missing_version(url: str) -> None:
    with pytest.raises(Unreachable, match="did not tell the digest"):
        find_artifact("s", "1.0.0", url)


@contextlib.contextmanager
def repository(answer: bytes, *, drip: float = 0.0) -> Iterator[str]:
    """Answers every connection with these very bytes; with `drip`, one by one and so many seconds apart."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ended = threading.Event()

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _address = server.accept()
                    with connection, contextlib.suppress(OSError):
                        connection.recv(4096)
                        for byte in answer if drip else []:
                            connection.sendall(bytes([byte]))
                            if ended.wait(drip):
                                break
                        if not drip:
                            connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/a"
        ended.set()
        server.shutdown(socket.SHUT_RDWR)
        thread.join(PATIENCE_S)


@pytest.mark.parametrize("version", ["1.1.0", "2024.01.05-rc.1+build_7", "v1", "a" * 100])
def test_a_version_is_taken_as_it_is(version: str) -> None:
    assert checked_version(version) == version


@pytest.mark.parametrize("version", ["", "1.1 0", "1\n", "../1", ".1", "-1", "1/2", "1?", "ü", "a" * 101, "{node}"])
def test_what_is_no_version_is_refused_before_anything_is_asked(version: str) -> None:
    with pytest.raises(BadInput, match="is no version"):
        checked_version(version)
    with pytest.raises(BadInput, match="is no version"):
        find_artifact("s", version, "http://127.0.0.1:9/a")


@pytest.mark.parametrize(
    "url", ["http://alice:s3cret@127.0.0.1:9/a", "http://s3cret@[bad/a", "https://alice:s3%0acret@h"]
)
def test_a_url_with_credentials_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(BadInput, match="carries a user or password") as refused:
        find_artifact("s", "1.0.0", url)
    assert "s3" not in str(refused.value)


def test_an_at_sign_in_the_path_is_no_password() -> None:
    with pytest.raises(Unreachable):
        find_artifact("s", "1.0.0", "http://127.0.0.1:9/a@b?c@d")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"SSH-2.0-OpenSSH\r\n", "BadStatusLine"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, "LineTooLong"),
        (b"HTTP/1.1 302 Found\r\nLocation: ftp://h/a\r\n\r\n", "redirects to 'ftp' instead of http or https"),
        (b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n", "status 302"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://a:s3cret@h/\r\n\r\n", "redirects to a URL that carries a user"),
        (b"HTTP/1.1 503 Busy\r\n\r\n", "status 503"),
    ],
)
def test_an_odd_answer_is_told_and_is_no_traceback(answer: bytes, told: str) -> None:
    with repository(answer) as url, pytest.raises(Unreachable) as error:
        find_artifact("s", "1.0.0", url)
    assert told in str(error.value)
    assert "s3cret" not in str(error.value)


def test_a_version_that_is_not_there_is_bad_input() -> None:
    with repository(b"HTTP/1.1 404 Not Found\r\n\r\n") as url, pytest.raises(BadInput, match=r"'1\.0\.0' of s doesn't"):
        find_artifact("s", "1.0.0", url)


def test_an_url_that_can_not_be_asked_is_told() -> None:
    with pytest.raises(Unreachable, match="InvalidURL"):
        find_artifact("s", "1.0.0", "http://127.0.0.1:9/a b")


def test_a_trickling_repository_is_given_up_in_time() -> None:
    began = time.monotonic()
    answer = b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 4000
    with repository(answer, drip=0.05) as url, pytest.raises(Unreachable, match="no complete answer within 300ms"):
        find_artifact("s", "1.0.0", url, timeout=0.3)
    # All of it would take three minutes.
    assert time.monotonic() - began < 100
