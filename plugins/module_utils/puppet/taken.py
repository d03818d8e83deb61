# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Puppet's code on the node went on with, as Tidegate's Puppet module tells it in the report, and what it should.

The module (puppet/) names schedules, which do nothing: `tidegate environment NAME`, `tidegate ledger URL`,
`tidegate took SERVICE KEY VALUE`, and `tidegate opened KEY` or `tidegate closed KEY`. A node without it tells nothing,
and nothing is compared.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.judge import Verdict
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.outcome import PuppetOutcome
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.result import Result

_PASSWORD = re.compile(r"(://[^/@:]*):[^/@]*@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a deployment's run should have gone on with.

    `pinned`: by key, what the node is pinned to. `opened`: the keys under which it opened the service on the node.
    """

    service: str
    pinned: Mapping[str, str]
    opened: Collection[str]
    environment: str
    ledger: str


def compared(result: Result, expected: Expected) -> Result:
    """The result; of a good run that went on with something else, the one that says so."""
    if not result.outcome.ok or result.report is None:
        return result
    verdict = next(_differences(result.report.told, expected), None)
    return replace(result, verdict=verdict) if verdict else result


def _differences(told: Sequence[str], expected: Expected) -> Iterator[Verdict]:
    wanted = {"environment": expected.environment, "ledger": _PASSWORD.sub(r"\1@", expected.ledger)}
    for line in told:
        name, _, value = line.partition(" ")
        if name in wanted and _PASSWORD.sub(r"\1@", value) != wanted[name]:
            shown = _PASSWORD.sub(r"\1@", value)
            yield Verdict(PuppetOutcome.WRONG_TARGET, f"its {name} is {shown} there, and {wanted[name]} here")
    yield from _left_closed(told, expected)
    took = _took(told, expected.service)
    for key, value in expected.pinned.items() if took else ():
        if key not in took:
            detail = f"the code of {expected.service} takes no {key} (it takes {', '.join(took)})"
            yield Verdict(PuppetOutcome.PIN_NOT_TAKEN, detail)
        elif took[key] != str(value):
            yield Verdict(PuppetOutcome.PIN_NOT_TAKEN, f"{key} is {took[key]} in the catalog, and pinned is {value}")


def _left_closed(told: Sequence[str], expected: Expected) -> Iterator[Verdict]:
    """A release that is a configuration alone shows in nothing else than this."""
    found = {key: word for word, _, key in (line.partition(" ") for line in told) if word in ("opened", "closed")}
    for key in expected.opened if found else ():
        if key not in found:
            detail = f"the code of {expected.service} doesn't ask for {key} (what is asked for: {', '.join(found)})"
            yield Verdict(PuppetOutcome.NOT_OPENED, detail)
        elif found[key] == "closed":
            detail = f"{key} is not in the data of the catalog, though the deployment wrote it"
            yield Verdict(PuppetOutcome.NOT_OPENED, detail)


def _took(told: Sequence[str], service: str) -> dict[str, str]:
    words = [line.split(" ") for line in told]
    return {each[2]: each[3] for each in words if len(each) == 4 and each[:2] == ["took", service]}
