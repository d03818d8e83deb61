# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What some actions need beside Ansible, and how to get it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ansible.errors import AnsibleError


@contextmanager
def pipeline() -> Iterator[None]:
    """For imports that fail where only the collection is installed: an AnsibleError then says what to install."""
    try:
        yield
    except ImportError as error:
        raise AnsibleError(
            f"This action needs the pipeline, which Ansible's Python lacks: {error} ({sys.executable}). "
            f"Install it there: {sys.executable} -m pip install tidegate"
        ) from None
