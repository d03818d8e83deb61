# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of tidegate.delivery.deployment_info; its action does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: deployment_info
short_description: Show past deployments and what happened in one
version_added: 0.1.0
description:
  - Reads the environment's ledger. Deployments and rollbacks, and moves of nodes by hand, the newest first.
  - Connects to no host, changes nothing and takes no lock.
options:
  service:
    description: The service's name. All services when it is left out, those that are no longer in the catalog included.
    type: str
  id:
    description: One deployment, with all its events. O(service) and O(limit) are not looked at then.
    type: str
  limit:
    description: How many deployments are shown at most, 1 to 1000.
    type: int
    default: 20
extends_documentation_fragment:
  - tidegate.delivery.on_controller
  - action_common_attributes
notes:
  - Runs on the controller and needs the pipeline there (C(pip install tidegate)).
  - Uses the inventory variables C(tidegate_environment) and C(tidegate_ledger).
seealso:
  - module: tidegate.delivery.service_info
  - module: tidegate.delivery.deployment
author:
  - The Tidegate contributors (@tidegate)
"""

EXAMPLES = r"""
- name: Show the last five deployments of a service
  tidegate.delivery.deployment_info:
    service: tradeapi
    limit: 5
  register: past

- name: Show all that happened in the newest
  tidegate.delivery.deployment_info:
    id: "{{ past.deployments[0].id }}"
"""

RETURN = r"""
deployments:
  description: The deployments, the newest first.
  type: list
  elements: dict
  returned: success
  contains:
    id:
      description: Its id.
      type: str
      sample: tradeapi-20260131-142501-7f3a
    service:
      description: The service.
      type: str
    environment:
      description: The environment.
      type: str
    kind:
      description: V(deploy), V(rollback), or V(hand) for a person's move of one node.
      type: str
    version:
      description: The release that it brought.
      type: str
    digest:
      description: The SHA-256 of its artifact.
      type: str
    revision:
      description: The revision of the configuration that came with it; empty when there was none.
      type: str
    previous_version:
      description: What was served before.
      type: str
    previous_revision:
      description: The revision of the configuration that was deployed with that.
      type: str
    state:
      description: V(open), V(held), V(done), V(rolled_back) or V(superseded).
      type: str
    attempt:
      description: How often it was begun.
      type: int
    nodes:
      description: The nodes that it covers, those that were left out included.
      type: list
      elements: str
    services:
      description: What moves together, its own service first.
      type: list
      elements: str
    opened_at:
      description: When, in UTC.
      type: str
    opened_by:
      description: Who.
      type: str
    closed_at:
      description: When it ended, in UTC; empty while it goes on or is held.
      type: str
    closed_by:
      description: Who ran the attempt that ended it.
      type: str
    took_s:
      description: Seconds from its opening to its end, all attempts and the time between them; null without an end.
      type: float
    message:
      description: The last word on it, which is why it is held or how it ended.
      type: str
    folder:
      description: Its folder on the controller that ran it; empty for one that has none.
      type: str
ledger:
  description: The URL of the ledger that was read.
  type: str
  returned: success and O(id) is not given
  sample: sqlite:////var/lib/tidegate/ledger.sqlite
environment:
  description: The environment whose deployments these are.
  type: str
  returned: success and O(id) is not given
  sample: prod
events:
  description: The deployment's events, oldest first, as the ledger has them, with C(seq) and C(hash) of their place in the chain.
  type: list
  elements: dict
  returned: success and O(id) is given
table:
  description: The same as people read it.
  type: list
  elements: str
  returned: success
"""
