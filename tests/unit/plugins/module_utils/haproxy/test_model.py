from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.service import Service
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.service_nunit import NUnitAim
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.model import (
    NOWHERE,
    Model,
    NodePort,
    Route,
    Server,
    front_end_problems,
    model,
)
from tests.unit.plugins.module_utils.written_haproxy import (
    GROUPS,
    addresses_of,
    eighty_services,
    placed,
    rendered,
    service,
)
from tests.waiting import PATIENCE_S

HERE = Path(__file__).parent.parent
ADDRESSES = {"n1": "192.0.2.11", "n2": "192.0.2.12", "lb1": "192.0.2.1"}


def made(*services: Service, shared: Sequence[str] = ("*:80",), **addresses: str) -> Model:
    return model(placed(*services), "lb1", {**ADDRESSES, **addresses}.__getitem__, shared)


def test_what_a_descriptor_leaves_out_comes_from_its_urls() -> None:
    what = made(service("trade", {"host": "trade.test"}, tests="http://{load_balancer}:8090"))
    [pool] = what.pools
    assert (pool.check, pool.servers[0]) == ("/health", Server("n1", "192.0.2.11", 8080))
    [testers] = what.testers
    assert (testers.address, testers.port, testers.node_ports) == ("192.0.2.1", 8090, ())


def test_what_a_descriptor_says_goes_before() -> None:
    written = {"server_port": 9000, "check": "/ready", "maintenance_port": 8100, "node_ports": 9100}
    what = made(service("trade", written, tests="http://{load_balancer}:8090"))
    assert (what.pools[0].check, what.pools[0].servers[0].port) == ("/ready", 9000)
    assert what.testers[0].port == 8100
    assert what.testers[0].node_ports == (NodePort(9100, "n1"), NodePort(9101, "n2"))
    # Neither host, path nor bind: a person writes the customers' front end.
    assert what.customers == ()


def test_the_port_of_the_tests_is_the_first_pools_alone() -> None:
    what = made(service("trade", {}, {"server_port": 9000}, tests="http://{load_balancer}:8090"))
    assert [(each.backend, each.port) for each in what.testers] == [("trade_maintenance", 8090)]
    assert made(service("trade", {})).testers == ()


def test_pools_without_the_part_stay_a_persons() -> None:
    what = made(service("trade", None), service("feed", {"path": "/feed"}))
    assert [pool.service for pool in what.pools] == ["feed"]
    assert what.by_hand == ("trade_online", "trade_maintenance")


def test_the_most_exact_route_comes_first() -> None:
    what = made(
        service("a", {"path": "/a"}),
        service("b", {"path": "/a/b"}),
        service("c", {"host": "c.test"}),
        service("d", {"host": "c.test", "path": "/d"}),
    )
    [front] = what.customers
    assert (front.name, front.binds, front.default) == ("customers_shared", ("*:80",), NOWHERE)
    assert front.routes == (
        Route("d_online", "c.test", "/d"),
        Route("c_online", "c.test", ""),
        Route("b_online", "", "/a/b"),
        Route("a_online", "", "/a"),
    )


def test_pools_with_the_same_bind_share_a_front_end_and_one_may_take_the_rest() -> None:
    bind = "*:8443 ssl crt /etc/haproxy/certs/"
    what = made(service("a", {"bind": bind}), service("b", {"bind": bind, "path": "/b"}), service("c", {"path": "/c"}))
    shared, own = what.customers
    assert (shared.name, own.name, own.binds) == ("customers_shared", "customers_any:8443", (bind,))
    assert (own.routes, own.default) == ((Route("b_online", "", "/b"),), "a_online")


def test_servers_are_listed_in_both_backends_with_their_ports() -> None:
    assert made(service("a", {"server_port": 81})).servers == [
        "a_online n1 81",
        "a_online n2 81",
        "a_maintenance n1 81",
        "a_maintenance n2 81",
    ]


@pytest.mark.parametrize("address", ["*", "0.0.0.0", "::", "[::]", "0", "0::0"])
def test_a_maintenance_front_end_is_never_open_to_all(address: str) -> None:
    with pytest.raises(BadInput) as error:
        made(service("a", {}), lb1=address)
    assert error.value.where == "lb1: tidegate_address"
    assert "which customers may reach" in error.value.message


@pytest.mark.parametrize("address", ["::1", "[::1]", "2001:db8::1", "[2001:db8::1]"])
def test_an_address_may_be_ipv6(address: str) -> None:
    assert f"server n1 {address}:8080 check" in rendered(made(service("a", {}), n1=address))


@pytest.mark.parametrize("address", ["n1 backup", "n1\n", "{{ x }}", "", "[n1]", "[::1]:80"])
def test_an_address_is_one_word(address: str) -> None:
    with pytest.raises(BadInput) as error:
        made(service("a", {}), n1=address)
    assert error.value.where == "n1: tidegate_address"


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"host": "a.test"}, {"host": "b.test"}, []),
        ({"host": "a.test"}, {"host": "a.test", "path": "/b"}, []),
        ({"host": "a.test"}, {"host": "a.test"}, ["one: pools.0.haproxy.host: a.test goes to other_online already"]),
        ({"path": "/a"}, {"path": "/a"}, ["one: pools.0.haproxy.path: /a goes to other_online already"]),
        ({"path": "/a"}, {"path": "/a", "bind": "*:81"}, []),
        (
            {"bind": "*:81"},
            {"bind": "*:81"},
            ["one: pools.0.haproxy.bind: every request that comes there goes to other_online already"],
        ),
        (
            {"bind": "*:81 ssl", "path": "/a"},
            {"bind": "*:81"},
            ["one: pools.0.haproxy.bind: other_online has other options for the same address"],
        ),
        (
            {"maintenance_port": 9101},
            {"node_ports": 9100},
            ["one: pools.0.haproxy.maintenance_port: port 9101 is also one of other_online"],
        ),
        (
            {"maintenance_port": 9001, "node_ports": 9000},
            {},
            ["one: pools.0.haproxy.node_ports: 9001 is the port for the header too"],
        ),
        ({"node_ports": 65535}, {}, ["one: pools.0.haproxy.node_ports: 2 nodes need ports up to 65536"]),
    ],
)
def test_what_two_pools_take_for_theirs_is_told_at_its_key(
    one: dict[str, Any], other: dict[str, Any], expected: list[str]
) -> None:
    found = front_end_problems(placed(service("one", one), service("other", other)))
    told = [f"{Path(each.file).stem}: {each.key}: {each.problem}" for each in found]
    assert [line for line in told if line.startswith("one")] == expected


def test_the_text_for_one_small_service_is_the_golden_one() -> None:
    written = {"host": "trade.test", "path": "/api", "node_ports": 9100}
    what = made(service("trade", written, tests="http://{load_balancer}:8090"))
    assert rendered(what) == (HERE / "haproxy_texts" / "trade.cfg").read_text()


def test_haproxy_takes_eighty_services_on_twelve_nodes_each(tmp_path: Path) -> None:
    everything = eighty_services()
    assert front_end_problems(everything) == []
    addresses = {**addresses_of(everything, "192.0.2"), "lb1": "127.0.0.1"}
    what = model(everything, "lb1", addresses.__getitem__, ["127.0.0.1:8000"])
    (tmp_path / "state").mkdir()
    sockets = {"tidegate_haproxy_socket": f"{tmp_path}/a.sock", "tidegate_haproxy_state_dir": f"{tmp_path}/state"}
    text = rendered(what, **sockets)
    (tmp_path / "tidegate.cfg").write_text(text)
    (tmp_path / "state" / "any").touch()
    began = time.monotonic()
    done = subprocess.run(
        ["haproxy", "-c", "-f", str(tmp_path / "tidegate.cfg")], capture_output=True, text=True, timeout=PATIENCE_S
    )
    elapsed = time.monotonic() - began
    assert done.returncode == 0, done.stderr[-2000:]
    assert "[ALERT]" not in done.stderr
    assert text.count("\n    server ") == 80 * 12 * 2
    # 0.15 to 0.4 s were measured on two busy cores. This only sees that nothing makes it a minute.
    assert elapsed < 60


def test_no_line_has_more_words_than_haproxy_takes() -> None:
    """64: "too many words, truncating after word 64" (2.6 and 2.8)."""
    nodes = [f"n{number}" for number in range(1, 201)]
    everything = placed(service("a", {"host": "a.test", "maintenance_port": 9000}), groups={**GROUPS, "nodes": nodes})
    text = rendered(model(everything, "lb1", lambda _: "192.0.2.1", ["*:80"]))
    assert max(len(line.split()) for line in text.splitlines()) <= 64
    known = [line.split()[5:] for line in text.splitlines() if line.split()[:2] == ["acl", "one_of_ours"]]
    assert [name for names in known for name in names] == nodes


def test_tests_that_aim_by_host_have_a_host_a_node() -> None:
    described = service("trade", {"host": "trade.test"}, tests="http://{load_balancer}:8090")
    assert described.verify.nunit
    nunit = described.verify.nunit.model_copy(update={"aim": NUnitAim(by="host", host="{node}.trade.internal")})
    verify = described.verify.model_copy(update={"nunit": nunit})
    text = rendered(made(described.model_copy(update={"verify": verify})))
    for node in ("n1", "n2"):
        when = f"req.hdr(host),field(1,:),lower -m str {node}.trade.internal"
        assert f"http-request set-header X-Tidegate-Node {node} if {{ {when} }}" in text
