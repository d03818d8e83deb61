from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.health.expectation import (
    Clock,
    Differs,
    Expectation,
    Expected,
    StartedAfter,
    epoch,
    judge,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.health.http_answer import Answer

BODY: dict[str, Any] = {
    "version": "1.1.0",
    "digest": "ab" * 32,
    "pid": 7,
    "started": "2026-01-31T12:00:01.5000000Z",
    "status": "ok",
    "count": 1,
    "ready": True,
    "big": 1.1,
}
VERSION = Expected("$.version", "1.1.0")


def answer(body: object = BODY, status: int = 200) -> Answer:
    return Answer(0.0, 0.003, status, {}, body if isinstance(body, bytes) else json.dumps(body).encode())


def found(expectation: Expectation, given: Answer) -> list[tuple[Differs, str]]:
    return [(difference.kind, difference.text) for difference in judge(given, expectation).differences]


def test_a_good_answer_has_no_difference_and_is_read_back() -> None:
    expectation = Expectation(
        version=VERSION,
        digest=Expected("$.digest", "sha256:" + "AB" * 32),
        started=StartedAfter("$.started", epoch("2026-01-31T12:00:01Z")),
        values=(Expected("$.status", "ok"), Expected("$.ready", True)),
    )
    finding = judge(answer(), expectation)
    assert finding.good
    release = finding.release
    assert (release.version, release.digest, release.pid) == ("1.1.0", "ab" * 32, "7")
    assert release.started == BODY["started"]


@pytest.mark.parametrize(
    ("expectation", "given", "kind", "told"),
    [
        (Expectation(), answer(status=503), Differs.STATUS, "status is 503, expected 200"),
        (Expectation(status=(200, 204)), answer(status=302), Differs.STATUS, "status is 302, expected 200 or 204"),
        (Expectation(version=VERSION), answer(b"<html>"), Differs.BODY, "the body is not JSON"),
        (Expectation(version=VERSION), answer(b""), Differs.BODY, "the body is empty, expected JSON"),
        (Expectation(version=VERSION), answer(b"[" * 100_000), Differs.BODY, "the body is not JSON"),
        (Expectation(version=VERSION), answer(b'{"version": "1.1.0", "load": NaN}'), Differs.BODY,
         "the body is not JSON: it has NaN, which is no JSON value"),
        (Expectation(version=VERSION), answer(b'{"version": "1.1.0", "load": [-Infinity]}'), Differs.BODY,
         "the body is not JSON: it has -Infinity, which is no JSON value"),
        (Expectation(values=(Expected("$.status", "ok"),)), answer(b'{"status": "bad", "status": "ok"}'), Differs.BODY,
         "the body is no evidence: key 'status' stands twice in one object"),
        (Expectation(version=VERSION), answer(b'{"version": "1.1.0", "parts": [{"a": 1, "b": 2, "b": 2}]}'),
         Differs.BODY, "the body is no evidence: key 'b' stands twice in one object"),
        (Expectation(version=VERSION), answer({"version": "1.0.0"}), Differs.RELEASE,
         "serves version 1.0.0, expected 1.1.0"),
        (Expectation(version=VERSION), answer({}), Differs.VALUE,
         "it does not tell its version at $.version, expected 1.1.0"),
        (Expectation(version=VERSION), answer({"version": None}), Differs.VALUE,
         "it does not tell its version at $.version, expected 1.1.0"),
        (Expectation(digest=Expected("$.digest", "cd")), answer(), Differs.RELEASE,
         f"serves digest {'ab' * 32}, expected cd"),
        (Expectation(values=(Expected("$.count", True),)), answer(), Differs.VALUE, "$.count is 1, expected true"),
        (Expectation(values=(Expected("$.count", "1"),)), answer(), Differs.VALUE, '$.count is 1, expected "1"'),
        (Expectation(values=(Expected("$.none", 1),)), answer(), Differs.VALUE,
         "$.none is missing ($ has no 'none'), expected 1"),
        (Expectation(started=StartedAfter("$.started", epoch("2026-01-31T12:00:01.5Z"))), answer(), Differs.STARTED,
         "the process started at 2026-01-31T12:00:01.5000000Z, not after 2026-01-31T12:00:01.500+00:00"),
        (Expectation(started=StartedAfter("$.version", 1.0)), answer(), Differs.VALUE,
         "its start at $.version: '1.1.0' is not a time; write it like 2026-01-31T12:00:00Z"),
        (Expectation(), Answer(0, 0, 307, {"location": "https://me:pw@n1/health?token=s3cret#x"}), Differs.STATUS,
         "status is 307 (it sends us to https://n1/health), expected 200"),
        (Expectation(), Answer(0, 0, 307), Differs.STATUS, "status is 307, expected 200"),
        (Expectation(), Answer(0, 0, 503, {"location": "/x"}), Differs.STATUS, "status is 503, expected 200"),
        (Expectation(version=VERSION), Answer(0, 0, 200, {"content-encoding": "gzip"}, b"\x1f\x8b"), Differs.BODY,
         "the body is not JSON (it came in the encoding gzip, unasked)"),
    ],
)  # fmt: skip
def test_each_difference_is_told(expectation: Expectation, given: Answer, kind: Differs, told: str) -> None:
    assert found(expectation, given) == [(kind, told)]


def test_another_release_is_seen_behind_a_bad_status() -> None:
    kinds = [kind for kind, _ in found(Expectation(version=VERSION), answer({"version": "1.0.0"}, status=503))]
    assert kinds == [Differs.RELEASE, Differs.STATUS]


def test_a_bad_status_explains_a_body_that_is_not_json() -> None:
    assert [kind for kind, _ in found(Expectation(version=VERSION), answer(b"busy", status=503))] == [Differs.STATUS]


def test_a_body_does_not_matter_when_nothing_is_read_from_it() -> None:
    assert judge(answer(b"OK"), Expectation()).good


def test_no_answer_and_no_answer_in_time_differ() -> None:
    assert found(Expectation(), Answer(0, 0, problem="refused")) == [(Differs.NO_ANSWER, "refused")]
    assert found(Expectation(), Answer(0, 5, problem="late", late=True)) == [(Differs.TOO_SLOW, "late")]


def test_the_sentence_shows_status_time_excerpt_and_difference() -> None:
    finding = judge(Answer(1769860803.0, 0.0034, 503, {}, b"warm\x1b[2Jing"), Expectation())
    assert finding.sentence == r"12:00:03Z status 503 after 3ms, body warm\x1b[2Jing: status is 503, expected 200"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("1970-01-01T00:01:00Z", 60.0),
        ("1970-01-01T01:01:00.1234567+01:00", 60.123456),
        (60, 60.0),
        ("60.5", 60.5),
        (1769860803000, 1769860803.0),
    ],
)
def test_times_are_read(value: object, seconds: float) -> None:
    assert epoch(value) == pytest.approx(seconds, abs=1e-5)


@pytest.mark.parametrize(
    "value", ["yesterday", "2026-01-31T12:00:00", True, "nan", "-1", "1e99", "999999999999999", "", None]
)
def test_what_is_no_time_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="time"):
        epoch(value)


def test_a_date_that_no_calendar_has_is_told_in_seconds() -> None:
    after = StartedAfter("$.started", 1769860803.0, Clock.CONTROLLER)
    [(kind, told)] = found(
        Expectation(started=after),
        Answer(1769860803.0, 0, 200, {"date": "Fri, 31 Dec 9999 23:59:59 GMT"}, b'{"started": "2026-01-31T12:00:00Z"}'),
    )
    assert (kind, told) == (
        Differs.STARTED,
        "the process started at 2026-01-31T12:00:00Z, not after 253402300800 s since 1970",
    )


def test_without_a_good_status_nothing_could_be_good() -> None:
    with pytest.raises(BadInput, match="no status code is good"):
        Expectation(status=())


def test_a_malformed_path_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(BadInput):
        Expected("version", "1.1.0")


@pytest.mark.parametrize(
    ("date", "started", "good"),
    [
        # Asked at 1000 s by our clock. The node's is 500 s ahead; what must be later began at 900 s by ours.
        ("Thu, 01 Jan 1970 00:25:00 GMT", 1402, True),
        ("Thu, 01 Jan 1970 00:25:00 GMT", 1399, False),
        # A date has whole seconds: within them the doubt is the process'.
        ("Thu, 01 Jan 1970 00:25:00 GMT", 1400.5, False),
        # The node's clock is 500 s behind.
        ("Thu, 01 Jan 1970 00:08:20 GMT", 402, True),
        ("Thu, 01 Jan 1970 00:08:20 GMT", 399, False),
        # Nothing is known about the node's clock.
        ("", 901, True),
        ("", 899, False),
        ("soon", 899, False),
    ],
)
def test_a_time_by_our_clock_is_moved_to_the_nodes(date: str, started: float, good: bool) -> None:
    expected = Expectation(started=StartedAfter("$.started", 900.0, Clock.CONTROLLER))
    body = json.dumps({"started": started}).encode()
    finding = judge(Answer(1000.0, 0.01, 200, {"date": date} if date else {}, body), expected)
    assert finding.good is good


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"x-served-by": "n1"}, ""),
        ({"x-served-by": "n2"}, "n2 answered, aimed was at n1"),
        ({}, "nobody says in X-Served-By who answered, aimed was at n1"),
    ],
)
def test_what_another_node_says_is_not_even_read(headers: dict[str, str], told: str) -> None:
    expected = Expectation(version=Expected("$.version", "9"), served_by=("X-Served-By", "n1"))
    finding = judge(Answer(0.0, 0.01, 200, headers, b'{"version": "1"}'), expected)
    [difference] = finding.differences
    assert (difference.kind, difference.text if told else "") == (Differs.NODE if told else Differs.RELEASE, told)


def test_a_body_that_contradicts_itself_matters_only_where_it_is_read() -> None:
    assert judge(answer(b'{"status": "bad", "status": "ok", "load": NaN}'), Expectation()).good


def test_a_key_may_stand_in_several_objects() -> None:
    same = answer(b'{"status": "ok", "parts": [{"status": "ok"}, {"status": "ok"}]}')
    assert judge(same, Expectation(values=(Expected("$.status", "ok"),))).good
