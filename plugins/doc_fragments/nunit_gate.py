# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the actions that judge test results."""

from __future__ import annotations


class ModuleDocFragment:
    """Read by ansible-doc and, for the arguments, by plugin_utils/action/arguments.py."""

    DOCUMENTATION = r"""
options:
  min_tests:
    description: How many tests must at least have passed or failed.
    type: int
    default: 1
  allowed_failures:
    description: How many tests may at most not pass, inconclusive ones included.
    type: int
    default: 0
  required_tests:
    description:
      - Tests that must have run and passed, whatever O(allowed_failures) says.
      - O(categories) must let them run. One that a runner left out because of them is missing; one that is in the results counts as it ended.
      - By their full names as the results have them; without its arguments, all cases of a parameterised test.
    type: list
    elements: str
    default: []
  categories:
    description: Which cases count, by their own categories and those of their fixtures and assemblies.
    type: dict
    default: {}
    suboptions:
      include:
        description: If it names any, only cases of one of these count.
        type: list
        elements: str
        default: []
      exclude:
        description: Cases of one of these don't count, even if O(categories.include) names another one of theirs.
        type: list
        elements: str
        default: []
  quarantine:
    description:
      - Tests that may fail, or come to no conclusion, for some time. Of those that did, none counts for O(min_tests).
      - When its day is over, a test counts again, and the message names it.
    type: list
    elements: dict
    default: []
    suboptions:
      test:
        description: Its full name; without its arguments, all cases of a parameterised test.
        type: str
        required: true
      until:
        description: The last day of it in UTC, such as V(2026-12-31).
        type: str
        required: true
      reason:
        description: Why, for those who read it later. An issue's number, say.
        type: str
        required: true
"""
