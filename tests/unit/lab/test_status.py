from __future__ import annotations

from lab.status import LabReport, UnitReport, table

GOOD = UnitReport("n1-sshd", "n1", "running", 17, True, "/log")
BAD = UnitReport("lb1-haproxy", "lb1", "down", None, False, "/log")


def test_the_table_lines_up_and_ends_with_the_verdict() -> None:
    lines = table(LabReport("127.1", "/s", [GOOD, BAD], ["lb1-haproxy is down"])).splitlines()
    assert lines == [
        "UNIT         HOST  STATE    PID",
        "n1-sshd      n1    running  17",
        "lb1-haproxy  lb1   down     -",
        "",
        "lab /s (network 127.1) is not up: lb1-haproxy is down",
    ]


def test_many_problems_are_counted() -> None:
    text = table(LabReport("127.1", "/s", [GOOD], [f"u{number} is down" for number in range(5)]))
    assert text.endswith("is not up: u0 is down; u1 is down; u2 is down and 2 more")


def test_json_says_whether_it_is_up() -> None:
    report = LabReport("127.1", "/s", [GOOD], [])
    assert report.is_up
    assert report.as_json()["up"] is True
    assert report.as_json()["units"][0]["pid"] == 17
    assert LabReport("127.1", "/s", [BAD], ["x"]).as_json()["up"] is False
