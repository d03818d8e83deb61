# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has deployments' events made into timings and markers in Graphite, by a process of its own."""

from __future__ import annotations

DOCUMENTATION = r"""
name: graphite
type: notification
short_description: Make deployments' events timings and markers in Graphite
version_added: 0.1.0
description:
  - Starts one process beside C(ansible-playbook) that reads the ledger. It sends counts and durations by service, environment, step and outcome to carbon,
    and a marker for each beginning and end of a deployment to graphite-web. It is the same process that P(tidegate.delivery.splunk#callback) has.
  - The play never waits for Graphite, whatever Graphite does, and no answer of it changes anything.
  - What has not arrived when that process ends stays in the ledger. The next playbook with this callback sends it, or C(tidegate events flush).
  - An event counts once, however often it is sent, and has one marker.
  - No message, node's name or text of anybody's is sent. Names in metrics and tags have letters, digits, C(_) and C(-) alone.
options:
  carbon:
    description: Carbon's receiver of lines, C(HOST:2003). When it is left out, no timings are sent.
    type: str
    env:
      - name: TIDEGATE_GRAPHITE_CARBON
    ini:
      - section: tidegate_graphite
        key: carbon
  prefix:
    description: What all metrics' names begin with. It may have dots.
    type: str
    default: tidegate
    env:
      - name: TIDEGATE_GRAPHITE_PREFIX
    ini:
      - section: tidegate_graphite
        key: prefix
  interval:
    description:
      - Seconds that one value stands for. Carbon keeps one value for each of its own intervals, the last one. So this must not be shorter than the finest
        retention for these metrics in C(storage-schemas.conf).
    type: int
    default: 60
    env:
      - name: TIDEGATE_GRAPHITE_INTERVAL
    ini:
      - section: tidegate_graphite
        key: interval
  web:
    description: Graphite-web, C(https://HOST). When it is left out, no markers are made.
    type: str
    env:
      - name: TIDEGATE_GRAPHITE_WEB
    ini:
      - section: tidegate_graphite
        key: web
  user:
    description: Who we are for graphite-web, where a server in front of it asks (basic authentication). It has no colon.
    type: str
    default: ""
    env:
      - name: TIDEGATE_GRAPHITE_USER
    ini:
      - section: tidegate_graphite
        key: user
  password_file:
    description: A file with the password alone.
    type: path
    env:
      - name: TIDEGATE_GRAPHITE_PASSWORD_FILE
    ini:
      - section: tidegate_graphite
        key: password_file
  validate_certs:
    description: Whether graphite-web's certificate is checked.
    type: bool
    default: true
    env:
      - name: TIDEGATE_GRAPHITE_VALIDATE_CERTS
    ini:
      - section: tidegate_graphite
        key: validate_certs
  ca_file:
    description: A file of authorities to check it against, instead of the system's.
    type: path
    env:
      - name: TIDEGATE_GRAPHITE_CA_FILE
    ini:
      - section: tidegate_graphite
        key: ca_file
  timeout:
    description: Seconds that connecting, sending and each answer may take.
    type: float
    default: 10.0
    env:
      - name: TIDEGATE_GRAPHITE_TIMEOUT
    ini:
      - section: tidegate_graphite
        key: timeout
extends_documentation_fragment:
  - tidegate.delivery.shipping
requirements:
  - enabled in the configuration (C(callbacks_enabled = tidegate.delivery.stop, tidegate.delivery.graphite) in C([defaults]) of C(ansible.cfg))
seealso:
  - plugin: tidegate.delivery.splunk
    plugin_type: callback
author:
  - The Tidegate contributors (@tidegate)
"""

EXAMPLES = r"""
ansible.cfg: |
  [defaults]
  callbacks_enabled = tidegate.delivery.stop, tidegate.delivery.graphite

  [tidegate_graphite]
  carbon = graphite.example.org:2003
  web = https://graphite.example.org
"""

from typing import Any, ClassVar

from ansible_collections.tidegate.delivery.plugins.plugin_utils.shipping.graphite_options import graphite_sinks
from ansible_collections.tidegate.delivery.plugins.plugin_utils.shipping.shipping_callback import ShippingCallback


class CallbackModule(ShippingCallback):
    """Tells the shipper what to ship; nothing in it may hold up or end a play."""

    CALLBACK_VERSION: ClassVar[float] = 2.0
    CALLBACK_TYPE: ClassVar[str] = "notification"
    CALLBACK_NAME: ClassVar[str] = "tidegate.delivery.graphite"
    CALLBACK_NEEDS_ENABLED: ClassVar[bool] = True
    DESTINATION: ClassVar[str] = "Graphite"

    def set_options(self, task_keys: Any = None, var_options: Any = None, direct: Any = None) -> None:  # noqa: ANN401
        """Read them and start the shipper. With wrong ones the play goes on, unshipped, with a warning."""
        super().set_options(task_keys=task_keys, var_options=var_options, direct=direct)
        self.start_shipping(lambda: graphite_sinks(self.get_option))
