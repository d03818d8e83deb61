"""How a run ended, judged by what Tidegate's own actions said; the exit codes and what they mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils import advice
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from tidegate.playbook import Said


class Exit(IntEnum):
    """The command's exit codes, as docs/the-command.md promises them."""

    DONE = 0
    FAULT = 1
    USAGE = 2
    HELD = 3
    REFUSED = 4
    LOCKED = 5
    DRIFT = 6
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Verdict:
    """Exit code, its name for `--json`, and the sentence for people."""

    exit: Exit
    outcome: str
    message: str


# Ansible says that all is well, and none of our actions said how it ended.
_NO_LAST_WORD = -1
_BY_REASON = {"bad_input": Exit.USAGE, "locked": Exit.LOCKED, "stopped": Exit.INTERRUPTED}
_NAMES = {Exit.USAGE: "bad_input", Exit.LOCKED: "locked", Exit.INTERRUPTED: "interrupted", Exit.REFUSED: "refused"}


def judge(said: Sequence[Said], rc: int, *, interrupted: bool = False, check: bool = False) -> Verdict:
    """The verdict on a playbook that moves nodes: what the last word on its deployment was, then its plan's.

    Done is only what said so itself: an exit code of 0 alone proves nothing.
    """
    ends = [each for each in said if each.kind == "end"]
    for end in reversed(ends):
        outcome = str(end.result.get("outcome", ""))
        if end.action == "deployment" and end.ok and outcome in ("held", "closed", "left"):
            return _closed(end.result) if outcome != "held" else _held(end.result)
    plan = next((end for end in reversed(ends) if end.action == "plan"), None)
    if plan is not None and plan.ok and rc == 0 and not _opened(plan.result):
        idle = plan.result.get("plan", {}).get("nothing_to_do", True)
        if idle or check:
            return Verdict(Exit.DONE, "nothing_to_do" if idle else "planned", _message(plan.result))
    if plan is not None and plan.ok and _opened(plan.result):
        return _cut_off(plan.result, _last_failure(ends), interrupted)
    return judge_question(said, rc or _NO_LAST_WORD, interrupted=interrupted)


def judge_question(said: Sequence[Said], rc: int, *, interrupted: bool = False) -> Verdict:
    """The verdict on a playbook that only asks: status, pools, history, validate."""
    if rc == 0:
        return Verdict(Exit.DONE, "done", "")
    if interrupted:
        return Verdict(Exit.INTERRUPTED, "interrupted", "Stopped before anything was done.")
    for each in said:
        if each.kind == "end" and not each.ok:
            return _refused(each.result)
    failed = next((each.text for each in said if each.kind == "failed"), "")
    if failed:
        return Verdict(Exit.REFUSED, "refused", failed)
    lines = [each.text for each in said if each.kind == "line" and each.text.strip()]
    told = "\n".join(lines[-20:]) or "it said nothing"
    return Verdict(Exit.FAULT, "fault", f"ansible-playbook ended with exit code {rc}:\n{told}")


def verdict_on(error: DomainError) -> Verdict:
    """The verdict on what the command itself could not do."""
    return _refused({"reason": error.reason, "msg": str(error)})


def _refused(result: Mapping[str, Any]) -> Verdict:
    reason = str(result.get("reason") or "")
    if not reason:  # an exception, and nothing that a user can cause
        return Verdict(Exit.FAULT, "fault", _message(result))
    exit_code = _BY_REASON.get(reason, Exit.REFUSED)
    return Verdict(exit_code, _NAMES[exit_code], _message(result))


def _last_failure(ends: Sequence[Said]) -> str:
    """The message of the last step that failed, when nothing after it went well."""
    return _message(ends[-1].result) if ends and not ends[-1].ok else ""


def _opened(plan: Mapping[str, Any]) -> str:
    facts = plan.get("ansible_facts", {}).get("tidegate_plan", {})
    return str(facts.get("deployment", ""))


def _closed(result: Mapping[str, Any]) -> Verdict:
    return Verdict(Exit.DONE, "done", _message(result))


def _held(result: Mapping[str, Any]) -> Verdict:
    if result.get("stopped"):
        return Verdict(Exit.INTERRUPTED, "stopped", _message(result))
    return Verdict(Exit.HELD, "held", _message(result))


def _cut_off(plan: Mapping[str, Any], cause: str, interrupted: bool) -> Verdict:
    """The playbook ended without a last word: a second signal, or somebody killed it."""
    service = plan.get("plan", {}).get("service") or "SERVICE"
    told = (f"{cause}\n" if cause else "") + (
        f"Deployment {_opened(plan)} was cut off; its wave is where it was at that moment, and what runs on a node "
        f"runs on.\nGo on: {advice.resume(service)}\nOr go back: {advice.rollback(service)}"
    )
    return Verdict(Exit.INTERRUPTED if interrupted else Exit.FAULT, "cut_off", told)


def _message(result: Mapping[str, Any]) -> str:
    return str(result.get("msg", ""))
