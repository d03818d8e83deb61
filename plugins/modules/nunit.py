# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of tidegate.delivery.nunit; its action does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nunit
short_description: Test one node of the maintenance pool with NUnit on a test box
version_added: 0.1.0
description:
  - Fetches the release's artifact onto a test box, verifies its SHA-256, and runs the NUnit assemblies of its
    V(tests/) folder against the maintenance front end, aimed at one node.
  - Before and after the tests the front end is asked who answers. Unless that is the aimed node with the expected release, both times, the run is no evidence.
  - The verdict comes from the test cases alone, not from the runner's exit code or the totals that the results file
    states. Ignored cases count for nothing, inconclusive ones as not passed.
  - The results may be those of NUnit 2.x, NUnit 3.x, TRX or JUnit, in any encoding, up to 100 MiB; the file's root element tells which.
  - HAProxy's logs are asked who served the tests' requests, where O(log.files) names them.
  - The tests find V(TIDEGATE_URL), V(TIDEGATE_NODE), V(TIDEGATE_AIM_HEADER), V(TIDEGATE_AIM_VALUE), V(TIDEGATE_VERSION),
    V(TIDEGATE_RUN) and V(TIDEGATE_RUN_HEADER) in their environment.
  - The box runs one test at a time unless O(parallel) says otherwise; others wait in its queue, first come, first served.
    Each run unpacks the artifact into a fresh folder, and removes it when it has ended; what the last five runs
    said, and those that ended within ten minutes, is kept. At the time limit the runner and all its children are ended.
options:
  service:
    description: The service that is tested, if it is not the deployment's own but one that moves with it.
    type: str
  box:
    description: The inventory host that runs the tests. It needs curl, tar, flock, coreutils, awk and the runner.
    type: str
  node:
    description: The node to aim at, by its name in the load balancer. By default the task's host.
    type: str
  nodes:
    description:
      - Nodes whose tests stand in the plan of O(deployment), for each of their services. The box's queue has them in turn.
      - Needs O(deployment); the checks are the plan's.
    type: list
    elements: str
  url:
    description:
      - The base URL of the maintenance front end, as the test box reaches it.
      - Needed, and so are O(box), O(artifact), O(assemblies) and O(version), except where the deployment's plan has the check.
        Without a URL, all options that are not given are taken from it.
    type: str
  aim:
    description: How one node of the maintenance pool is reached.
    type: dict
    default: {}
    suboptions:
      by:
        description:
          - By a request header, by a Host header of the node's own, or by a port of the maintenance front end.
          - With V(port), and with V(host) unless O(aim.host) is given, the O(url) alone names the node.
        type: str
        choices: [header, host, port]
        default: header
      header:
        description: The request header that names the node.
        type: str
        default: X-Tidegate-Node
      host:
        description: With O(aim.by=host) the Host header that names the node.
        type: str
      served_by:
        description: The response header in which the load balancer names the node that answered.
        type: str
        default: X-Served-By
  probe:
    description: What is asked before and after the tests.
    type: dict
    default: {}
    suboptions:
      path:
        description: The path below O(url).
        type: str
        default: /health
      version:
        description: Where its JSON answer tells the version.
        type: str
        default: $.version
      digest:
        description: Where its JSON answer tells the artifact's digest, which is then compared with O(artifact.sha256).
        type: str
  artifact:
    description: The release's artifact, a tar file.
    type: dict
    suboptions:
      url:
        description: Where the box fetches it.
        type: str
        required: true
      sha256:
        description: Its SHA-256 in hexadecimal digits.
        type: str
        required: true
  assemblies:
    description: The test assemblies' file names in the artifact's V(tests/) folder. Of several, each must run at least one test.
    type: list
    elements: str
  version:
    description: The version that the node must serve; the tests get it as V(TIDEGATE_VERSION).
    type: str
  timeout:
    description: The deadline of the test run itself.
    type: str
    default: 10m
  queue_timeout:
    description: The deadline of waiting for the box to be free.
    type: str
    default: 30m
  environment:
    description:
      - More variables for the tests. They reach the box through standard input.
      - With a deployment whose plan does not name it, this, O(runner) and O(program) must have their defaults, or the run is no evidence and is refused.
      - Values of four and more characters are blotted out of messages and results, should a test print them; the box
        then keeps neither console output nor results.
    type: dict
    default: {}
  secrets:
    description: More variables for the tests, by the names of the box's inventory variables that have their values; treated like O(environment).
    type: dict
    default: {}
  runner:
    description:
      - Who runs the tests. It decides how the command line is written, how O(categories) are told, and where the results are.
      - O(categories) that can't be told to it are refused.
    type: str
    choices: [nunit2, nunit3, vstest]
    default: nunit2
  program:
    description:
      - How the runner is started on the box, such as V([mono, /opt/nunit3/nunit3-console.exe]) or V([dotnet, vstest]).
      - By default V(nunit-console), V(nunit3-console) or V(vstest.console).
    type: list
    elements: str
    default: []
  parallel:
    description: Beside how many runs on the box it may run, itself included. All that run at once must allow as many.
    type: int
    default: 1
  log:
    description:
      - HAProxy's logs of the tests' requests. The probes carry the run's id in their URL; what the box asks between the two is the tests'.
      - One request of theirs in O(log.backends) that another node served, or none that the aimed one did, and the run is no evidence.
    type: dict
    default: {}
    suboptions:
      files:
        description: The log's path by load balancer, read over the load balancer's connection.
        type: dict
        default: {}
      backends:
        description: The backends of the tested service; what goes elsewhere is not looked at.
        type: list
        elements: str
        default: []
      required:
        description: Whether a log that is not there or incomplete makes the run no evidence.
        type: bool
        default: false
      known_by:
        description:
          - Whether all that comes from the box's address is the tests', or only what carries V(TIDEGATE_RUN) in its line,
            as a header V(X-Tidegate-Run) that HAProxy captures.
          - With O(parallel) above 1 always the V(id).
        type: str
        choices: [address, id]
        default: address
  work_dir:
    description: The folder on the box for the runs. By default the box's variable V(tidegate_test_dir).
    type: str
  save_to:
    description:
      - A file on the controller for the results as NUnit wrote them, in XML, with O(environment) values and other secrets blotted out.
      - With a deployment they are in its folder in any case.
    type: path
extends_documentation_fragment:
  - action_common_attributes
  - tidegate.delivery.effect
  - tidegate.delivery.nunit_gate
attributes:
  check_mode:
    support: partial
    details: Options are checked, nothing is run on the box, and RV(outcome) is V(not_run).
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
    details: The test box is reached over ssh; the node only through the load balancer.
seealso:
  - module: tidegate.delivery.health_check
  - module: tidegate.delivery.nunit_results
author:
  - The Tidegate contributors (@tidegate)
"""

EXAMPLES = r"""
- name: The node passes its smoke tests in the maintenance pool
  tidegate.delivery.nunit:
    deployment: "{{ tidegate_deployment }}"
    box: testbox
    url: http://127.20.0.1:8090
    artifact:
      url: http://127.20.0.30:8081/tradeapi/1.1.0/tradeapi-1.1.0.tar.gz
      sha256: "{{ tidegate_digest }}"
    assemblies: [TradeApi.Smoke.dll]
    version: 1.1.0
    min_tests: 5
    save_to: "{{ playbook_dir }}/../build/nunit/{{ inventory_hostname }}.xml"

- name: The tests that the deployment's plan has for a whole wave
  tidegate.delivery.nunit:
    deployment: "{{ tidegate_deployment }}"
    nodes: [n1, n2]
  run_once: true

- name: One node's with NUnit 3 and a password for the tests
  tidegate.delivery.nunit:
    deployment: "{{ tidegate_deployment }}"
    box: testbox
    url: http://127.20.0.1:8090
    artifact:
      url: http://127.20.0.30:8081/tradeapi/1.1.0/tradeapi-1.1.0.tar.gz
      sha256: "{{ tidegate_digest }}"
    assemblies: [TradeApi.Smoke.dll]
    version: 1.1.0
    runner: nunit3
    program: [mono, /opt/nunit3/nunit3-console.exe]
    environment:
      TRADE_PASSWORD: "{{ vault_trade_password }}"
  no_log: true

- name: One test must pass whatever happens, and a flaky one may fail until the end of the year
  tidegate.delivery.nunit:
    deployment: "{{ tidegate_deployment }}"
    box: testbox
    url: http://127.20.0.1:8090
    artifact:
      url: http://127.20.0.30:8081/tradeapi/1.1.0/tradeapi-1.1.0.tar.gz
      sha256: "{{ tidegate_digest }}"
    assemblies: [TradeApi.Smoke.dll]
    version: 1.1.0
    required_tests: [TradeApi.Smoke.ReleaseTests.TheAimedNodeAnswers]
    categories:
      exclude: [Slow]
    quarantine:
      - test: TradeApi.Smoke.Quotes.IsFast
        until: "2026-12-31"
        reason: TRADE-117
"""

RETURN = r"""
outcome:
  description:
    - V(passed) alone is evidence. V(failed), V(missing), V(too_few) and V(no_tests) are the gate's other verdicts.
    - V(wrong_node), another node answered the probe, or none; V(wrong_release), the aimed node answered with another release.
    - V(strayed), HAProxy's log shows another node; V(unproved), it had to say who served the tests, and did not.
    - V(timed_out), V(no_results), V(broken_results) or V(aborted), the run came to no judgeable end.
    - V(refused_artifact), V(busy) or V(box_failed), it did not come to a run. V(not_run) in check mode.
  returned: always
  type: str
  sample: failed
nodes:
  description: Each node's own result; of one with several services that which failed first, or the last.
  returned: with O(nodes)
  type: dict
  sample: {n1: {outcome: passed, total: 6}, n2: {outcome: passed, total: 6}}
msg:
  description: What happened; the tests that did not pass with the first lines of their messages; what to do next.
  returned: always
  type: str
  sample: >-
    n1: of 6 tests 5 passed, 1 failed, 0 may fail. TradeApi.Smoke.Quotes.HasAPrice: Expected: 12 But was: 0
    (TradeApi.Smoke.dll on testbox). Fix the release, or the tests, and deploy again; the node stays in the maintenance pool
total:
  description: How many cases the results hold.
  returned: when run
  type: int
  sample: 6
passed:
  description: How many passed.
  returned: when run
  type: int
  sample: 5
failed_tests:
  description: How many failed, threw or could not be run.
  returned: when run
  type: int
  sample: 1
inconclusive:
  description: How many came to no conclusion.
  returned: when run
  type: int
  sample: 0
skipped_tests:
  description: How many were ignored.
  returned: when run
  type: int
  sample: 0
left_out:
  description: How many did not count because of their categories.
  returned: when run
  type: int
  sample: 0
quarantined:
  description: Tests in quarantine that did not pass, at most 10.
  returned: when run
  type: list
  elements: str
  sample: [TradeApi.Smoke.Quotes.IsFast]
expired_quarantine:
  description: Entries of O(quarantine) whose day is over, at most 10.
  returned: when run
  type: list
  elements: str
  sample: ["TradeApi.Smoke.Quotes.IsFast on 2026-01-31: TRADE-117"]
failures:
  description: The cases that did not pass, at most 20.
  returned: when run
  type: list
  elements: dict
  sample: [{name: TradeApi.Smoke.Quotes.HasAPrice, outcome: failed, message: "Expected: 12 But was: 0"}]
failing:
  description: The same as one line each, as the ledger has them.
  returned: when run
  type: list
  elements: str
  sample: ["TradeApi.Smoke.Quotes.HasAPrice: Expected: 12 But was: 0"]
duration_s:
  description: How long the tests ran, in seconds.
  returned: when run
  type: float
  sample: 1.7
own_s:
  description: The same, for a deployment's timings.
  returned: when run
  type: float
  sample: 1.7
results_sha256:
  description: The SHA-256 of the results file, as O(save_to) has it.
  returned: when there is one
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
results_bytes:
  description: How long that file is.
  returned: when there is one
  type: int
  sample: 8421
runner:
  description: Who ran the tests.
  returned: when not in check mode
  type: str
  sample: nunit2
run:
  description: The run's id, as it stands in HAProxy's log.
  returned: when not in check mode
  type: str
  sample: 5f0c8a61d2b34e97
aimed:
  description: At which node, and how.
  returned: when not in check mode
  type: str
  sample: "at n1 by header X-Tidegate-Node: n1"
log:
  description: What HAProxy's logs say of the tests' requests, or why they say nothing.
  returned: when they were asked
  type: str
  sample: 31 requests of the tests, served by n1, in the log of lb1
log_requests:
  description: How many requests of the tests the aimed node served.
  returned: when the logs were asked
  type: int
  sample: 31
artifact_sha256:
  description: The SHA-256 of the artifact that was fetched.
  returned: when not in check mode
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
assemblies_sha256:
  description: The SHA-256 of each assembly as it was unpacked, at most 50.
  returned: when run
  type: dict
  sample: {TradeApi.Smoke.dll: 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae}
queue_place:
  description: The place in the box's queue when it came, 1 for the front.
  returned: when run
  type: int
  sample: 1
queued_s:
  description: How many seconds it waited there.
  returned: when run
  type: float
  sample: 0.0
folder:
  description: The run's folder on the box.
  returned: when run
  type: str
  sample: /srv/tidegate/tests/runs/20260131T120000.Xy12ab
version:
  description: The version that was expected, and for V(passed) proved by the probes.
  returned: always
  type: str
  sample: 1.1.0
"""
