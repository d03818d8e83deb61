"""The strict reader: whole answers in any pieces, and nothing that is only nearly one."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.http1 import BODY_LIMIT, HEAD_LIMIT, Answer, AnswerReader, BadAnswer

LENGTH = b"HTTP/1.1 200 OK\r\nX-Version: 1.0.0\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\n\r\n"


def read(*parts: bytes) -> Answer | None:
    reader = AnswerReader()
    answer = None
    for part in parts:
        assert answer is None
        answer = reader.feed(part)
    return answer


def whole(data: bytes) -> Answer:
    answer = read(data)
    assert answer is not None
    return answer


@pytest.mark.parametrize("data", [LENGTH, CHUNKED])
@given(cuts=st.sets(st.integers(1, 60), max_size=8))
def test_an_answer_is_the_same_in_whatever_pieces_it_comes(data: bytes, cuts: set[int]) -> None:
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    answer = read(*(data[start:end] for start, end in pairwise(edges)))
    assert answer is not None
    assert (answer.status, answer.body, answer.keep) == (200, b"hello", True)


@pytest.mark.parametrize("data", [LENGTH, CHUNKED])
def test_every_beginning_of_an_answer_is_not_yet_one(data: bytes) -> None:
    for length in range(len(data)):
        assert read(data[:length]) is None


def test_header_names_are_lower_case_and_values_stripped() -> None:
    answer = whole(b"HTTP/1.1 404 Not Found\r\nX-VERSION:  1.0.0 \r\nContent-Length: 0\r\n\r\n")
    assert answer.headers["x-version"] == "1.0.0"
    assert answer.status == 404


@pytest.mark.parametrize(
    ("head", "keep"),
    [
        (b"HTTP/1.1 200 OK\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\n", False),
        (b"HTTP/1.0 200 OK\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n", True),
    ],
)
def test_whether_the_connection_may_be_used_again(head: bytes, keep: bool) -> None:
    assert whole(head + b"Content-Length: 0\r\n\r\n").keep is keep


def test_no_content_needs_no_length() -> None:
    assert whole(b"HTTP/1.1 204 No Content\r\n\r\n").body == b""


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x00garbage", "no HTTP answer"),
        (b"HTTP/2 200 OK\r\n", "no HTTP answer"),
        (b"HTTP/2 200 OK\r\n\r\n", "no status line"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "no status line"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "no final answer"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "no length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", "twice"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "both"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "transfer coding"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "Content-Length '-1'"),
        ("HTTP/1.1 200 OK\r\nContent-Length: ²\r\n\r\n".encode("latin-1"), "Content-Length"),
        (f"HTTP/1.1 200 OK\r\nContent-Length: {BODY_LIMIT + 1}\r\n\r\n".encode(), "Content-Length"),
        (b"HTTP/1.1 200 OK\r\nbad header: 1\r\n\r\n", "no header line"),
        (b"HTTP/1.1 200 OK\r\n folded\r\n\r\n", "no header line"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab", "1 bytes after the end"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "no chunk size"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc", "not closed"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n", "longer than"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 4000, "head is longer"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * (HEAD_LIMIT + 1), "does not end"),
    ],
)
def test_what_is_not_one_whole_answer_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(BadAnswer, match=why):
        read(data)
