# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of tidegate.delivery.nunit_results; its action does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nunit_results
short_description: Judge test results that are there already, and merge them into JUnit XML
version_added: 0.1.0
description:
  - Reads results of NUnit 2.x, NUnit 3.x, TRX and JUnit, in any encoding, up to 100 MiB each; a file's root element tells which it is.
  - The verdict comes from the test cases of all files together, not from totals that a file states. Inconclusive cases count as not passed.
  - It is no evidence for a node to join, since nobody knows what was tested. That is M(tidegate.delivery.nunit), which runs the tests itself.
options:
  files:
    description:
      - The results files, as paths on O(host).
      - One that is empty, cut off, no XML or no test results makes the outcome V(broken_results), and RV(msg) says where in it.
    type: list
    elements: str
    required: true
  host:
    description: The inventory host that has the files. By default the controller.
    type: str
  junit:
    description:
      - A file on the controller for all cases as JUnit XML, for Jenkins. A suite for each of O(files).
      - Cases in quarantine that did not pass are told as skipped, inconclusive ones as failed.
    type: path
extends_documentation_fragment:
  - action_common_attributes
  - tidegate.delivery.nunit_gate
attributes:
  check_mode:
    support: full
    details: Files are read and judged. O(junit) is not written.
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
notes:
  - What counts as what is in C(docs/test-results.md).
seealso:
  - module: tidegate.delivery.nunit
author:
  - The Tidegate contributors (@tidegate)
"""

EXAMPLES = r"""
- name: Judge what a build left behind, with one flaky test excused until the end of the year
  tidegate.delivery.nunit_results:
    files:
      - "{{ playbook_dir }}/results/unit.xml"
      - "{{ playbook_dir }}/results/smoke.trx"
    min_tests: 3
    required_tests: [S.Mixed.Passes]
    quarantine:
      - test: S.Mixed.Fails
        until: "2099-12-31"
        reason: TRADE-117
    junit: "{{ playbook_dir }}/results/junit.xml"

- name: Look at a file on the test box without failing
  tidegate.delivery.nunit_results:
    files: [/srv/tests/TestResult.xml]
    host: testbox
    categories:
      exclude: [Slow]
  register: tests
  failed_when: tests.outcome not in ['passed', 'failed']
"""

RETURN = r"""
outcome:
  description: V(passed), or what the gate found; V(failed), V(missing), V(too_few), V(no_tests), V(aborted), V(broken_results).
  returned: always
  type: str
  sample: passed
msg:
  description: What the gate says in a sentence; the tests that did not pass with the first lines of their messages; what to do next.
  returned: always
  type: str
  sample: of 6 tests 5 passed, 1 skipped
files:
  description: Each file's path, SHA-256, length in bytes and, if it could be read, format and number of cases.
  returned: when the files are there
  type: list
  elements: dict
  sample: [{path: results/unit.xml, format: NUnit 3, cases: 6, bytes: 8421, sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08}]
total:
  description: How many cases the files hold.
  returned: when the files are there
  type: int
  sample: 6
passed:
  description: How many passed.
  returned: when the files are there
  type: int
  sample: 5
failed_tests:
  description: How many failed, threw or could not be run.
  returned: when the files are there
  type: int
  sample: 0
inconclusive:
  description: How many came to no conclusion.
  returned: when the files are there
  type: int
  sample: 0
skipped_tests:
  description: How many were ignored.
  returned: when the files are there
  type: int
  sample: 1
left_out:
  description: How many did not count because of their categories.
  returned: when the files are there
  type: int
  sample: 0
failures:
  description: The cases that did not pass, at most 20.
  returned: when the files are there
  type: list
  elements: dict
  sample: [{name: TradeApi.Smoke.Quotes.HasAPrice, outcome: failed, message: "Expected: 12 But was: 0"}]
failing:
  description: The same as one line each.
  returned: when the files are there
  type: list
  elements: str
  sample: ["TradeApi.Smoke.Quotes.HasAPrice: Expected: 12 But was: 0"]
quarantined:
  description: Tests in quarantine that did not pass, at most 10.
  returned: when the files are there
  type: list
  elements: str
  sample: [TradeApi.Smoke.Quotes.IsFast]
expired_quarantine:
  description: Entries of O(quarantine) whose day is over, at most 10.
  returned: when the files are there
  type: list
  elements: str
  sample: ["TradeApi.Smoke.Quotes.IsFast on 2026-01-31: TRADE-117"]
"""
