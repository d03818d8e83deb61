from __future__ import annotations

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.access import DEFAULT_LOCK, AdminAccess

VARIABLES = {"tidegate_haproxy_socket": "/run/haproxy/admin.sock", "tidegate_haproxy_master_socket": "/run/master.sock"}
ACCESS = AdminAccess.from_hostvars("lb1", VARIABLES)


def test_access_comes_from_the_hosts_variables() -> None:
    given = {**VARIABLES, "tidegate_haproxy_state_dir": "/var/lib/haproxy/state/", "tidegate_haproxy_lock": "/run/l"}
    given["tidegate_haproxy_process"] = "-f /etc/edge.cfg"
    access = AdminAccess.from_hostvars("lb1", given)
    assert access == AdminAccess(
        "lb1", "/run/haproxy/admin.sock", "/run/master.sock", "/run/l", "/var/lib/haproxy/state", "-f /etc/edge.cfg"
    )
    assert (ACCESS.lock, ACCESS.state_dir) == (DEFAULT_LOCK, "")
    assert access.by_hand(["a", "b"]) == "echo 'a; b' | socat - UNIX-CONNECT:/run/haproxy/admin.sock"


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"tidegate_haproxy_socket": None}, "tidegate_haproxy_socket is not set"),
        ({"tidegate_haproxy_master_socket": ""}, "tidegate_haproxy_master_socket is not set"),
        ({"tidegate_haproxy_socket": "run/x"}, "tidegate_haproxy_socket is 'run/x'"),
        ({"tidegate_haproxy_lock": "/run/x,fork"}, "tidegate_haproxy_lock is '/run/x,fork'"),
        ({"tidegate_haproxy_process": "two\nlines"}, "tidegate_haproxy_process is 'two"),
        ({"tidegate_haproxy_state_dir": "/a b"}, "tidegate_haproxy_state_dir is '/a b'"),
    ],
)
def test_a_missing_or_unusable_variable_is_named_with_its_host(changed: dict[str, object], text: str) -> None:
    with pytest.raises(BadInput) as error:
        AdminAccess.from_hostvars("lb1", {**VARIABLES, **changed})
    assert text in str(error.value)
    assert "load balancer lb1" in str(error.value)
