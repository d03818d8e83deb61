from __future__ import annotations

from typing import Any

import pytest

from tidegate.outcome import Exit, judge, judge_question
from tidegate.playbook import Said

PLAN = {"plan": {"service": "tradeapi", "nothing_to_do": False}, "msg": "1 node in 1 wave"}
OPENED = {**PLAN, "ansible_facts": {"tidegate_plan": {"deployment": "tradeapi-1"}}}


def end(action: str, result: dict[str, Any], *, ok: bool = True) -> Said:
    return Said("end", action=action, host="localhost", ok=ok, result=result)


def failed_plan(reason: str) -> Said:
    return end("plan", {"msg": f"because {reason}", "reason": reason}, ok=False)


WAVE = end("deployment", {"outcome": "begun", "msg": "wave 1 begins"})


@pytest.mark.parametrize(
    ("said", "rc", "code", "outcome"),
    [
        ([end("plan", OPENED), WAVE, end("deployment", {"outcome": "closed", "msg": "is at 1.1.0"})], 0, 0, "done"),
        ([end("plan", OPENED), WAVE, end("deployment", {"outcome": "left", "msg": "n3 is out"})], 0, 0, "done"),
        ([end("plan", OPENED)], 0, 1, "cut_off"),
        ([end("plan", PLAN)], 0, 1, "fault"),
        ([], 0, 1, "fault"),
        ([end("plan", {"msg": "internal error: KeyError"}, ok=False)], 2, 1, "fault"),
        ([end("plan", {"plan": {"nothing_to_do": True}, "msg": "nothing"})], 0, 0, "nothing_to_do"),
        ([end("plan", OPENED), end("deployment", {"outcome": "held", "msg": "tests"})], 2, 3, "held"),
        ([end("plan", OPENED), end("deployment", {"outcome": "held", "stopped": True})], 2, 130, "stopped"),
        ([end("plan", OPENED), end("deployment", {"msg": "not ours"}, ok=False)], 2, 1, "cut_off"),
        ([end("plan", OPENED), WAVE], 254, 1, "cut_off"),
        ([failed_plan("bad_input")], 2, 2, "bad_input"),
        ([failed_plan("refused")], 2, 4, "refused"),
        ([failed_plan("unreachable")], 2, 4, "refused"),
        ([failed_plan("locked")], 2, 5, "locked"),
        ([failed_plan("stopped")], 2, 130, "interrupted"),
        ([Said("failed", host="localhost", text="Refuse --limit: leave them out")], 2, 4, "refused"),
        ([Said("line", text="ERROR! no such playbook")], 4, 1, "fault"),
        ([], 254, 1, "fault"),
    ],
)
def test_the_last_word_on_the_deployment_decides(said: list[Said], rc: int, code: int, outcome: str) -> None:
    verdict = judge(said, rc)
    assert (verdict.exit, verdict.outcome) == (code, outcome)


def test_a_deployment_that_was_cut_off_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_COMMAND", "1")
    verdict = judge([end("plan", OPENED), WAVE], 254, interrupted=True)
    assert verdict.exit is Exit.INTERRUPTED
    assert "tidegate resume tradeapi" in verdict.message
    assert "tradeapi-1" in verdict.message


def test_a_dry_run_is_planned() -> None:
    assert judge([end("plan", PLAN)], 0, check=True).outcome == "planned"


def test_what_kept_a_deployment_from_being_held_is_told() -> None:
    failed = end("deployment", {"msg": "the ledger can't be written"}, ok=False)
    assert judge([end("plan", OPENED), failed], 2).message.startswith("the ledger can't be written\n")


def test_an_interrupt_before_anything_was_done_is_no_fault() -> None:
    assert judge([], 254, interrupted=True).exit is Exit.INTERRUPTED


def test_stopping_too_late_is_done() -> None:
    closed = end("deployment", {"outcome": "closed", "msg": "is at 1.1.0"})
    assert judge([end("plan", OPENED), closed], 0, interrupted=True).exit is Exit.DONE


def test_a_fault_shows_what_ansible_printed() -> None:
    lines = [Said("line", text=f"line {number}") for number in range(100)]
    message = judge_question(lines, 4).message
    assert "exit code 4" in message
    assert "line 99" in message
    assert "line 5\n" not in message


def test_a_question_that_was_answered_is_done() -> None:
    assert judge_question([end("service_info", {"services": {}})], 0).exit is Exit.DONE
