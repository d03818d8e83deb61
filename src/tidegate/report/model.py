"""What a report says, as typed values: made from the deployment's events, its plan and what its folder has."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.hold import why_held
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.ledger import (
    Anchor,
    Deployment,
    Entry,
    Kind,
    State,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.summary import summarise
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.revision import with_configuration
from tidegate.report.customers import Customers, what_customers_felt
from tidegate.report.findings import AllTests, PuppetRun
from tidegate.report.findings import failing as failing_tests
from tidegate.report.spells import BAD, Attempt, attempts

# Of everything no more than this is listed: the ledger and the folder have the rest.
MAX_ROWS = 400
MAX_NAMED = 12
GATES = (Step.RELEASE, Step.HEALTH, Step.NUNIT, Step.WARMUP, Step.OBSERVE)
_WAY_ON = re.compile(r"([A-Z][a-z ]{1,30}): (\S.*)")
_TITLES = {
    "open": "Under way",
    "done": "Done",
    "rolled_back": "Rolled back",
    "held": "Held",
    "stopped": "Stopped",
    "superseded": "Superseded",
    "held_before": "Held, then superseded",
}
_WHAT = {
    "wave": "beginning the wave",
    "freeze": "freezing Puppet",
    "leave": "leaving the online pool",
    "pin": "the pin",
    "puppet": "the Puppet run",
    "reboot": "the reboot",
    "release": "reading the served release",
    "health": "the health check",
    "nunit": "the NUnit tests",
    "warmup": "the warm-up",
    "join": "joining the online pool",
    "observe": "the observation under load",
    "downtime": "the downtime in Nagios",
    "settle": "settling the pins",
    "raise": "raising the common version",
}
_HOW = {"failed": "failed", "refused": "was refused", "unreachable": "could not be reached", "stopped": "was stopped"}


@dataclass(frozen=True, slots=True)
class Way:
    """A line of what to do next: a sentence, or a label with a command."""

    text: str
    command: str = ""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why it did not go on: one sentence at a glance, the tests that failed, and the message in full."""

    sentence: str
    tests: tuple[str, ...] = ()
    more_tests: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class Gate:
    """What a node had to pass, by step; empty where a step was not asked for or not reached."""

    node: str
    service: str
    attempt: int
    outcomes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Stopper:
    """An event that went wrong."""

    at: str
    attempt: int
    what: str
    nodes: tuple[str, ...]
    outcome: str
    message: str


@dataclass(frozen=True, slots=True)
class Report:
    """All that the page shows."""

    deployment: Deployment
    title: str
    state: str
    headline: str
    cause: Cause | None
    standing: str
    ways_on: tuple[Way, ...]
    customers: Customers | None
    nodes: Sequence[Mapping[str, Any]]
    waves: Sequence[Mapping[str, Any]]
    attempts: Sequence[Attempt]
    gates: Sequence[Gate]
    stoppers: Sequence[Stopper]
    tests: AllTests
    puppet: Sequence[PuppetRun]
    capacity: Sequence[Mapping[str, Any]]
    ended_at: str
    took_s: float | None
    anchor: Anchor
    anchored_at: str
    events: int


def make(
    deployment: Deployment,
    entries: Sequence[Entry],
    plan: Mapping[str, Any],
    *,
    ways_on: Sequence[str] = (),
    tests: AllTests | None = None,
    puppet: Sequence[PuppetRun] = (),
) -> Report:
    """The report of a deployment. `entries`: all of it that the ledger has; `plan`: that of its last attempt."""
    events = [entry.event for entry in entries]
    summary = summarise(deployment, events, plan, ways_on)
    tests = tests or AllTests()
    told = _planned(plan)
    waves = {node["name"]: int(node["wave"]) for node in summary["nodes"] if node["wave"]}
    standing = {str(node.get("name")): str(node.get("standing")) for node in _dicts(told.get("nodes"))}
    tracks = attempts(events, deployment.nodes, standing, waves)
    state = str(summary["outcome"])
    balancers = _load_balancers(plan)
    through_haproxy = bool(balancers) or not plan.get("waves")
    return Report(
        deployment=deployment,
        title=_title(deployment),
        state=state,
        headline=_TITLES["held_before"] if state == "superseded" and summary["cause"] else _TITLES.get(state, state),
        cause=_cause(deployment, events, summary) if summary["cause"] else None,
        standing=_standing(deployment, summary, tracks),
        ways_on=tuple(_way(line) for line in summary["next"] if line),
        customers=(
            what_customers_felt(events, balancers, under_way=deployment.state is State.OPEN)
            if through_haproxy
            else None
        ),
        nodes=summary["nodes"],
        waves=summary["waves"],
        attempts=tracks,
        gates=_gates(events),
        stoppers=_stoppers(events),
        tests=tests,
        puppet=puppet,
        capacity=_dicts(told.get("capacity")),
        ended_at=str(summary["ended_at"]),
        took_s=round(sum(attempt.span for attempt in tracks), 1) if tracks else None,
        anchor=entries[-1].anchor if entries else (0, ""),
        anchored_at=entries[-1].event.at if entries else "",
        events=len(entries),
    )


def _title(deployment: Deployment) -> str:
    release = with_configuration(deployment.version, deployment.revision)
    if deployment.kind is Kind.HAND:
        return f"{deployment.service} in {deployment.environment}, by hand"
    what = f"{deployment.service} {release} in {deployment.environment}"
    return f"{what}, rollback" if deployment.kind is Kind.ROLLBACK else what


def _planned(plan: Mapping[str, Any]) -> Mapping[str, Any]:
    told = plan.get("plan")
    return told if isinstance(told, Mapping) else {}


def _dicts(value: Any) -> list[Mapping[str, Any]]:  # noqa: ANN401 (JSON)
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _load_balancers(plan: Mapping[str, Any]) -> list[str]:
    named = (str(name) for wave in _dicts(plan.get("waves")) for name in wave.get("load_balancers") or ())
    return list(dict.fromkeys(named))


def _way(line: str) -> Way:
    match = _WAY_ON.fullmatch(line)
    return Way(match[1], match[2]) if match else Way(line)


def _cause(deployment: Deployment, events: Sequence[Event], summary: Mapping[str, Any]) -> Cause:
    why = why_held(events, deployment.attempt)
    bad = [
        event
        for event in events
        if event.attempt == deployment.attempt and event.outcome in BAD and _step(event) == why.step
    ]
    if not bad:
        return Cause("", message=str(summary["cause"]))
    nodes = list(dict.fromkeys(node for event in bad for node in event.nodes))
    waves = sorted({event.wave for event in bad if event.wave})
    wave = f" (wave {waves[0]})" if waves else ""
    what, how = _what(why.step), _HOW.get(str(bad[0].outcome), str(bad[0].outcome))
    if why.step == Step.NUNIT and bad[0].outcome is Outcome.FAILED:
        how = "did not pass"
    on = f" on {_named(nodes)}" if nodes else ""
    failing = list(dict.fromkeys(name for event in bad for name, _message in failing_tests(event)))
    return Cause(
        f"{what[:1].upper()}{what[1:]} {how}{on}{wave}.",
        tuple(failing[:3]),
        max(0, len(failing) - 3),
        str(summary["cause"]),
    )


def _what(step: str) -> str:
    return _WHAT.get(step, step.replace("_", " "))


def _step(event: Event) -> str:
    return str(event.details.get("of") or event.step)


def _named(names: Sequence[str]) -> str:
    shown = list(names[:MAX_NAMED])
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(shown) + more


def _standing(deployment: Deployment, summary: Mapping[str, Any], tracks: Sequence[Attempt]) -> str:
    """Where the nodes are, in a sentence."""
    held = [str(node["name"]) for node in summary["nodes"] if node["state"] == "held"]
    joined = [str(node["name"]) for node in summary["nodes"] if node["state"] == "joined"]
    last = {track.node: track.last for track in tracks[-1].tracks} if tracks else {}
    out = [node for node in held if node in last and not last[node].reached and not last[node].between]
    between = [node for node in held if node in last and last[node].between]
    online = [node for node in held if node in last and last[node].reached]
    told = []
    if out and deployment.state.final:
        was = "was" if len(out) == 1 else "were"
        told.append(f"{_named(out)} {was} in the maintenance pool then, where customers don't come.")
    elif out:
        stays = "stays" if len(out) == 1 else "stay"
        told.append(f"{_named(out)} {stays} in the maintenance pool, where customers don't come.")
    if between:
        was = "was on its" if len(between) == 1 else "were on their"
        told.append(f"{_named(between)} {was} way from one pool to the other: nothing recorded how far that came.")
    if online:
        told.append(f"Of the held wave, customers still reach {_named(online)}.")
    if joined and deployment.kind is not Kind.HAND:
        serve = "serves" if len(joined) == 1 else "serve"
        serve = "joined with" if deployment.state is State.SUPERSEDED else serve
        told.append(f"{_named(joined)} {serve} {with_configuration(deployment.version, deployment.revision)}.")
    skipped = [node for node in summary["nodes"] if node["state"] == "skipped"]
    if skipped:
        told.append(f"{_named([str(node['name']) for node in skipped])} left as found.")
    return " ".join(told)


def _gates(events: Sequence[Event]) -> list[Gate]:
    """What each node's gates said, in the order of waves; the last word of each attempt."""
    found: dict[tuple[int, str, str], dict[str, str]] = {}
    for event in events:
        if event.step in GATES and event.outcome is not Outcome.STARTED:
            for node in event.nodes:
                found.setdefault((event.attempt, node, event.service), {})[str(event.step)] = str(event.outcome)
    return [Gate(node, service, attempt, outcomes) for (attempt, node, service), outcomes in found.items()]


def _stoppers(events: Sequence[Event]) -> list[Stopper]:
    return [
        Stopper(
            event.at,
            event.attempt,
            _what(_step(event)),
            event.nodes,
            str(event.outcome),
            str(event.details.get("msg") or event.outcome),
        )
        for event in events
        if event.outcome in BAD or (event.step is Step.LOCK and event.outcome is Outcome.CHANGED)
    ]
