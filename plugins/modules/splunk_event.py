# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of tidegate.delivery.splunk_event; its action does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: splunk_event
short_description: Send an event of one's own to Splunk
version_added: 0.1.0
description:
  - Puts an event into the spool on the controller. P(tidegate.delivery.splunk#callback) ships it while the playbook runs. Without that callback the next
    playbook that has it does, or C(tidegate events flush).
  - It never waits for Splunk, and no answer of Splunk's makes it fail. It fails when the event can't be kept.
  - Values of variables whose names look secret, values of fields whose names do, and users and passwords in URLs, are replaced by C(***).
options:
  event:
    description: What happened, in a word or a few. At most 200 characters.
    type: str
    required: true
  fields:
    description:
      - More about it. Names have letters, digits and underscores. Values are texts (at most 2,000 characters), numbers, truth values, or
        lists of texts.
    type: dict
    default: {}
extends_documentation_fragment:
  - tidegate.delivery.on_controller
  - action_common_attributes
notes:
  - Runs on the controller and needs the pipeline there (C(pip install tidegate)).
  - The folder and the limit of the spool are options of P(tidegate.delivery.splunk#callback).
  - Two runs make two events.
seealso:
  - plugin: tidegate.delivery.splunk
    plugin_type: callback
author:
  - The Tidegate contributors (@tidegate)
"""

EXAMPLES = r"""
- name: Tell Splunk that a certificate was renewed
  tidegate.delivery.splunk_event:
    event: certificate_renewed
    fields:
      service: tradeapi
      days_left: 3
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
id:
  description: The event's id, which it has in Splunk, too. Empty in check mode.
  returned: success
  type: str
  sample: 5f2b6c1e9a0d4f0f8e3f0a7d1c2b3a49
spool:
  description: The folder in which it is kept until it has arrived.
  returned: success
  type: str
  sample: /home/deploy/.local/state/tidegate/spool
fields:
  description: The event's fields as they are sent.
  returned: success
  type: dict
  sample: {"event": "certificate_renewed", "service": "tradeapi", "days_left": 3}
"""
