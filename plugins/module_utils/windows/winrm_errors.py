# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pywinrm and requests raise, as outcomes that say what is known and what to do next.

Codes of faults are wsmerror.h's, small ones winerror.h's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from xml.etree.ElementTree import ParseError

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, NotLetIn, Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.node import NoSuchProgram, ShellLost

try:
    from requests.exceptions import RequestException
    from winrm.exceptions import (
        InvalidCredentialsError,
        WinRMError,
        WinRMOperationTimeoutError,
        WinRMTransportError,
        WSManFaultError,
    )
except ImportError:
    # Connecting says what is missing; until then these catch nothing.
    class WinRMError(Exception):  # type: ignore[no-redef]
        """Not there."""

    class WSManFaultError(WinRMError):  # type: ignore[no-redef]
        """Not there."""

    InvalidCredentialsError = WinRMOperationTimeoutError = WinRMTransportError = RequestException = WinRMError  # type: ignore[misc,assignment]

try:
    from spnego.exceptions import SpnegoError
except ImportError:
    # It comes with NTLM, without which nobody raises it.
    SpnegoError = RequestException  # type: ignore[misc,assignment]

__all__ = [
    "DROPPED",
    "NO_SUCH_SHELL",
    "TOO_MANY_COMMANDS",
    "TROUBLE",
    "InvalidCredentialsError",
    "WSManFaultError",
    "WinRMOperationTimeoutError",
    "not_connected",
    "not_usable",
    "told",
]

# ERROR_WSMAN_UNEXPECTED_SELECTORS is what a shell that isn't there gets.
NO_SUCH_SHELL = 0x8033805B
# ERROR_WSMAN_QUOTA_MAX_OPERATIONS.
TOO_MANY_COMMANDS = 0x803381A6
# ERROR_WSMAN_QUOTA_MAX_SHELLS, and the older ERROR_WSMAN_QUOTA_LIMIT.
_NO_SHELL_FREE = (0x803381A5, 0x8033803F)
# ERROR_OPERATION_ABORTED: the shell was deleted while we waited for an answer.
_ABORTED = 995
_NO_SUCH_PROGRAM = (2, 3)
# Content Too Large: what HTTP.sys answers beyond MaxEnvelopeSizekb.
_TOO_LARGE = 413
# What pywinrm raises when an answer is something else than it expects: it has no error of its own for that.
_MALFORMED = (ParseError, StopIteration, AssertionError, ValueError, LookupError, AttributeError)
# What a connection that drops, or doesn't come about, ends a request with: the shell on the node goes on.
DROPPED = (WinRMTransportError, RequestException, SpnegoError)
# Whatever may go wrong with a request.
TROUBLE = (WinRMError, WinRMOperationTimeoutError, *DROPPED, *_MALFORMED)
# pywinrm's error for an answer that the node didn't get ready in time has no text, and Ansible writes `ntlm: ` of it.
_WITHOUT_TEXT = re.compile(r":\s*(?=,|$)")
_BRINGS = "what may be missing comes with: pip install 'tidegate[winrm]', for Kerberos 'pywinrm[kerberos]'"
_READ_BACK = "Whether it ran is unknown: the next run reads the state back"


@contextmanager
def told(host: str, program: str) -> Iterator[None]:
    """pywinrm's and requests' errors while `program` was asked for on `host`, as BadInput, Unreachable or ShellLost."""
    try:
        yield
    except InvalidCredentialsError as error:
        raise not_connected(host, str(error)) from None
    except WSManFaultError as fault:
        raise _of_fault(host, fault, program) from None
    except WinRMOperationTimeoutError:
        raise Unreachable(
            f"{program} took no more of its input, or the node is busy", where=host, remedy=_READ_BACK
        ) from None
    except DROPPED as error:
        if getattr(error, "code", None) == _TOO_LARGE:
            raise BadInput(
                f"a request for {program} is larger than the node's WinRM takes",
                where=host,
                remedy="Raise MaxEnvelopeSizekb there (winrm get winrm/config)",
            ) from None
        detail = " ".join(str(error).split())[:300]
        raise Unreachable(f"the answer to {program} broke off: {detail}", where=host, remedy=_READ_BACK) from None
    except WinRMError as error:
        raise Unreachable(str(error)[:300], where=host, remedy=_READ_BACK) from None
    except _MALFORMED as error:
        raise Unreachable(
            f"the answer to {program} is not WS-Management's: {type(error).__name__}",
            where=host,
            remedy=f"See that ansible_host and ansible_port are WinRM's, and no proxy's. {_READ_BACK}",
        ) from None


def not_usable(host: str, reason: object) -> BadInput | Unreachable:
    """The connection can't be tried at all. Ansible raises the same for one that was, and got no answer in time."""
    told = " ".join(str(reason).split())[:500]
    if "timed out" in told:
        return not_connected(host, told)
    return BadInput(told, where=host, remedy=f"Check the connection variables; {_BRINGS}")


def not_connected(host: str, reason: str) -> BadInput | Unreachable:
    """It was tried, and this is what Ansible or pywinrm said."""
    if "credentials were rejected" in reason or "requires a" in reason:
        kind = NotLetIn if "credentials were rejected" in reason else BadInput
        return kind(reason, where=host, remedy="Check ansible_user, ansible_password and ansible_winrm_transport")
    if "library is not installed" in reason:
        return not_usable(host, reason)
    if "Kerberos auth failure" in reason:
        # kinit's: as if the node itself refused the password, it may count towards locking the account.
        return NotLetIn(
            reason,
            where=host,
            remedy="Run kinit for ansible_user on the controller: it tells whether the password, /etc/krb5.conf or the "
            "domain controller is what is wrong",
        )
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        return BadInput(
            "the node's certificate is not trusted",
            where=host,
            remedy="Set ansible_winrm_ca_trust_path to the certificate of who signed it",
        )
    # Ansible makes a shell to try the transport, and of a fault only pywinrm's text is left.
    if any(f"'wsmanfault_code': {code}" in reason for code in _NO_SHELL_FREE):
        return _no_shell(host, reason.partition(" (extended")[0])
    return Unreachable(
        _WITHOUT_TEXT.sub(": no answer in time", reason),
        where=host,
        remedy="Check that the host is up and that WinRM listens on ansible_port",
    )


def _no_shell(host: str, reason: str) -> Unreachable:
    return Unreachable(
        f"WinRM gives no shell: {reason}",
        where=host,
        remedy="Nothing ran. End shells that others left there, or raise MaxShellsPerUser",
    )


def _of_fault(host: str, fault: WSManFaultError, program: str) -> BadInput | Unreachable:
    if fault.wsman_fault_code in (NO_SUCH_SHELL, _ABORTED):
        return ShellLost(
            f"the shell that {program} ran in is gone, and {program} with it",
            where=host,
            remedy="How far it came is unknown: the next run reads the state back and runs it again",
        )
    if fault.wsman_fault_code in _NO_SUCH_PROGRAM:
        return NoSuchProgram(f"there is no {program}", where=host, remedy="Install it on the node, or correct the path")
    if fault.wsman_fault_code in _NO_SHELL_FREE:
        return _no_shell(host, fault.reason)
    return Unreachable(f"WinRM refused: {fault.reason}", where=host, remedy=_READ_BACK)
