"""Reading HAProxy's answers: captures of 2.6.12, "show stat" without the columns that nothing reads."""

from __future__ import annotations

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy import state as hs

STAT = """\
# pxname,svname,qcur,scur,stot,wretr,status,bck,tracked,type,addr,last_chk,
front,FRONTEND,,4,30,,OPEN,,,0,,,
b_on,n1,0,3,20,2,UP,0,,2,127.0.0.2:8080,"a ""quoted"", text",
b_on,n2,1,0,9,0,MAINT,1,b_m/n2,2,127.0.0.3:8080,,
b_on,BACKEND,7,3,30,2,UP,0,,1,,,"""
HEADER = (
    "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight "
    "srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state "
    "bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr "
    "srv_agent_addr srv_agent_port"
)
STATES = f"""\
1
{HEADER}
3 b_on 1 n1 127.0.0.2 2 4 1 1 20 8 2 0 6 0 0 0 - 8080 - 0 0 - - 0
3 b_on 2 n2 127.0.0.3 0 5 1 1 20 1 0 0 8 22 0 0 - 8080 - 0 0 - - 99"""
PROC = """\
#<PID>          <type>          <reloads>       <uptime>        <version>
9388            master          1 [failed: 2]   0d00h06m09s     2.6.12-1+deb12u4
# workers
1842            worker          0               0d00h00m01s     2.6.12-1+deb12u4
# old workers
1700            worker          1               0d00h05m01s     2.6.12-1+deb12u4
# programs
"""


def rows() -> dict[tuple[str, str], hs.ServerRow]:
    return hs.server_rows("lb1", hs.parse_stat("lb1", STAT), hs.parse_servers_state("lb1", STATES))


def test_both_tables_make_one_row_a_server() -> None:
    first, second = rows().values()
    assert (first.key, first.status, first.op, first.sessions, first.begun) == (("b_on", "n1"), "UP", 2, 3, 18)
    assert (first.checked, first.agent, first.backup, first.tracks) == (True, False, False, "")
    assert (second.checked, second.agent, second.backup, second.tracks) == (False, True, True, "b_m/n2")


def test_the_bit_of_a_server_disabled_in_the_configuration_has_no_effect() -> None:
    ready, maint = (each.admin for each in rows().values())
    assert ready == 4
    assert not ready.effective
    assert maint.effective == hs.Admin.FORCED_MAINT
    assert maint.names == ["forced_maint", "disabled_in_config"]


def test_checks_that_were_disabled_do_not_count_as_checks() -> None:
    text = STATES.replace("8 2 0 6 0", "8 2 0 2 0")
    read = hs.server_rows("lb1", hs.parse_stat("lb1", STAT), hs.parse_servers_state("lb1", text))
    assert not read["b_on", "n1"].checked


def test_servers_of_a_disabled_backend_are_left_out() -> None:
    """Of which "show stat" has nothing, and "show servers state" all."""
    text = f"{STATES}\n4 retired 1 n1 127.0.0.9 0 5 1 1 20 1 0 0 6 0 0 0 - 8080 - 0 0 - - 0"
    read = hs.server_rows("lb1", hs.parse_stat("lb1", STAT), hs.parse_servers_state("lb1", text))
    assert read == rows()


@pytest.mark.parametrize("end", ["\v", "\f", "\x1c", "\x1e", "\x85", "\u2028"])
def test_an_applications_own_words_may_hold_any_end_of_a_line(end: str) -> None:
    read = hs.parse_stat("lb1", STAT.replace("text", f"te{end}xt"))
    assert [row["svname"] for row in read] == ["FRONTEND", "n1", "n2", "BACKEND"]
    assert read[1]["last_chk"].endswith(f"te{end}xt")


def test_queues_and_sessions_are_counted_by_their_rows() -> None:
    stat = hs.parse_stat("lb1", STAT)
    assert hs.queue_counts("lb1", stat) == {"b_on": 7}
    assert hs.session_counts("lb1", stat) == {("b_on", "n1"): 3, ("b_on", "n2"): 0}


@pytest.mark.parametrize(("connected", "undecided"), [(4, 1), (3, 0), (1, 0)])
def test_customers_beyond_the_servers_sessions_may_still_go_anywhere(connected: int, undecided: int) -> None:
    stat = hs.parse_stat("lb1", STAT.replace("FRONTEND,,4,", f"FRONTEND,,{connected},"))
    assert hs.undecided_customers("lb1", stat) == undecided


def test_the_master_tells_workers_and_failed_reloads() -> None:
    assert hs.parse_proc("lb1", PROC) == hs.Processes((1842,), (1700,), 2)


def test_info_is_read_as_pairs() -> None:
    info = hs.parse_info("lb1", "Name: HAProxy\nVersion: 2.6.12\nPid: 12\nUptime_sec: 3\ndescription: a: b")
    assert (info["Pid"], info["description"]) == ("12", "a: b")


@pytest.mark.parametrize(
    ("raw", "answers", "rest"),
    [
        ("\n", [""], ""),
        ("\n\n", ["", ""], ""),
        ("No such server.\n\n\n", ["No such server.", ""], ""),
        ("a\nb\n\nc", ["a\nb"], "c"),
        ("a\n", [], "a\n"),
        ("", [], ""),
    ],
)
def test_answers_end_with_an_empty_line(raw: str, answers: list[str], rest: str) -> None:
    assert hs.split_answers(raw) == (answers, rest)


@pytest.mark.parametrize(
    ("stat", "states", "what"),
    [
        ("garbage", STATES, "'show stat' began with 'garbage'"),
        (STAT.replace(",scur", ""), STATES, "no column scur"),
        (STAT + "\nb_on,n3", STATES, "a row of 'show stat' has 2 fields instead of 13"),
        (STAT.replace("n1,0,3", "n1,0,-3"), STATES, "scur is '-3' instead of a number"),
        (STAT.replace("n1,0,3", "n1,0,٣"), STATES, "instead of a number"),
        (STAT.replace("n1,0,3", f"n1,0,{'9' * 5000}"), STATES, "instead of a number"),
        (STAT.replace('"a ""', '"a "'), STATES, "is not CSV"),
        (STAT, "2" + STATES[1:], "'show servers state' began with '2"),
        (STAT, STATES + " more", "has 26 fields instead of 25"),
        (STAT, STATES.replace("127.0.0.3 0 5", "127.0.0.3 0 x"), "srv_admin_state is 'x'"),
        (STAT, STATES.replace(" n2 ", " n9 "), "b_on/n2 is in 'show stat' but not in 'show servers state'"),
        (STAT.replace("MAINT,1,b_m/n2,2", "MAINT,1,,3"), STATES, "b_on/n2 is in 'show servers"),
    ],
)
def test_what_can_not_be_haproxys_answer_names_the_load_balancer(stat: str, states: str, what: str) -> None:
    with pytest.raises(BadInput) as error:
        hs.server_rows("lb7", hs.parse_stat("lb7", stat), hs.parse_servers_state("lb7", states))
    assert what in str(error.value)
    assert "load balancer lb7" in str(error.value)


@pytest.mark.parametrize("text", ["", "Version: 2.6", "Version: 2.6\nPid: x\nUptime_sec: 1", "HTTP/1.1 400"])
def test_an_info_without_what_it_must_have_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="HAProxy's answer can't be read"):
        hs.parse_info("lb1", text)


@pytest.mark.parametrize("text", ["", "Permission denied", PROC.replace("1700 ", "x "), PROC.replace("1700 ", "² ")])
def test_a_process_list_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="show proc"):
        hs.parse_proc("lb1", text)


def test_sessions_of_old_workers_are_added_and_the_silent_ones_named() -> None:
    key = ("b_on", "n1")
    workers = (hs.OldWorker(5, {key: 2}), hs.OldWorker(6, None))
    state = hs.LoadBalancerState("lb1", "2.6", 1, 1, rows(), {}, workers)
    assert state.sessions(key) == 5
    assert state.silent_workers == [6]
    assert state.names("b_on") == ["n1", "n2"]
