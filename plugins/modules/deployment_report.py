# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of tidegate.delivery.deployment_report; its action does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: deployment_report
short_description: Make a deployment's report, one HTML file
version_added: 0.1.0
description:
  - Reads a deployment in the environment's ledger, and its folder as far as that is on this machine, and writes one
    HTML file that needs nothing else. It says how the deployment ended, why, what customers felt, and all that was done.
  - Every deployment makes its own when it is held, closed or superseded. This makes it anew, also elsewhere.
  - Connects to no host, changes nothing but the file and takes no lock.
options:
  of:
    description: A deployment's id, or a service's name, which means its newest deployment or rollback.
    type: str
    required: true
  dest:
    description:
      - Where the file goes on the controller. A file that is there is replaced.
      - When it is left out, C(report.html) in the deployment's folder.
    type: path
extends_documentation_fragment:
  - tidegate.delivery.on_controller
  - action_common_attributes
notes:
  - Runs on the controller and needs the pipeline there (C(pip install tidegate)).
  - Uses the inventory variables C(tidegate_environment) and C(tidegate_ledger).
seealso:
  - module: tidegate.delivery.deployment_info
  - module: tidegate.delivery.deployment
author:
  - The Tidegate contributors (@tidegate)
"""

EXAMPLES = r"""
- name: Make the report of a service's newest deployment
  tidegate.delivery.deployment_report:
    of: tradeapi
    dest: /tmp/tradeapi.html
  register: report
"""

RETURN = r"""
deployment:
  description: The deployment's id.
  type: str
  returned: success
  sample: tradeapi-20260131-142501-7f3a
path:
  description: Where the file is.
  type: str
  returned: success
  sample: /var/lib/tidegate/deployments/prod/tradeapi-20260131-142501-7f3a/report.html
table:
  description: The same as people read it.
  type: list
  elements: str
  returned: success
"""
