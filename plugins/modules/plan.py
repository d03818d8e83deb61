# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of tidegate.delivery.plan; its action does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: plan
short_description: Decide what happens to each node, take the lock and open the deployment
version_added: 0.1.0
description:
  - Reads and validates the service descriptors, asks every load balancer and every node of the service, and decides each node's fate and the waves.
  - Takes the service's lock and opens the deployment in the ledger, or the next attempt of the open one. Every effect that follows needs both.
  - When something speaks against it (unknown service or version, malformed descriptor, a floor that can't be kept, a node missing in a pool,
    a node or load balancer that doesn't answer, somebody else's lock), it fails, says where and what to do, and has touched nothing.
  - In check mode it shows the same plan, takes no lock and opens nothing.
options:
  intent:
    description:
      - V(deploy) brings O(version) to all nodes, V(rollback) the release that was served before the open or else the last deployment.
      - V(resume) goes on with the deployment or rollback that is open or held, as it was, to the same version and without the nodes
        that its last attempt left out. With O(exclude) more nodes are left out. It is refused when nothing is open.
      - V(leave) and V(join) move one O(node) by hand.
      - V(adopt) takes over one O(node) that somebody else took out, on the word of whoever runs this, which is recorded. It goes to the maintenance
        pool. From there V(join) or the next deployment brings it in.
      - V(repair) takes nodes out again that are out by our doing and that came back, or left only half. Who took them out stays who it was, nothing
        joins, and what is somebody else's is told and left alone.
      - V(thaw) ends freezes of Puppet that deployments left which are over or held, and downtimes in Nagios that deployments left which are over.
        A node stays frozen on which Puppet may still change a service.
        Those of deployments that the ledger doesn't know end only on nodes that O(nodes) names, and those of others and of open deployments
        never. Nothing moves.
    type: str
    choices: [deploy, rollback, resume, leave, join, adopt, repair, thaw]
    default: deploy
  service:
    description: The service's name, which is its descriptor's file name in C(tidegate_services).
    type: str
    required: true
  version:
    description: The version to deploy. Needed with O(intent=deploy).
    type: str
  revision:
    description:
      - The configuration's revision that is to come with the release, as C(config_version) of the nodes' Puppet environment tells it; of a
        commit the first seven digits or more will do. It must be what the compile servers serve now, else the request is refused and nothing is touched.
      - When it is left out it is what they serve. With O(intent=resume) it is always that of the deployment which goes on.
    type: str
  node:
    description: The node to move. Needed with O(intent=leave), O(intent=join) and O(intent=adopt).
    type: str
  nodes:
    description: With O(intent=repair) and O(intent=thaw), the nodes to look at. All of the service when it is left out.
    type: list
    elements: str
    default: []
  exclude:
    description: Nodes that stay as they are. They are pinned to what they serve.
    type: list
    elements: str
    default: []
  without:
    description:
      - Load balancers without which it goes on, because their HAProxy is down. This is the operator's word; it is recorded, and with
        each move it is proved again on their hosts that no HAProxy runs there.
      - One that answers, one whose host can't be reached, one on which a process is found that doesn't answer, one whose states are
        not saved, and all load balancers of a site are refused.
      - With O(intent=resume) those of the last attempt are left out too, unless they are back. O(intent=repair) needs all.
    type: list
    elements: str
    default: []
  confirmed:
    description:
      - The RV(plan.decisions_sha256) of the plan that somebody was shown in check mode and said yes to.
      - When what is decided now differs from it, the request is refused and nothing is touched. How many servers are usable is no decision.
    type: str
  wait:
    description:
      - How long to wait for deployments of services that share nodes with this one, with O(intent=deploy), O(intent=rollback) and O(intent=resume).
        They move together, so they are deployed in turn; nothing is held meanwhile, and all is looked at afresh then.
      - A deployment of the same service is never waited for.
      - In check mode too, so that what is shown is what will be done; with V(0s) it shows what is there right now.
    type: str
    default: 1h
extends_documentation_fragment:
  - tidegate.delivery.on_controller
  - action_common_attributes
notes:
  - Runs on the controller and needs the pipeline there (C(pip install tidegate)).
  - Uses the inventory variables C(tidegate_environment), C(tidegate_ledger), C(tidegate_services), C(tidegate_artifacts), C(tidegate_address),
    C(tidegate_puppet_environment), C(tidegate_puppet_confdir) and C(tidegate_state_dir).
seealso:
  - module: tidegate.delivery.deployment
  - module: tidegate.delivery.service_info
author:
  - The Tidegate contributors (@tidegate)
"""

EXAMPLES = r"""
- name: Show what a deployment would do, and change nothing
  tidegate.delivery.plan:
    service: tradeapi
    version: 1.1.0
  check_mode: true
  register: shown

- name: Plan and open a deployment only if it is what was shown
  tidegate.delivery.plan:
    service: tradeapi
    version: 1.1.0
    confirmed: "{{ shown.plan.decisions_sha256 }}"

- name: Plan and open a deployment, leaving a broken node out
  tidegate.delivery.plan:
    service: tradeapi
    version: 1.1.0
    exclude: [n5]

- name: Plan and open a deployment while HAProxy is down on one load balancer
  tidegate.delivery.plan:
    service: tradeapi
    version: 1.1.0
    without: [lb2]

- name: Plan and open a deployment only if the compile servers serve this commit of the control repository
  tidegate.delivery.plan:
    service: tradeapi
    version: 1.1.0
    revision: 3f1c2ab

- name: Plan the way back to the release before
  tidegate.delivery.plan:
    intent: rollback
    service: tradeapi
"""

RETURN = r"""
msg:
  description: The plan in a few words.
  type: str
  returned: always
  sample: "tradeapi 1.1.0 to lab: 6 nodes in 4 waves (1, 1, 2, 2)"
table:
  description: The plan as people read it, line by line.
  type: list
  elements: str
  returned: success
  sample:
    - "n1  online  1.0.0 -> 1.1.0  wave 1"
plan:
  description:
    - The plan as programs read it. Not returned by O(intent=leave) and O(intent=join); by O(intent=adopt), O(intent=repair) and
      O(intent=thaw) with few of its keys.
  type: dict
  returned: success
  contains:
    service:
      description: The service.
      type: str
    environment:
      description: The environment.
      type: str
    version:
      description: The release that nodes shall serve.
      type: str
    digest:
      description: The SHA-256 of its artifact.
      type: str
    revision:
      description: The configuration's revision that comes with it; empty when there is none.
      type: str
    no_revision:
      description: Why the compile servers tell no revision, or why it is no part of the release; empty when it is.
      type: str
    kind:
      description: V(deploy) or V(rollback).
      type: str
    previous_version:
      description: What a rollback would go back to; of a rollback, what it undoes.
      type: str
    previous_revision:
      description: The configuration's revision that was deployed with that.
      type: str
    resumes:
      description: The id of the open deployment that goes on; empty when there is none.
      type: str
    supersedes:
      description: The id of the open deployment that ends with this one; empty when there is none.
      type: str
    nodes:
      description:
        - Every node with C(name), C(site), C(standing) (V(online), V(unusable) or V(out)), C(from) and C(to), C(fate) (V(move), V(done) or V(skip)),
          C(why), C(wave) (null unless it moves) and C(beside), the other services there.
      type: list
      elements: dict
    waves:
      description:
        - Every wave with C(number), C(site), C(nodes), C(asked) (what the descriptor asks for), C(size), C(limited_by) (the floor that made it smaller)
          and C(load_balancers).
      type: list
      elements: dict
    capacity:
      description: Every pool on every load balancer with C(load_balancer), C(pool), C(service), C(usable), C(configured), C(floor) and C(min_online).
      type: list
      elements: dict
    co_hosted:
      description: By service that moves with this one, the nodes that they share.
      type: dict
    nothing_to_do:
      description: Whether no node moves and no open deployment is to be settled or closed.
      type: bool
    without:
      description: The load balancers without which it goes on.
      type: list
      elements: str
    skipped:
      description: By node that stays as it is, why.
      type: dict
    left_alone:
      description:
        - With O(intent=repair), the drift that is somebody else's, or that no leave could end, as M(tidegate.delivery.service_info) tells it.
        - With O(intent=thaw), the freezes that stay, as M(tidegate.delivery.puppet_freeze_info) tells them, and then the downtimes that
          stay, as M(tidegate.delivery.nagios_downtime_info) tells them.
      type: list
      elements: dict
    decisions_sha256:
      description: The digest of what is decided, for O(confirmed).
      type: str
folder:
  description: The folder on the controller in which the deployment leaves its events, reports and summary; empty when nothing was opened.
  type: str
  returned: success
  sample: /var/lib/tidegate/deployments/prod/tradeapi-20260131-142501-7f3a
ansible_facts:
  description: What the plays and roles take.
  type: dict
  returned: success
  contains:
    tidegate_plan:
      description:
        - RV(ansible_facts.tidegate_plan.deployment) is empty when there is nothing to do and in check mode; then C(order) and C(sizes) are empty too.
      type: dict
      contains:
        deployment:
          description: The id of the open deployment.
          type: str
        order:
          description: The nodes in the order of the waves.
          type: list
          elements: str
        sizes:
          description: The waves' sizes, for C(serial).
          type: list
          elements: int
        waves:
          description: Number, site, nodes, load balancers (and C(without), those of them that are left out) and pools of each wave.
          type: list
          elements: dict
        without:
          description: The load balancers without which it goes on.
          type: list
          elements: str
        left_out:
          description: What proves of each of them that it is down.
          type: list
          elements: str
"""
