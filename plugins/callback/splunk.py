# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has what happens shipped to Splunk, by a process of its own."""

from __future__ import annotations

DOCUMENTATION = r"""
name: splunk
type: notification
short_description: Ship deployments' events and tasks' results to Splunk
version_added: 0.1.0
description:
  - Starts one process beside C(ansible-playbook) that reads the ledger and a spool on disk, and ships what is there to an HTTP Event Collector,
    in batches, with indexer acknowledgement. The play never waits for Splunk, whatever Splunk does, and no answer of it changes anything.
  - The process goes on for O(drain) seconds after the playbook has ended. What is left then stays in the ledger and in the spool. The next
    playbook with this callback ships it, or C(tidegate events flush).
  - An event that was sent twice, after a lost answer for example, carries the same C(id).
  - Of each event of the ledger its own fields are sent. Of a task's result only names, numbers and its status are, never a text of the result,
    an argument, a variable or a difference, with and without C(no_log).
options:
  url:
    description: The collector, C(https://HOST:8088), without a path. Without it nothing is shipped, and a warning says so.
    type: str
    env:
      - name: TIDEGATE_SPLUNK_URL
    ini:
      - section: tidegate_splunk
        key: url
  token_file:
    description: A file with the collector's token alone.
    type: path
    env:
      - name: TIDEGATE_SPLUNK_TOKEN_FILE
    ini:
      - section: tidegate_splunk
        key: token_file
  token:
    description: The token itself, from the environment only. O(token_file) is better - an environment is easily written down by others.
    type: str
    env:
      - name: TIDEGATE_SPLUNK_TOKEN
  index:
    description: The index. When it is left out, the token's own.
    type: str
    default: ""
    env:
      - name: TIDEGATE_SPLUNK_INDEX
    ini:
      - section: tidegate_splunk
        key: index
  source:
    description: The events' source.
    type: str
    default: tidegate
    env:
      - name: TIDEGATE_SPLUNK_SOURCE
    ini:
      - section: tidegate_splunk
        key: source
  sourcetype:
    description: The beginning of the source types. Behind it comes C(:event) (the ledger's), C(:task) (results) or C(:custom) (events of one's own).
    type: str
    default: tidegate
    env:
      - name: TIDEGATE_SPLUNK_SOURCETYPE
    ini:
      - section: tidegate_splunk
        key: sourcetype
  acknowledge:
    description:
      - Whether an event counts as shipped only when the indexers acknowledge it. The token must have indexer acknowledgement turned on.
      - Without it an event counts as shipped when the collector has taken it. A collector that ends then loses it.
    type: bool
    default: true
    env:
      - name: TIDEGATE_SPLUNK_ACKNOWLEDGE
    ini:
      - section: tidegate_splunk
        key: acknowledge
  validate_certs:
    description: Whether the collector's certificate is checked.
    type: bool
    default: true
    env:
      - name: TIDEGATE_SPLUNK_VALIDATE_CERTS
    ini:
      - section: tidegate_splunk
        key: validate_certs
  ca_file:
    description: A file of authorities to check it against, instead of the system's.
    type: path
    env:
      - name: TIDEGATE_SPLUNK_CA_FILE
    ini:
      - section: tidegate_splunk
        key: ca_file
  timeout:
    description: Seconds that one request may wait for an answer.
    type: float
    default: 30.0
    env:
      - name: TIDEGATE_SPLUNK_TIMEOUT
    ini:
      - section: tidegate_splunk
        key: timeout
  acknowledge_timeout:
    description: Seconds after which a batch that was not acknowledged is sent again.
    type: float
    default: 120.0
    env:
      - name: TIDEGATE_SPLUNK_ACKNOWLEDGE_TIMEOUT
    ini:
      - section: tidegate_splunk
        key: acknowledge_timeout
  task_results:
    description:
      - Whether results of tasks are shipped. Those of Tidegate's own roles and playbooks never are - their steps are events of the ledger.
    type: bool
    default: true
    env:
      - name: TIDEGATE_SPLUNK_TASK_RESULTS
    ini:
      - section: tidegate_splunk
        key: task_results
  spool_limit:
    description: Megabytes that the spool may have. Results that don't fit are dropped, and how many is told at the end.
    type: float
    default: 64.0
    env:
      - name: TIDEGATE_SPOOL_LIMIT
    ini:
      - section: tidegate
        key: spool_limit
extends_documentation_fragment:
  - tidegate.delivery.shipping
requirements:
  - enabled in the configuration (C(callbacks_enabled = tidegate.delivery.stop, tidegate.delivery.splunk) in C([defaults]) of C(ansible.cfg))
seealso:
  - module: tidegate.delivery.splunk_event
  - plugin: tidegate.delivery.graphite
    plugin_type: callback
author:
  - The Tidegate contributors (@tidegate)
"""

EXAMPLES = r"""
ansible.cfg: |
  [defaults]
  callbacks_enabled = tidegate.delivery.stop, tidegate.delivery.splunk

  [tidegate_splunk]
  url = https://splunk.example.org:8088
  token_file = /etc/tidegate/splunk.token
  index = deployments
"""

import contextlib
import uuid
from pathlib import Path
from typing import Any, ClassVar

from ansible_collections.tidegate.delivery.plugins.plugin_utils.shipping.shipping import shipping
from ansible_collections.tidegate.delivery.plugins.plugin_utils.shipping.shipping_callback import ShippingCallback
from ansible_collections.tidegate.delivery.plugins.plugin_utils.shipping.splunk_options import splunk_sink
from ansible_collections.tidegate.delivery.plugins.plugin_utils.shipping.task_results import Started, told, written_name

with contextlib.suppress(ImportError):  # which ShippingCallback tells
    from tidegate.shipping.spool import SpoolWriter


class CallbackModule(ShippingCallback):
    """Tells the shipper what to ship; nothing in it may hold up or end a play."""

    CALLBACK_VERSION: ClassVar[float] = 2.0
    CALLBACK_TYPE: ClassVar[str] = "notification"
    CALLBACK_NAME: ClassVar[str] = "tidegate.delivery.splunk"
    CALLBACK_NEEDS_ENABLED: ClassVar[bool] = True
    DESTINATION: ClassVar[str] = "Splunk"

    def __init__(self) -> None:
        super().__init__()
        self._spool: SpoolWriter | None = None
        self._run = uuid.uuid4().hex
        self._playbook = self._play = ""
        self._started: dict[tuple[str, str], Started] = {}

    def set_options(self, task_keys: Any = None, var_options: Any = None, direct: Any = None) -> None:  # noqa: ANN401
        """Read them and start the shipper. With wrong ones the play goes on, unshipped, with a warning."""
        super().set_options(task_keys=task_keys, var_options=var_options, direct=direct)
        if self.start_shipping(lambda: [splunk_sink(self.get_option)]) and self.get_option("task_results"):
            self._spool = SpoolWriter(Path(str(self.get_option("spool"))), float(self.get_option("spool_limit")))

    def v2_playbook_on_start(self, playbook: Any) -> None:  # noqa: ANN401
        """Which playbook it is."""
        super().v2_playbook_on_start(playbook)
        self._playbook = Path(str(getattr(playbook, "_file_name", ""))).name

    def v2_playbook_on_play_start(self, play: Any) -> None:  # noqa: ANN401
        """Which play it is, and which ledger it works with."""
        with contextlib.suppress(Exception):
            self._play = written_name(play)
        super().v2_playbook_on_play_start(play)

    def v2_runner_on_start(self, host: Any, task: Any) -> None:  # noqa: ANN401
        """When it began."""
        if self._spool is not None:
            self._started[str(host.get_name()), str(task._uuid)] = Started.now()

    def v2_runner_on_ok(self, result: Any) -> None:  # noqa: ANN401
        """It ended well."""
        self._keep(result, "changed" if result.result.get("changed") else "ok")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:  # noqa: ANN401
        """It failed."""
        self._keep(result, "failed", ignored=bool(ignore_errors))

    def v2_runner_on_unreachable(self, result: Any) -> None:  # noqa: ANN401
        """Its host could not be reached."""
        self._keep(result, "unreachable")

    def v2_runner_on_skipped(self, result: Any) -> None:  # noqa: ANN401
        """A condition left it out."""
        self._keep(result, "skipped")

    def v2_playbook_on_stats(self, stats: Any) -> None:  # noqa: ANN401
        """The end: what was not kept is told, and what Splunk would not have."""
        if self._spool is not None:
            self._spool.close()
            if self._spool.dropped:
                self.warn(f"{self._spool.dropped} task results were not kept for Splunk: {self._spool.why}")
        super().v2_playbook_on_stats(stats)

    def _keep(self, result: Any, status: str, *, ignored: bool = False) -> None:  # noqa: ANN401
        with contextlib.suppress(Exception):  # whatever a result may be: the play goes on
            started = self._started.pop((str(result.host.get_name()), str(result.task._uuid)), None)
            fields = told(result, status, started or Started.now(), ignored=ignored)
            if fields is not None and self._spool is not None:
                fields |= {"run": self._run, "playbook": self._playbook, "play": self._play}
                self._spool.put("task", str(fields["id"]), float(fields.pop("time")), fields)
            shipping().wake()
