# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What callbacks have in common that have events shipped. Nothing in them may hold up or end a play."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from ansible.plugins.callback import CallbackBase

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import printable
from ansible_collections.tidegate.delivery.plugins.plugin_utils.shipping.ledgers_in_use import ledgers_in_use
from ansible_collections.tidegate.delivery.plugins.plugin_utils.shipping.shipping import shipping

try:
    from tidegate.shipping.options import require_drain
    from tidegate.shipping.spool import require_folder
    from tidegate.shipping.status import problems
except ImportError as error:
    PIPELINE_MISSING: str = str(error)
else:
    PIPELINE_MISSING = ""


class ShippingCallback(CallbackBase):  # type: ignore[misc]  # ansible-core ships no type information
    """Tells the one shipper of this process what to ship, and whose ledgers there are."""

    # As a warning names it.
    DESTINATION: ClassVar[str] = ""

    def __init__(self) -> None:
        super().__init__()
        self._sinks: Sequence[Mapping[str, Any]] = ()
        self._ships = False

    def start_shipping(self, sinks: Callable[[], Sequence[Mapping[str, Any]]]) -> bool:
        """Have it ship to these. With wrong options the play goes on, unshipped, with a warning."""
        if not self.get_option("ship"):
            self.disabled = True
            return False
        if PIPELINE_MISSING:
            return self._disable(f"the pipeline isn't installed here ({PIPELINE_MISSING}): pip install tidegate")
        try:
            self._sinks = sinks()
            require_folder(Path(str(self.get_option("spool"))))
            require_drain(float(self.get_option("drain")))
        except DomainError as error:
            return self._disable(str(error))
        return self._tell_sinks()

    def v2_playbook_on_start(self, playbook: Any) -> None:  # noqa: ANN401, ARG002
        """The next one of several: the end of the one before ended the shipping."""
        if not self._ships and not self.disabled:
            self._tell_sinks()

    def _tell_sinks(self) -> bool:
        for sink in self._sinks:
            shipping().add_sink(sink, str(self.get_option("spool")), float(self.get_option("drain")))
        if shipping().problem:
            return self._disable(f"the shipper can't be started: {shipping().problem}")
        shipping().enter()
        self._ships = True
        return True

    def v2_playbook_on_play_start(self, play: Any) -> None:  # noqa: ANN401
        """Which ledgers the play works with."""
        with contextlib.suppress(Exception):  # an inventory that is broken is told by whoever needs it
            for url, environment in ledgers_in_use(play):
                shipping().add_ledger(url, environment)

    def v2_playbook_on_stats(self, stats: Any) -> None:  # noqa: ANN401, ARG002
        """The end: what is in trouble is told."""
        if self.disabled:
            return
        names = [str(sink["sink"]) for sink in self._sinks]
        for problem in problems(Path(str(self.get_option("spool"))), names, shipping().pid):
            self.warn(f"{problem}; tidegate events flush tells more, and ships what can be")
        if ended := shipping().ended():
            told = f"the process that ships to {self.DESTINATION} ended {ended} while the playbook ran"
            self.warn(f"{told}. The events are kept; tidegate events flush tells more, and ships what can be")
        shipping().leave()
        self._ships = False

    def warn(self, text: str) -> None:
        """Tell it as Ansible's warnings are."""
        told: Callable[[str], None] = self._display.warning
        told(printable(text))

    def _disable(self, why: str) -> bool:
        self.disabled = True
        self.warn(f"Nothing is shipped to {self.DESTINATION}: {why}")
        return False
