# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the files in a deployment's folder are called: who writes them and who reads them must agree."""

from __future__ import annotations

import re

REPORT = "report.html"
_ODD = re.compile(r"[^A-Za-z0-9._-]")


def file_name(*parts: str | int) -> str:
    """A file's name of these parts, joined by dots; characters that it should not have become `_`."""
    return ".".join(_ODD.sub("_", str(part)) for part in parts)


def results_name(service: str, node: str, attempt: int) -> str:
    """Where the results of a node's tests are."""
    return f"nunit/{file_name(service, node, attempt)}.xml"


def puppet_name(node: str, attempt: int) -> str:
    """Where that is what the report of a node's Puppet run says."""
    return f"puppet/{file_name(node, attempt)}.json"
