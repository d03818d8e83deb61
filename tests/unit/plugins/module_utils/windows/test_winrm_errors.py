"""Why there is no connection, by the texts that Ansible 2.19 and pywinrm 0.5 leave of it."""

from __future__ import annotations

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import (
    BadInput,
    DomainError,
    NotLetIn,
    Unreachable,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.winrm_errors import not_connected, not_usable

NO_LIBRARY = "WinRM Kerberos authentication requested but the python kerberos library is not installed."
KINIT = "Kerberos auth failure for principal deploy@EXAMPLE.COM: kinit: Preauthentication failed"


@pytest.mark.parametrize(
    ("reason", "kind", "remedy"),
    [
        ("ntlm: the specified credentials were rejected by the server", NotLetIn, "ansible_password"),
        (NO_LIBRARY, BadInput, "pywinrm[kerberos]"),
        (KINIT, NotLetIn, "kinit"),
        ("kerberos: HTTPSConnectionPool(host='w1', port=5986): Max retries exceeded", Unreachable, "the host is up"),
    ],
)
def test_what_to_do_is_told_by_what_it_was(reason: str, kind: type[DomainError], remedy: str) -> None:
    error = not_connected("w1", reason)
    assert type(error) is kind
    assert error.message == reason
    assert remedy in error.remedy


def test_an_error_without_a_text_is_an_answer_that_did_not_come() -> None:
    assert not_connected("w1", "kerberos:, ntlm:").message == "kerberos: no answer in time, ntlm: no answer in time"


def test_what_ansible_raises_of_a_time_out_is_no_missing_option() -> None:
    assert type(not_usable("w1", "the connection attempt timed out")) is Unreachable
    assert type(not_usable("w1", "transport x is not known")) is BadInput
