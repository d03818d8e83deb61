# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong, as values with a place and a remedy."""

from __future__ import annotations


class DomainError(Exception):
    """Something that a user, a node or a server caused: told in one message, never as a traceback.

    `message` says what happened, `where` names file, key or host, `remedy` says what to do next.
    """

    reason = "failed"

    def __init__(self, message: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        what = f"{self.message.rstrip('.')}{place}."
        return f"{what} {self.remedy}".rstrip()


class BadInput(DomainError):
    """What was given can't be read or is out of bounds; nothing was touched."""

    reason = "bad_input"


class NotLetIn(BadInput):
    """User or password were refused; nothing was touched. A node that starts refuses right ones, too."""


class Refused(DomainError):
    """A rule forbids it (floor, owner, lock, permit); nothing was touched."""

    reason = "refused"


class Locked(Refused):
    """Somebody else holds the lock; `deployment` is the one that it is held for, where that is known."""

    reason = "locked"

    def __init__(self, message: str, *, where: str = "", remedy: str = "", deployment: str = "") -> None:
        super().__init__(message, where=where, remedy=remedy)
        self.deployment = deployment


class Unreachable(DomainError):
    """No connection, or it broke: what was asked may or may not have happened. Read back."""

    reason = "unreachable"


class DeadlineExceeded(DomainError):
    """What was waited for did not come in time."""

    reason = "deadline"


class Stopped(DomainError):
    """Somebody asked to stop: the step did not begin, or gave up its wait and left a defined state."""

    reason = "stopped"
