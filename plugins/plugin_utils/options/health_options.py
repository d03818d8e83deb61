# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of tidegate.delivery.health_check as what is asked and expected."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.health.check import MOST_CHECKS, Pace
from ansible_collections.tidegate.delivery.plugins.module_utils.health.components import Components
from ansible_collections.tidegate.delivery.plugins.module_utils.health.expectation import (
    Clock,
    Expectation,
    Expected,
    StartedAfter,
    epoch,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.health.http_answer import Answer, Target, ask, target
from ansible_collections.tidegate.delivery.plugins.module_utils.health.nagios_plugin import State, parse_range
from ansible_collections.tidegate.delivery.plugins.module_utils.health.node_checks import (
    CommandCheck,
    NodeCheck,
    PluginCheck,
    ProcessCheck,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.health.probes import (
    CommandsProbe,
    Probe,
    all_of,
    between,
    http_probe,
    tcp_probe,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.health.service_state import ServiceCheck
from ansible_collections.tidegate.delivery.plugins.module_utils.health.tcp_answer import TcpQuestion
from ansible_collections.tidegate.delivery.plugins.module_utils.health.warmup import WarmupPlan
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import LocalShell, PosixNode
from ansible_collections.tidegate.delivery.plugins.module_utils.node.process_start import FoundBy, ProcessQuestion
from ansible_collections.tidegate.delivery.plugins.module_utils.stopping import Stopping
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.services import ServiceState
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.health_facts import SINCE_DEPLOYMENT
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.options import seconds

if TYPE_CHECKING:
    from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.call import Call

_KINDS = ("http", "tcp", "command", "nagios", "service", "process")
_WHILE = "while health was checked"
# A plugin on the controller gets nothing of what Ansible's own environment holds: there may be secrets in it.
_PLUGIN_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8"}


def pace_of(args: Mapping[str, Any]) -> Pace:
    """How often and how long is asked. Raises BadInput."""
    if not 1 <= args["in_a_row"] <= 1000:
        raise BadInput(f"in_a_row is {args['in_a_row']}", where="in_a_row", remedy="Give a number from 1 to 1000")
    durations = {key: seconds(args, key) for key in ("interval", "timeout", "request_timeout")}
    for key in ("timeout", "request_timeout"):
        if not durations[key]:
            raise BadInput("nothing can be answered in no time", where=key, remedy="Write it like 500ms, 5s or 2m")
    return Pace(in_a_row=args["in_a_row"], **durations)


def warmup_of(args: Mapping[str, Any]) -> WarmupPlan | None:
    """The warm-up, if one is asked for. Raises BadInput."""
    option = args.get("warmup")
    if not option:
        return None
    return WarmupPlan(
        targets=tuple(_target(args, urljoin(args["url"], url)) for url in option["urls"]),
        until={measure: seconds(args, f"warmup.until.{measure}") for measure in option["until"]},
        batch=option["batch"],
        concurrency=option["concurrency"],
        timeout=seconds(args, "warmup.timeout"),
        request_timeout=max(10.0, seconds(args, "request_timeout")),
    )


def asking(stopping: Stopping, where: str) -> Callable[[Target, float], Answer]:
    """Asking that ends when somebody asks to stop."""
    return partial(ask, look=lambda: stopping.look(where))


def needs_node(args: Mapping[str, Any]) -> bool:
    """Whether anything is run on the node."""
    return any(_on_node(check) for check in args["checks"])


def read_ahead(call: Call) -> None:
    """Read what the checks of several nodes need once, before threads begin."""
    options = [call.args.get("started"), *(check.get("process") for check in call.args["checks"])]
    if call.deployment_id and any(option and option.get("after") == SINCE_DEPLOYMENT for option in options):
        _ = call.ledger.puppet_began


def probe_of(call: Call) -> Probe:
    """One round of everything that is asked. Raises BadInput, which names the check."""
    args = call.args
    first = (
        http_probe(_target(args, args["url"]), _expectation(call), asking(call.stopping, _WHILE))
        if args.get("url")
        else None
    )
    return all_of(first, _others(call))


def _others(call: Call) -> dict[str, Probe]:
    checks = {check["name"]: check for check in call.args["checks"]}
    if len(checks) != len(call.args["checks"]) or len(checks) > MOST_CHECKS:
        raise BadInput(
            f"there are {len(call.args['checks'])} checks of {len(checks)} names",
            where="checks",
            remedy=f"Give at most {MOST_CHECKS}, each with a name of its own",
        )
    on_node: dict[str, NodeCheck] = {}
    found: dict[str, Probe] = {}
    for name, check in checks.items():
        try:
            kind = _kind(check)
            if _on_node(check):
                on_node[name] = _command(call, kind, check[kind])
            else:
                found[name] = _alone(call, kind, check[kind])
        except BadInput as error:
            raise BadInput(error.message, where=f"checks.{name}: {error.where}", remedy=error.remedy) from None
    if on_node:
        # Their names stand in what differs already.
        found[""] = CommandsProbe(call.nodes(call.covered)[call.covered[0]], on_node, call.stopping)
    return found


def _kind(check: Mapping[str, Any]) -> str:
    kinds = [kind for kind in _KINDS if check.get(kind)]
    if len(kinds) != 1:
        raise BadInput(
            f"it is {' and '.join(kinds) or 'of no kind'}", where="kind", remedy=f"Give one of {', '.join(_KINDS)}"
        )
    return kinds[0]


def _on_node(check: Mapping[str, Any]) -> bool:
    nagios = check.get("nagios")
    own = check.get("command") or check.get("service") or check.get("process")
    return bool(own or (nagios and nagios["run_on"] == "node"))


def _alone(call: Call, kind: str, option: Mapping[str, Any]) -> Probe:
    if kind == "tcp":
        send, expect = option.get("send") or "", option.get("expect") or ""
        question = TcpQuestion(option["address"], option["port"], send.encode(), expect.encode())
        return tcp_probe(question, call.stopping)
    asker = asking(call.stopping, _WHILE)
    aim = option.get("aim")
    if kind == "http":
        expectation = Expectation(
            status=tuple(option["status"]),
            values=_values(option),
            components=_components(option),
            served_by=(aim["served_by"], call.covered[0]) if aim else None,
        )
        return http_probe(_aimed(call, option["url"], aim), expectation, asker)
    machine = PosixNode("the controller", LocalShell(_PLUGIN_ENVIRONMENT))
    plugin = CommandsProbe(machine, {"": _command(call, kind, option)}, call.stopping)
    if bool(aim) != bool(option.get("url")):
        raise BadInput("it has one of url and aim", where="nagios", remedy="Give both, or none")
    if not aim:
        return plugin
    # Whoever answers with whatever status: only who it is counts here.
    who = Expectation(status=tuple(range(100, 600)), served_by=(aim["served_by"], call.covered[0]))
    return between(http_probe(_aimed(call, option["url"], aim), who, asker), plugin)


def _command(call: Call, kind: str, option: Mapping[str, Any]) -> NodeCheck:
    if kind == "command":
        return CommandCheck(tuple(option["argv"]), tuple(option["exit_codes"]), _pattern(option.get("output")))
    if kind == "nagios":
        if (option.get("aim") or option.get("url")) and option["run_on"] == "node":
            raise BadInput(
                "a plugin on the node does not go through the front end",
                where="nagios.run_on",
                remedy="Give run_on: controller, or take url and aim away",
            )
        limits = {str(label): parse_range(str(limit)) for label, limit in (option.get("perfdata") or {}).items()}
        return PluginCheck(tuple(option["argv"]), tuple(State(state) for state in option["accept"]), limits)
    if kind == "service":
        return ServiceCheck(option["name"], tuple(ServiceState[state.upper()] for state in option["accept"]))
    by = [each for each in FoundBy if option.get(each.value) is not None]
    if len(by) != 1:
        raise BadInput("it names not one process", where="process", remedy="Give one of unit, pid_file and port")
    question = ProcessQuestion(by[0], str(option[by[0].value]), option.get("address") or "")
    moment = _moment(call, option["after"], "process.after") if option.get("after") else None
    return ProcessCheck(question, moment[0] if moment else None)


def _pattern(text: str | None) -> re.Pattern[str] | None:
    try:
        return re.compile(text) if text else None
    except re.error as error:
        raise BadInput(f"it is no regular expression: {error}", where="command.output", remedy="Correct it") from None


def _target(args: Mapping[str, Any], url: str, headers: Mapping[str, str] | None = None) -> Target:
    given = {str(name): str(value) for name, value in args["headers"].items()}
    return target(url, {**given, **(headers or {})}, ca_file=args.get("ca_file"), validate_certs=args["validate_certs"])


def _aimed(call: Call, url: str, aim: Mapping[str, Any] | None) -> Target:
    return _target(call.args, url, {aim["header"]: call.covered[0]} if aim else None)


def _expectation(call: Call) -> Expectation:
    args = call.args
    return Expectation(
        status=tuple(args["status"]),
        version=_expected(args.get("version")),
        digest=_expected(args.get("digest")),
        started=_started(call, args.get("started")),
        values=_values(args),
        components=_components(args),
        pid_path=args["pid"],
    )


def _values(option: Mapping[str, Any]) -> tuple[Expected, ...]:
    return tuple(Expected(each["path"], each["value"]) for each in option["expect"])


def _components(option: Mapping[str, Any]) -> Components | None:
    given = option.get("components")
    return Components(given["path"], tuple(given["accept"]), tuple(given["required"])) if given else None


def _expected(option: Mapping[str, Any] | None) -> Expected | None:
    return Expected(option["path"], option["value"]) if option else None


def _started(call: Call, option: Mapping[str, Any] | None) -> StartedAfter | None:
    moment = _moment(call, option["after"], "started.after") if option else None
    return StartedAfter(option["path"], *moment) if option and moment else None


def _moment(call: Call, text: str, where: str) -> tuple[float, Clock] | None:
    """A Unix time, and by whose clock it is. `deployment`: since Puppet first ran on the node for the deployment.

    None where that changed nothing, or did not run: nothing had to be started anew.
    """
    try:
        if text != SINCE_DEPLOYMENT:
            return epoch(text), Clock.NODE
        if call.deployment_id:
            began = call.ledger.puppet_began.get(call.covered[0])
            return None if began is None else (epoch(began), Clock.CONTROLLER)
    except ValueError as error:
        raise BadInput(str(error), where=where, remedy="Give an ISO 8601 time or a Unix time") from None
    raise BadInput("there is no deployment since which", where=where, remedy="Give deployment, or a time")
