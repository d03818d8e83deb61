# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of tidegate.delivery.health_check; its action does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: health_check
short_description: Prove that a node serves the right release and is healthy and warm
version_added: 0.1.0
description:
  - Asks a URL of the node from the controller until O(in_a_row) answers in a row are as expected, then, if asked to, warms the node up.
  - Every answer comes over a TCP connection of its own. No proxy from the environment is used and a redirect is not
    followed; it is an answer with its own status. Interim answers, such as C(103 Early Hints), are passed over, ten at most.
  - The row begins anew with every answer that differs, and when RV(pid) or RV(started) change, since the process was restarted then.
  - A body from which a value is to be read must be JSON as RFC 8259 has it, without V(NaN) and V(Infinity), and no object in it may have a key twice.
  - An answer's body may have 1 MiB. What never answers, or answers byte by byte, is given up at O(request_timeout).
  - No connection to the node by Ansible is needed, unless O(checks) run something there. A process' start on Windows is asked of C(wmic.exe), which
    Windows Server 2025 has only when it was added.
options:
  url:
    description:
      - The URL to ask with GET. Credentials belong into O(headers).
      - Needed, except with O(checks) or O(deployment). Without it, all options that are not given are taken from the check that the
        deployment's plan has of O(service) on this node for O(step).
    type: str
  status: &status
    description: The status codes that are good.
    type: list
    elements: int
    default: [200]
  version:
    description: The version that the node must tell in its JSON answer.
    type: dict
    suboptions: &told
      path:
        description: The one place in the JSON document, such as V($.version), V($.items[0]) or V($["a b"]).
        type: str
        required: true
      value:
        description: The value expected there.
        type: str
        required: true
  digest:
    description: The artifact's SHA-256 that the node must tell. Case and a leading V(sha256:) make no difference.
    type: dict
    suboptions: *told
  started:
    description: The process must have started later than this, by the node's own clock.
    type: dict
    suboptions:
      path:
        description: Where the answer tells the start, as ISO 8601 with a time zone or as a Unix time in seconds or milliseconds.
        type: str
        default: $.started
      after:
        description:
          - An ISO 8601 time with a time zone, or a Unix time.
          - Or V(deployment), since Puppet first ran on the node for O(deployment); any time where it changed nothing there.
            That time is moved to the node's clock by the C(Date) of its answer.
        type: str
        required: true
  pid:
    description: Where the answer tells the process id; not being told is no failure.
    type: str
    default: $.pid
  expect: &places
    description: Places in the JSON answer and what must stand there. Types count, so V(true) is not V(1).
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The one place in the JSON document.
        type: str
        required: true
      value:
        description: The value expected there.
        type: raw
        required: true
  components: &components
    description: The states of the service's components, all of which must be good.
    type: dict
    suboptions:
      path:
        description:
          - Where they are in the JSON answer, such as V($.entries) of ASP.NET Core's usual response writers or V($.components).
          - There is an object of component to state, or to an object with V(status), or a list of objects with V(name) and V(status).
        type: str
        required: true
      accept:
        description: The good states; case makes no difference. Add V(Degraded) where a degraded component is good enough.
        type: list
        elements: str
        default: [Healthy, UP, ok]
      required:
        description: Components that must be there.
        type: list
        elements: str
        default: []
  checks:
    description:
      - Further conditions. All of them, and what is expected of O(url), must hold in the same round; O(in_a_row) counts rounds.
      - Each is of one kind. At most 20; what runs on the node travels there in one command, side by side.
      - Each has O(request_timeout) for itself.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What it is called in messages.
        type: str
        required: true
      http:
        description: One more answer to a GET. O(headers), O(ca_file) and O(validate_certs) hold for it, too.
        type: dict
        suboptions:
          url:
            description: What is asked. With O(checks[].http.aim) on the maintenance front end.
            type: str
            required: true
          status: *status
          expect: *places
          components: *components
          aim: &aim
            description: How one node is aimed at through the maintenance front end.
            type: dict
            suboptions:
              header:
                description: The request header that names the node.
                type: str
                default: X-Tidegate-Node
              served_by:
                description: The response header in which the front end says who answered. It must name the node.
                type: str
                default: X-Served-By
      tcp:
        description: A port that accepts connections, asked from the controller.
        type: dict
        suboptions:
          address:
            description: The node's address.
            type: str
            required: true
          port:
            description: The port.
            type: int
            required: true
          send:
            description: What is sent after connecting.
            type: str
          expect:
            description: What must come then, within the first 64 KiB.
            type: str
      command:
        description: A program on the node, started without a shell.
        type: dict
        suboptions:
          argv:
            description: The program and its arguments. They show in the node's process list, so secrets don't belong here.
            type: list
            elements: str
            required: true
          exit_codes:
            description: The exit codes that are good.
            type: list
            elements: int
            default: [0]
          output:
            description: A regular expression that must be found in its standard output, of which 64 KiB are read.
            type: str
      nagios:
        description: Any Nagios plugin, judged by exit code and performance data.
        type: dict
        suboptions:
          argv:
            description: The plugin and its arguments. They show in the process list, so secrets don't belong here.
            type: list
            elements: str
            required: true
          run_on:
            description: Where it runs. On the controller it gets an environment with V(PATH) and a locale alone.
            type: str
            choices: [node, controller]
            default: node
          accept:
            description: The states that are good. An exit code that no plugin has is never good.
            type: list
            elements: str
            choices: [ok, warning, critical, unknown]
            default: [ok]
          perfdata:
            description:
              - By label, the range in which a value of the performance data must be, as plugins take thresholds.
              - V(10) is 0 to 10, V(10:) at least 10, V(~:10) at most 10, V(10:20) from 10 to 20, V(@10:20) anything else.
              - A value that isn't told is not within a range.
            type: dict
            default: {}
          url:
            description:
              - For a plugin that goes through the maintenance front end. It is asked before and after the plugin, aimed as
                the plugin must aim itself, and both answers must come from the node; otherwise the plugin's answer counts for nothing.
            type: str
          aim: *aim
      service:
        description: A service's state as the node's own service manager has it, systemd or that of Windows.
        type: dict
        suboptions:
          name:
            description: The systemd unit, or the Windows service's name (not its display name).
            type: str
            required: true
          accept:
            description:
              - The states that are good, in Windows' words. For systemd a unit that is C(active) or C(reloading) is V(running), C(inactive) is V(stopped),
                C(activating) is V(start_pending) and C(deactivating) is V(stop_pending). One that failed is never good.
            type: list
            elements: str
            choices: [stopped, start_pending, stop_pending, running, continue_pending, pause_pending, paused]
            default: [running]
      process:
        description: A process on the node that must have been started lately. Its age is measured by the node's own clock.
        type: dict
        suboptions:
          unit:
            description: The systemd unit, or the Windows service, of which it is the main process.
            type: str
          pid_file:
            description: The file that has its process id.
            type: path
          port:
            description: The TCP port at which it listens. Of several processes the oldest counts.
            type: int
          address:
            description: With O(checks[].process.port), the IPv4 address at which it listens. By default any.
            type: str
          after:
            description:
              - V(deployment), since Puppet first ran on the node for O(deployment); any time where it changed nothing there.
              - Or a time by the controller's clock, as ISO 8601 with a time zone or as a Unix time. By default the process must just be there.
            type: str
  in_a_row:
    description: How many good answers, or rounds with O(checks), in a row make the node healthy.
    type: int
    default: 3
  interval:
    description: The time from one request's start to the next one's.
    type: str
    default: 500ms
  timeout:
    description: The deadline of the whole check, warm-up not included.
    type: str
    default: 2m
  request_timeout:
    description: The deadline of one request, from the name look-up to the body's last byte.
    type: str
    default: 5s
  headers:
    description: Request headers. Their values are never shown or recorded.
    type: dict
    default: {}
  ca_file:
    description: A PEM file on the controller with the authorities that may have signed the node's certificate.
    type: path
  validate_certs:
    description: Whether the certificate of an https URL is checked.
    type: bool
    default: true
  warmup:
    description: After the check, send rounds of requests until the latency is down.
    type: dict
    suboptions:
      urls:
        description: What to ask. A path is taken relative to O(url).
        type: list
        elements: str
        required: true
      until:
        description:
          - The limits, by V(p50), V(p90), V(p95), V(p99) or V(max). Each URL of a round must be within them, and every answer be good.
        type: dict
        required: true
      batch:
        description: Requests in a round, spread evenly over the URLs.
        type: int
        default: 20
      concurrency:
        description: Requests under way at once.
        type: int
        default: 4
      timeout:
        description: The deadline of the warm-up.
        type: str
        default: 1m
  step:
    description:
      - What this check is evidence for. V(release) needs O(version), and V(warmup) needs O(warmup).
      - With O(deployment), the check must be the one that the deployment's plan has for this node; an easier one is refused.
      - V(ready) stands for V(release) and V(health), one after the other; it is for O(nodes) only.
    type: str
    choices: [release, health, warmup, ready]
    default: health
  service:
    description: The service that the check is about, if it is not the deployment's own but one that moves with it.
    type: str
  node:
    description: The inventory host that the URL belongs to, if it is not the task's host.
    type: str
  nodes:
    description:
      - Nodes that are checked all at once, each against all services of its that the plan of O(deployment) checks.
      - Needs O(deployment); the checks are the plan's.
    type: list
    elements: str
  deployment:
    description: The id of the open deployment in whose record the evidence is written, as M(tidegate.delivery.plan) returned it.
    type: str
extends_documentation_fragment:
  - action_common_attributes
attributes:
  check_mode:
    support: full
    details: The check only reads, so it runs in check mode as well; nothing is recorded then.
  diff_mode:
    support: none
  platform:
    support: full
    platforms: any
    details: Runs on the controller; commands and plugins also on the node, where Linux or Windows may be.
seealso:
  - module: tidegate.delivery.nunit
author:
  - The Tidegate contributors (@tidegate)
"""

EXAMPLES = r"""
- name: The check that the deployment's plan has for this node
  tidegate.delivery.health_check:
    deployment: "{{ tidegate_deployment }}"
    step: release

- name: The checks of a whole wave
  tidegate.delivery.health_check:
    deployment: "{{ tidegate_deployment }}"
    step: ready
    nodes: [n1, n2]
  run_once: true

- name: The node serves the release that was deployed, from a process started since
  tidegate.delivery.health_check:
    deployment: "{{ tidegate_deployment }}"
    step: release
    url: "http://{{ tidegate_address }}:8080/health"
    version: {path: $.version, value: 1.1.0}
    digest: {path: $.digest, value: "{{ tidegate_digest }}"}
    started: {path: $.started, after: "2026-01-31T12:00:00Z"}
    in_a_row: 1
    timeout: 1m

- name: It is healthy three times in a row
  tidegate.delivery.health_check:
    deployment: "{{ tidegate_deployment }}"
    url: "http://{{ tidegate_address }}:8080/health"
    expect:
      - {path: $.status, value: ok}
      - {path: $.components.database, value: ok}

- name: All of that holds at once, three times in a row
  tidegate.delivery.health_check:
    deployment: "{{ tidegate_deployment }}"
    url: "http://{{ tidegate_address }}:8080/health"
    components: {path: $.entries, accept: [Healthy, Degraded], required: [database]}
    checks:
      - name: feed
        tcp: {address: "{{ tidegate_address }}", port: 8082}
      - name: queue
        command: {argv: [/opt/tradeapi/bin/queue, --empty], output: ^empty$}
      - name: disk
        nagios:
          argv: [/usr/lib/nagios/plugins/check_disk, -w, 10%, -c, 5%, -p, /]
          accept: [ok, warning]
      - name: edge
        nagios:
          argv: [/usr/lib/nagios/plugins/check_http, -I, lb1, -p, "8090", -k, "X-Tidegate-Node: {{ inventory_hostname }}"]
          run_on: controller
          url: http://lb1:8090/health
          aim: {}
      - name: restarted
        process: {port: 8080, after: deployment}

- name: It is warm
  tidegate.delivery.health_check:
    deployment: "{{ tidegate_deployment }}"
    step: warmup
    url: "http://{{ tidegate_address }}:8080/health"
    in_a_row: 1
    warmup:
      urls: [/quotes]
      until: {p95: 200ms}
"""

RETURN = r"""
outcome:
  description:
    - V(healthy), or why not.
    - V(wrong_node), through the maintenance front end another node answered, or nobody says which.
    - V(wrong_release), it serves another version or digest.
    - V(not_started_since), the process is older than it may be.
    - V(unhealthy), the last answers differ in something else.
    - V(deadline), it never answered in time, or the time was too short for the row.
    - V(cold), the warm-up did not bring the latency down in time.
  returned: always
  type: str
  sample: wrong_release
msg:
  description: What the answers showed; after a failure also where, and what to do next.
  returned: always
  type: str
  sample: >-
    n1: it serves another release: not 3 good answers in a row (4 answers in 2s, 0 of them good).
    Last: 12:00:03Z status 200 after 3ms, body {"version": "1.0.0"}: serves version 1.0.0, expected 1.1.0 (http://127.20.1.1:8080/health).
    Look at the Puppet run's report and for a process of the old release on the node, then run the same deployment again
step:
  description: What the result is evidence for. With O(step=ready), the step that failed, else V(health).
  returned: always
  type: str
  sample: release
checks:
  description: The names of the further conditions.
  returned: always
  type: list
  elements: str
  sample: [feed, disk]
url:
  description: What was asked; empty with O(checks) alone.
  returned: always
  type: str
  sample: http://127.20.1.1:8080/health
version:
  description: The version as read back.
  returned: when told
  type: str
  sample: 1.1.0
digest:
  description: The artifact's digest as read back.
  returned: when told
  type: str
  sample: 3f5a…
started:
  description: The process's start as read back.
  returned: when told
  type: str
  sample: "2026-01-31T12:00:01.5Z"
pid:
  description: The process id as read back.
  returned: when told
  type: str
  sample: "4711"
answers:
  description: How many answers were judged.
  returned: always
  type: int
  sample: 3
seconds:
  description: How long the check took, without the warm-up.
  returned: always
  type: float
  sample: 1.01
nodes:
  description: Each node's own result; of one with several services that which failed first, or the last.
  returned: with O(nodes)
  type: dict
  sample: {n1: {outcome: healthy, answers: 3}, n2: {outcome: healthy, answers: 3}}
own_s:
  description: The step's own seconds in a deployment's timings. With O(warmup) its rounds alone, otherwise the same as RV(seconds).
  returned: always
  type: float
  sample: 1.01
warmup_requests:
  description: How many requests the warm-up sent.
  returned: with O(warmup)
  type: int
  sample: 60
warmup_rounds:
  description: How many rounds the warm-up took.
  returned: with O(warmup)
  type: int
  sample: 3
warmup_ms:
  description: The last round's latency by measure, in milliseconds.
  returned: with O(warmup)
  type: dict
  sample: {p95: 41.5}
"""
