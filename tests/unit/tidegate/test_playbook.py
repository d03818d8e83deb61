from __future__ import annotations

import json

from tidegate.playbook import Playbook, Said, last, read_line


def test_our_own_variables_win_because_they_come_last() -> None:
    playbook = Playbook("deploy", ("inv/a", "inv/b"), {"service": "x"}, check=True, arguments=("-e", "service=y"))
    assert playbook.argv == [
        *("-i", "inv/a", "-i", "inv/b", "--forks", "50", "--check", "-e", "service=y"),
        *("-e", '{"service": "x"}', "tidegate.delivery.deploy"),
    ]


def test_a_step_is_read_from_its_line() -> None:
    line = json.dumps(
        {"say": "end", "action": "nunit", "host": "n1", "once": False, "options": {}, "ok": False, "result": {"a": 1}}
    )
    assert read_line(line) == Said("end", "nunit", "n1", ok=False, result={"a": 1})


def test_another_tasks_failure_is_told_with_its_name() -> None:
    said = read_line('{"say": "failed", "host": "localhost", "task": "Refuse --limit", "msg": "leave them out"}')
    assert (said.kind, said.host, said.text) == ("failed", "localhost", "Refuse --limit: leave them out")


def test_what_is_not_ours_is_text() -> None:
    for line in ("[WARNING]: deprecated", '{"say": broken', '{"say": "end", "unknown": 1}', '{"other": 1}', ""):
        assert read_line(line) == Said("line", text=line)


def test_the_last_end_counts() -> None:
    said = [Said("end", "plan", result={"n": 1}), Said("start", "plan"), Said("end", "plan", result={"n": 2})]
    found = last(said, "plan")
    assert found is not None
    assert found.result == {"n": 2}
    assert last(said, "nunit") is None
