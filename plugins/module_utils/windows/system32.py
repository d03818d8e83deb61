# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Windows has its own programs, named in full so that no other program of that name is started."""

from __future__ import annotations

SYSTEM32 = r"C:\Windows\System32"
