"""What goes to a load balancer's host, and what is made of its answer. The integration tests run the script itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import (
    BadInput,
    DomainError,
    Locked,
    Refused,
    Unreachable,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.access import DEFAULT_LOCK, AdminAccess
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.runtime import (
    ANSWER_LIMIT,
    LINE_LIMIT,
    Batch,
    Runtime,
    joined,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Completed
from tests.unit.plugins.module_utils.haproxy.test_state import PROC, STAT, STATES
from tests.unit.plugins.module_utils.haproxy_rows import MAINTENANCE, ONLINE, row

VARIABLES = {"tidegate_haproxy_socket": "/run/haproxy/admin.sock", "tidegate_haproxy_master_socket": "/run/master.sock"}
ACCESS = AdminAccess.from_hostvars("lb1", VARIABLES)
INFO = "Version: 2.6.12\nPid: 1842\nUptime_sec: 9"


class FakeNode:
    """Answers the script's frames; keeps what it was asked."""

    name = "lb1"

    def __init__(self, answer: Callable[[Callable[..., str]], str]) -> None:
        self._answer = answer
        self.request = ""
        self.args: tuple[str, ...] = ()

    def sh(self, script: str, *args: str, stdin: bytes | None = None, timeout: float = 30) -> Completed:
        self.args, self.request = args, (stdin or b"").decode()

        def frame(words: str, body: str = "") -> str:
            return f"\n{args[-1]} {words}\n{body}"

        return Completed(0, self._answer(frame).encode(), b"noise of the connection")


def runtime(answer: Callable[[Callable[..., str]], str]) -> tuple[Runtime, FakeNode]:
    node = FakeNode(answer)
    return Runtime(node, ACCESS), node  # type: ignore[arg-type]


def reading(frame: Callable[..., str], *, proc: str = PROC, old: str = f"{STAT}\n\n") -> str:
    answers = f"{INFO}\n\nadmin\n\n{STAT}\n\n{STATES}\n\n"
    return frame("answer read", answers) + frame("answer proc", f"{proc}\n") + frame("answer old 1700", old)


def whole(frame: Callable[..., str]) -> str:
    return reading(frame) + frame("finished")


def test_a_reading_is_one_exchange_without_a_lock() -> None:
    reader, node = runtime(whole)
    state = reader.read(["b_on"])
    assert node.request == "read show info;show cli level;show stat b_on 6 -1;show servers state b_on\nend\n"
    assert (state.pid, state.version, state.failed_reloads) == (1842, "2.6.12", 2)
    assert state.sessions(("b_on", "n1")) == 6, "three in each of the two workers"
    assert state.undecided == 1


def test_a_master_of_other_workers_may_be_another_haproxys() -> None:
    others = PROC.replace("1842 ", "1843 ")
    reader, _ = runtime(lambda frame: reading(frame, proc=others) + frame("finished"))
    with pytest.raises(Unreachable, match=r"worker 1842 was replaced while it was asked, or .* is another HAProxy's"):
        reader.read(["b_on"])


def test_many_backends_are_read_with_one_question() -> None:
    reader, node = runtime(whole)
    state = reader.read([f"b{number}" for number in range(30)] + ["b_on"])
    assert node.request.startswith("read show info;show cli level;show stat -1 6 -1;show servers state\n")
    assert "b7" in state.missing_backends
    assert "b_on" not in state.missing_backends


def test_a_missing_backend_is_named() -> None:
    answers = f"{INFO}\n\nadmin\n\nNo such proxy.\n\nCan't find backend.\n\n"
    reader, _ = runtime(
        lambda frame: frame("answer read", answers) + frame("answer proc", f"{PROC}\n") + frame("finished")
    )
    assert reader.read(["nope"]).missing_backends == {"nope"}


def test_an_old_worker_that_does_not_answer_is_known_as_such() -> None:
    reader, _ = runtime(lambda frame: reading(frame, old="# pxname,sv") + frame("finished"))
    assert reader.read(["b_on"]).silent_workers == [1700]


def test_a_batch_is_guarded_sent_read_back_and_saved_in_one_exchange() -> None:
    sender, node = runtime(lambda frame: frame("answer sent", "\n\n") + reading(frame) + frame("finished"))
    rows = (row("n1"), row("n1", ("MAINT", 0, 5), MAINTENANCE))
    applied = sender.apply(Batch(("set a", "set b"), 7, rows, (ONLINE,)), ["b_on"])
    assert node.request.splitlines() == [
        "lock",
        f"guard show info;show servers state {ONLINE};show servers state {MAINTENANCE}",
        "expect pid 7",
        f"expect server {ONLINE}/n1 2 0",
        f"expect server {MAINTENANCE}/n1 0 5",
        "send set a;set b",
        f"dump {ONLINE}",
        "read show info;show cli level;show stat b_on 6 -1;show servers state b_on",
        "end",
    ]
    assert (applied.complete, applied.rejected, applied.changed, applied.unsaved) == (True, (), "", ())


def test_sessions_in_old_workers_are_cut_after_the_current_ones() -> None:
    sender, node = runtime(lambda frame: frame("answer sent", "\n") + reading(frame) + frame("finished"))
    sender.apply(Batch(("shutdown sessions server b_on/n1",), 7, cut=(("b_on", "n1"),)), ["b_on"])
    assert [line for line in node.request.splitlines() if line.startswith(("send", "cut"))] == [
        "send shutdown sessions server b_on/n1",
        "cut b_on n1",
    ]


@pytest.mark.parametrize(
    ("answer", "complete", "rejected"),
    [
        ("\n\n", True, ()),
        ("\nNo such server.\n\n", True, (("set b", "No such server."),)),
        ("\n", False, ()),
        ("", False, ()),
        ("\nNo such", False, ()),
        ("\n\n\n", False, ()),
        ("\n\x00\x01\n\n", False, ()),
        ("\ngärbage\n\n", False, ()),
    ],
)
def test_only_a_fitting_answer_tells_what_became_of_each_command(
    answer: str, complete: bool, rejected: Sequence[tuple[str, str]]
) -> None:
    sender, _ = runtime(lambda frame: frame("answer sent", answer) + reading(frame) + frame("finished"))
    applied = sender.apply(Batch(("set a", "set b"), 7), ["b_on"])
    assert (applied.complete, applied.rejected) == (complete, rejected)


def test_what_a_worker_refuses_that_ends_is_no_answer() -> None:
    """A reload began between the guard and the commands; what they meant is decided again."""
    refusal = "\nProxy is disabled.\n\n"
    sender, _ = runtime(lambda frame: frame("answer sent", refusal) + reading(frame) + frame("finished"))
    with pytest.raises(Unreachable, match="the worker that was asked ends"):
        sender.apply(Batch(("set a", "set b"), 7), ["b_on"])


@pytest.mark.parametrize("name", ["a;shutdown frontend x", "a\nsend shutdown frontend x", "a b", "", "a/b", "x" * 101])
def test_what_is_no_name_never_reaches_the_script(name: str) -> None:
    sender, node = runtime(whole)
    bad = row("n1", backend=name), row(name)
    asks: list[Callable[[], object]] = [
        lambda: sender.read([name]),
        lambda: sender.read([name] * 30),
        lambda: sender.apply(Batch(("set a",), 7), [name]),
        lambda: sender.apply(Batch(("set a",), 7, save=(name,)), ["b_on"]),
        lambda: sender.apply(Batch(("set a",), 7, cut=(("b_on", name),)), ["b_on"]),
        *(lambda each=each: sender.apply(Batch(("set a",), 7, (each,)), ["b_on"]) for each in bad),
    ]
    for ask in asks:
        with pytest.raises(BadInput, match="is no name of a backend or server"):
            ask()
    assert node.request == ""


@pytest.mark.parametrize("command", ["set a;shutdown frontend x", "set a\nsend shutdown frontend x"])
def test_a_command_that_is_two_is_not_sent(command: str) -> None:
    sender, node = runtime(whole)
    with pytest.raises(BadInput, match="is more than one command"):
        sender.apply(Batch((command,), 7), ["b_on"])
    assert node.request == ""


def test_what_changed_and_what_was_not_saved_is_told() -> None:
    sender, _ = runtime(
        lambda frame: frame("changed server b_on/n1 2 0") + reading(frame) + frame("unsaved b_on") + frame("finished")
    )
    assert sender.apply(Batch(("set a",), 7), ["b_on"]).changed == "server b_on/n1 2 0"
    sender, _ = runtime(
        lambda frame: frame("answer sent", "\n") + reading(frame) + frame("unsaved b_on") + frame("finished")
    )
    assert sender.apply(Batch(("set a",), 7), ["b_on"]).unsaved == ("b_on",)


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        (lambda frame: "", Unreachable, "no whole answer came: noise of the connection"),
        (reading, Unreachable, "no whole answer came"),
        (lambda frame: frame("stopped request"), Unreachable, "nothing was sent"),
        (lambda frame: frame("stopped lock"), Locked, "the lock stayed taken for 30 s"),
        (lambda frame: frame("stopped lockfile"), Refused, f"the lock file {DEFAULT_LOCK} can't be written"),
        (lambda frame: frame("stopped folder"), Refused, "is no folder that can be written"),
        (lambda frame: frame("stopped tool socat"), Refused, "socat is not installed"),
        (lambda frame: frame("stopped socket /run/x.sock"), Unreachable, "there is no socket /run/x.sock"),
        (lambda frame: frame("stopped denied /run/x.sock tg"), Refused, "tg may not use the socket /run/x.sock"),
        (lambda frame: frame("answer read") + frame("finished"), Unreachable, "HAProxy did not answer within 5 s"),
        (
            lambda frame: frame("answer read", f"{INFO}\n\nhalf") + frame("answer proc", PROC) + frame("finished"),
            Unreachable,
            "HAProxy answered 1 of 4 questions",
        ),
        (lambda frame: reading(frame, proc="") + frame("finished"), BadInput, "'show proc' began with ''"),
        (lambda frame: reading(frame, proc="#<PID>\n") + frame("finished"), Unreachable, "worker 1842 was replaced"),
        (
            lambda frame: frame("answer read", "x" * (ANSWER_LIMIT + 1)) + frame("finished"),
            BadInput,
            "larger than 8 MiB",
        ),
    ],
)
def test_every_broken_answer_is_an_error_that_names_the_load_balancer(
    answer: Callable[[Callable[..., str]], str], error: type[DomainError], text: str
) -> None:
    reader, _ = runtime(answer)
    with pytest.raises(error) as raised:
        reader.read(["b_on"])
    assert text in str(raised.value)
    assert "lb1" in raised.value.where
    assert raised.value.remedy


def test_lines_stay_under_the_limit_and_keep_the_order() -> None:
    commands = [f"set server a_backend/server{number} state maint" for number in range(1000)]
    lines = joined(commands)
    assert max(map(len, lines)) <= LINE_LIMIT
    assert len(lines) == 6
    assert ";".join(lines).split(";") == commands
    assert all(line and not line.endswith(";") for line in lines), "an empty command prints the help text on 2.6"
    assert joined([]) == []
