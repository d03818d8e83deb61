from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import (
    BadInput,
    DeadlineExceeded,
    DomainError,
    Unreachable,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.nagios import server as nagios
from ansible_collections.tidegate.delivery.plugins.module_utils.nagios.server import (
    Downtime,
    Nagios,
    ask,
    find_nagios,
    read_configuration,
    read_state,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Completed, LocalShell, PosixNode

MINIMAL = {
    "command_file": "/run/nagios.cmd",
    "status_file": "/var/status.dat",
    "state_retention_file": "/var/retention.dat",
    "retain_state_information": "1",
}
# As Nagios Core 4.4.6 wrote them.
STATUS = """########################################
#          NAGIOS STATUS FILE

info {
	created=1795896308
	version=4.4.6
	}

programstatus {
	nagios_pid=25132
	}

hoststatus {
	host_name=n1
	plugin_output=a } and a { in = it
	}

servicestatus {
	host_name=n1
	service_description=disk
	}

servicedowntime {
	host_name=n1
	service_description=disk
	downtime_id=4
	start_time=1795896306
	end_time=1795899906
	fixed=1
	is_in_effect=1
	author=ann
	comment=a=b; c
	}
"""
RETAINED = """info {
created=1795896532
}
host {
host_name=n2
}
hostdowntime {
host_name=n2
start_time=1795896532
end_time=1795897132
is_in_effect=0
author=tidegate
comment=saved at once
}
"""


def configuration(**changes: str | None) -> str:
    return "# Nagios\n\n" + "".join(
        f"{key}={value}\n" for key, value in (MINIMAL | changes).items() if value is not None
    )


def test_where_a_nagios_keeps_things() -> None:
    assert read_configuration(configuration(), "x") == Nagios("/run/nagios.cmd", "/var/retention.dat")
    twice = configuration() + " command_file = /srv/other.cmd \n"
    assert read_configuration(twice, "x").command_file == "/srv/other.cmd", "the last word counts"


@pytest.mark.parametrize(
    ("interval", "seconds"), [("10", 10.0), (None, 60.0), ("often", 60.0), ("0", 1.0), ("9e9", 3600.0)]
)
def test_without_retention_its_status_file_is_read(interval: str | None, seconds: float) -> None:
    text = configuration(retain_state_information="0", status_update_interval=interval)
    assert read_configuration(text, "x") == Nagios("/run/nagios.cmd", "/var/status.dat", seconds)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"check_external_commands": "0"}, "takes no external commands"),
        ({"command_file": None}, "command_file is 'not set'"),
        ({"command_file": "rw/nagios.cmd"}, "command_file is 'rw/nagios.cmd'"),
        ({"state_retention_file": None, "status_file": None}, "status_file is 'not set'"),
    ],
)
def test_a_configuration_with_which_nothing_can_be_done(changes: dict[str, str | None], told: str) -> None:
    with pytest.raises(BadInput, match=told) as error:
        read_configuration(configuration(**changes), "mon: /etc/nagios.cfg")
    assert error.value.where == "mon: /etc/nagios.cfg"


def test_a_server_without_a_configuration() -> None:
    with pytest.raises(
        BadInput, match=r"no configuration of Nagios \(mon: /nowhere/nagios.cfg\).*tidegate_nagios_config"
    ):
        find_nagios(PosixNode("mon", LocalShell()), "/nowhere/nagios.cfg")


def test_what_a_status_file_says() -> None:
    state = read_state(STATUS, "x")
    assert (state.now, state.services) == (1795896308, {"n1": ("disk",)})
    assert state.of("n1") == (Downtime("n1", "disk", 1795896306, 1795899906, "ann", "a=b; c"),)
    assert state.of("n2") == ()


def test_what_a_retention_file_says() -> None:
    state = read_state(RETAINED, "x")
    assert state.services == {"n2": ()}
    assert state.downtimes == (Downtime("n2", "", 1795896532, 1795897132, "tidegate", "saved at once", False),)


@pytest.mark.parametrize("text", ["", "info {\n}\n", "info {\ncreated=soon\n}\n", "info {\ncreated=1795896308"])
def test_a_file_that_says_no_time(text: str) -> None:
    with pytest.raises(BadInput, match="no state of Nagios"):
        read_state(text, "x")


@given(st.text(alphabet=st.sampled_from("info {}\n\t=hostdowntime_nm0123456789;\x00é")))
def test_garbage_is_refused_or_read_but_no_traceback(garbage: str) -> None:
    state = read_state(f"info {{\ncreated=7\n}}\n{garbage}", "x")
    assert state.now >= 0 or state.downtimes


@given(st.integers(0, len(STATUS)))
def test_a_file_that_was_cut_has_no_downtime_that_was_not_there(at: int) -> None:
    try:
        state = read_state(STATUS[:at], "x")
    except BadInput:
        return
    assert set(state.downtimes) <= set(read_state(STATUS, "x").downtimes)


class Answering:
    """A Nagios server that ends the script in one way."""

    def __init__(self, rc: int, stdout: bytes = b"", stderr: bytes = b"") -> None:
        self.completed = Completed(0, stdout + b"\n%d" % rc, stderr)
        self.stdin: bytes | None = None

    def __call__(self, command: str, stdin: bytes | None, timeout: float) -> Completed:
        self.stdin = stdin
        return self.completed


@pytest.mark.parametrize(
    ("rc", "kind", "told"),
    [
        (44, BadInput, "does not run"),
        (45, BadInput, "may not be written.*become"),
        (46, DeadlineExceeded, "may still act"),
        (1, Unreachable, "exit code 1.*broken pipe"),
    ],
)
def test_why_there_is_no_answer(rc: int, kind: type[DomainError], told: str) -> None:
    node = PosixNode("mon", Answering(rc, stderr=b"broken pipe"))
    with pytest.raises(kind, match=told):
        ask(node, Nagios("/run/nagios.cmd", "/var/retention.dat"), ["n1"])


def test_an_answer_that_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nagios, "_STATE_LIMIT", 100)
    with pytest.raises(BadInput, match="more than 100 bytes"):
        ask(PosixNode("mon", Answering(0, STATUS.encode())), Nagios("/c", "/s"), ["n1"])


@given(st.lists(st.integers(1, 900), max_size=60))
def test_pieces_end_with_a_line_and_none_is_longer_than_a_pipe_takes_whole(lengths: list[int]) -> None:
    commands = ["x" * length for length in lengths]
    pieces = list(nagios._chunks(commands))
    assert b"".join(pieces).decode() == "".join(f"{command}\n" for command in commands)
    assert all(piece.endswith(b"\n") and len(piece) <= 4096 for piece in pieces)


@pytest.mark.parametrize("command", ["one\ntwo", "x" * 1001])
def test_what_would_be_another_command_is_refused(command: str) -> None:
    with pytest.raises(BadInput, match="is no command"):
        list(nagios._chunks([command]))


def test_too_many_hosts_for_one_command_line() -> None:
    with pytest.raises(BadInput, match="too many at once"):
        ask(PosixNode("mon", Answering(0)), Nagios("/c", "/s"), ["n" * 1000] * 100)
