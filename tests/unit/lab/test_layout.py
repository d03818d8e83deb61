from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from lab.layout import DEFAULT_NET, DEFAULT_STATE, LONGEST_STATE_WITH_SOCKETS, Layout

# `sun_path` of unix(7), less its closing NUL; HAProxy binds `<path>.<pid>.tmp`, ssh `<path>.<16 characters>`.
SOCKET_PATH_LIMIT = 107
HAPROXY_SUFFIX = len(".4194304.tmp")
SSH_CONTROL_NAME = len("/0123456789.0123456789abcdef")


def test_the_environment_chooses_and_arguments_win() -> None:
    environ = {"TIDEGATE_LAB_NET": "127.7", "TIDEGATE_LAB_STATE": "/tmp/one"}
    assert Layout.of(environ=environ) == Layout("127.7", Path("/tmp/one"))
    assert Layout.of("127.8", "/tmp/two", environ) == Layout("127.8", Path("/tmp/two"))
    assert Layout.of(environ={"TIDEGATE_LAB_NET": "", "TIDEGATE_LAB_STATE": ""}) == Layout(DEFAULT_NET, DEFAULT_STATE)


@pytest.mark.parametrize("net", ["127", "10.1", "127.256", "127.1.2", "127.x", "128.1", "127.-1", " 127.1"])
def test_only_loopback_networks_are_taken(net: str) -> None:
    with pytest.raises(BadInput, match=r"is no loopback prefix.*--net"):
        Layout(net, Path("/tmp/x"))


@pytest.mark.parametrize("state", ["relative", "/with blank", "/with'quote", "/with%percent", "/with\nline", "/$HOME"])
def test_a_state_folder_that_configurations_would_misread_is_refused(state: str) -> None:
    with pytest.raises(BadInput, match=r"can't be a state folder.*--state"):
        Layout("127.1", Path(state))


def test_each_host_has_an_address_and_a_root_of_its_own() -> None:
    layout = Layout("127.9", Path("/tmp/x"))
    assert len({host.address for host in layout.hosts}) == len({host.root for host in layout.hosts}) == 12
    assert all(host.address.startswith("127.9.") for host in layout.hosts)
    assert layout.host("n6").address == "127.9.1.6"


def test_n6_hosts_both_services_and_p1_only_the_second() -> None:
    layout = Layout("127.9", Path("/tmp/x"))
    assert [service.name for service in layout.services_on("n6")] == ["tradeapi", "pricefeed"]
    assert [service.name for service in layout.services_on("p1")] == ["pricefeed"]
    assert {host.name for host in layout.nodes} == {node for service in layout.services for node in service.nodes}


@pytest.mark.parametrize("length", [10, LONGEST_STATE_WITH_SOCKETS, LONGEST_STATE_WITH_SOCKETS + 1, 200])
def test_sockets_fit_into_their_limit_however_deep_the_state_folder_is(
    length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # The real place for short folders.
    layout = Layout("127.9", Path("/" + "d" * (length - 1)))
    for host in layout.load_balancers:
        for path in (host.haproxy_socket, host.haproxy_master_socket):
            assert len(str(path)) + HAPROXY_SUFFIX <= SOCKET_PATH_LIMIT
    assert len(str(layout.control_path_dir)) + SSH_CONTROL_NAME <= SOCKET_PATH_LIMIT


def test_two_deep_labs_do_not_share_their_short_folder() -> None:
    one, two = (Layout("127.9", Path(f"/{'d' * 100}/{name}")) for name in "ab")
    assert one.runtime != two.runtime
    assert one.runtime_is_elsewhere
