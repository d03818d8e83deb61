"""Names and answers; jobs on a real shell are in tests/integration/puppet/test_detached_jobs.py."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.node.jobs import (
    JobState,
    Limits,
    Phase,
    find,
    job_id,
    poll,
    start,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Completed, LocalShell, PosixNode


class Answering(PosixNode):
    """A node that gives one answer and keeps what it was asked."""

    def __init__(self, stdout: bytes, stderr: bytes = b"") -> None:
        super().__init__("n1", LocalShell())
        self.answer = Completed(0, stdout, stderr)
        self.args: tuple[str, ...] = ()
        self.timeout = 0.0

    def sh(self, script: str, *args: str, stdin: bytes | None = None, timeout: float = 30) -> Completed:
        self.args, self.timeout = args, timeout
        return self.answer


@pytest.mark.parametrize(
    ("parts", "id"),
    [
        (("tradeapi-20260131-1", "n1", 2), "tradeapi-20260131-1.n1.2"),
        (("d", "n1.example.org", 1, "after-reboot"), "d.n1.example.org.1.after-reboot"),
        (("d", "n1", 1, ""), "d.n1.1"),
        (("d", "../../etc", 1), "d..._.._etc.1"),
        (("d", "a b;c", 1), "d.a_b_c.1"),
    ],
)
def test_ids_are_plain_file_names(parts: Sequence[str | int], id: str) -> None:
    assert job_id(*parts) == id


@pytest.mark.parametrize("id", ["", ".", "..", "../x", "a/b", "a b", "-rf", "x" * 201, "a\n"])
def test_other_ids_are_refused_before_anything_is_sent(id: str) -> None:
    node = Answering(b"")
    for call in (lambda: start(node, "/j", id, ["true"], Limits(1)), lambda: poll(node, "/j", id)):
        with pytest.raises(BadInput, match="is no job id"):
            call()
    assert node.args == ()


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (b"absent - - - -\n\noutput\n", JobState(Phase.ABSENT)),
        (b"running 42 - - -\n\noutput\nso far", JobState(Phase.RUNNING, pid=42, output="so far")),
        (b"ended - 3 17.04 -\n\noutput\nbye\n", JobState(Phase.ENDED, rc=3, seconds=17.04, output="bye\n")),
        (b"timed_out - 143 9 -\n\noutput\n", JobState(Phase.TIMED_OUT, rc=143, seconds=9)),
        (b"lost - - - -\n\noutput\n\xff", JobState(Phase.LOST, output="\\xff")),
        (b"ended - 0 4 rebooted\n\noutput\n", JobState(Phase.ENDED, rc=0, seconds=4, rebooted=True)),
        (
            b"ended - 0 4 -\na = b\nc =\n\noutput\noutput\n",
            JobState(Phase.ENDED, None, 0, 4, "output\n", told="a = b\nc =\n"),
        ),
    ],
)
def test_what_a_poll_answers(answer: bytes, state: JobState) -> None:
    assert poll(Answering(answer), "/j", "a") == state


@pytest.mark.parametrize("answer", [b"", b"running\n", b"ended - x y\n", b"odd - - - -\n", b"ended - 0 1\n"])
def test_an_answer_that_makes_no_sense_is_not_guessed(answer: bytes) -> None:
    with pytest.raises(Unreachable, match=r"state of a job could not be read.*\(n1\)"):
        poll(Answering(answer, b"sh: /proc: not found"), "/j", "a")


def test_a_long_poll_gets_more_time() -> None:
    node = Answering(b"absent - - - -\n")
    poll(node, "/j", "a", wait=20)
    assert (node.args[2], node.timeout) == ("20", 50)


def test_found_jobs_by_id() -> None:
    found = find(Answering(b"ended - 0 1 - d.n1.1\nrunning 7 - - - d.n1.2\n"), "/j", "d.n1.")
    assert found == {"d.n1.1": JobState(Phase.ENDED, rc=0, seconds=1), "d.n1.2": JobState(Phase.RUNNING, pid=7)}


def test_which_phases_are_over() -> None:
    assert [phase for phase in Phase if JobState(phase).over] == [Phase.ENDED, Phase.TIMED_OUT, Phase.LOST]


def test_a_start_that_failed_says_where_and_why() -> None:
    with pytest.raises(BadInput, match=r"can't start job a: mkdir: No space left \(n1: /j\)\. Check the folder"):
        start(Answering(b"\n", b"mkdir: No space left\n"), "/j", "a", ["true"], Limits(1))


def test_the_environment_goes_before_the_command() -> None:
    node = Answering(b"started\n")
    assert start(node, "/j", "a", ["puppet", "agent"], Limits(1.2, keep="/r"), {"LC_ALL": "C.UTF-8"})
    assert node.args[2:6] == ("/j", "a", "2", "/r")
    assert node.args[-4:] == ("env", "LC_ALL=C.UTF-8", "puppet", "agent")
