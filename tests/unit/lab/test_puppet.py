from __future__ import annotations

import configparser
import re
import threading
from pathlib import Path

import pytest
import yaml

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DeadlineExceeded, DomainError
from lab import puppet
from lab.agents import AgentRun
from lab.layout import Host, Layout
from tests.waiting import PATIENCE_S


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(net="127.254", state=tmp_path / "lab")


@pytest.fixture
def prepared(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """A lab with all of Puppet's files, and artifacts that nobody compiled."""
    monkeypatch.setattr("lab.build.prepare", lambda layout: None)
    monkeypatch.setattr("lab.build.digest", lambda layout, service, version: f"{service} {version}".encode().hex())
    puppet.prepare(layout)
    return layout


def settings(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(path)
    return parser


def test_a_nodes_files_are_all_beneath_its_own_root(prepared: Layout) -> None:
    host = prepared.host("n2")
    main = settings(host.puppet_confdir / "puppet.conf")["main"]
    for name in ("vardir", "ssldir", "statedir", "publicdir", "logdir"):
        assert Path(main[name]).is_relative_to(prepared.state / "hosts" / "n2"), name
    assert Path(main["rundir"]).is_relative_to(host.run)
    assert (main["certname"], main["server"], main["http_keepalive_timeout"]) == ("n2.lab", "127.254.0.10", "0")
    assert settings(host.puppet_confdir / "puppet.conf")["agent"]["splay"] == "false"


def test_the_servers_certificate_covers_its_address(prepared: Layout) -> None:
    server = settings(prepared.puppet.puppet_confdir / "puppet.conf")
    assert "IP:127.254.0.10" in server["server"]["dns_alt_names"].split(",")
    assert server["server"]["environment_timeout"] == "0"


def test_no_placeholder_is_left_in_the_servers_configuration(prepared: Layout) -> None:
    own = prepared.puppet.etc / "puppetserver"
    rendered = [own / "logback.xml", prepared.puppet.puppet_confdir / "puppet.conf"]
    rendered += [own / "conf.d" / name for name in ("global.conf", "webserver.conf", "puppetserver.conf")]
    for path in rendered:
        assert not re.search(r"\$\w", path.read_text()), path
    assert f'ssl-host: "{prepared.puppet.address}"' in (own / "conf.d" / "webserver.conf").read_text()


def test_pins_are_above_released_values_and_those_above_the_environment(prepared: Layout) -> None:
    top = yaml.safe_load((prepared.puppet.puppet_confdir / "hiera.yaml").read_text())
    node, of_itself, common = top["hierarchy"]
    assert (node["path"], common["path"]) == ("nodes/%{trusted.certname}.yaml", "common.yaml")
    assert of_itself["lookup_key"] == "tidegate::pinned_by_the_node"
    assert prepared.puppet.puppet_confdir / top["defaults"]["datadir"] == prepared.rollout_dir
    production = prepared.puppet_code_dir / "environments" / "production"
    below = yaml.safe_load((production / "hiera.yaml").read_text())
    assert [level["path"] for level in below["hierarchy"]] == [
        "nodes/%{trusted.certname}.yaml",
        "hosts/%{trusted.certname}.yaml",
        "common.yaml",
    ]


def test_the_first_version_and_its_digest_are_common_data(prepared: Layout) -> None:
    data = prepared.puppet_code_dir / "environments" / "production" / "data"
    common = yaml.safe_load((data / "common.yaml").read_text())
    assert common["tradeapi::version"] == common["pricefeed::version"] == "1.0.0"
    assert common["tradeapi::digest"] == b"tradeapi 1.0.0".hex()
    assert (common["tradeapi::port"], common["pricefeed::port"]) == (8080, 8082)


@pytest.mark.parametrize(
    ("node", "classes"), [("n1", ["tradeapi"]), ("n6", ["tradeapi", "pricefeed"]), ("p1", ["pricefeed"])]
)
def test_each_node_gets_its_services_and_its_own_folders(prepared: Layout, node: str, classes: list[str]) -> None:
    data = prepared.puppet_code_dir / "environments" / "production" / "data"
    values = yaml.safe_load((data / "hosts" / f"{node}.lab.yaml").read_text())
    assert values["classes"] == classes
    assert values["monoservice::address"] == prepared.host(node).address
    assert values["monoservice::supervised"] == str(prepared.host(node).service_tree)


def test_preparing_again_keeps_what_was_pinned_and_told(prepared: Layout) -> None:
    pin = prepared.rollout_dir / "nodes" / "n1.lab.yaml"
    pin.write_text("tradeapi::version: 1.1.0\n")
    data = prepared.puppet_code_dir / "environments" / "production" / "data" / "nodes" / "n1.lab.yaml"
    data.write_text("tradeapi::restart: false\n")
    puppet.prepare(prepared)
    assert "1.1.0" in pin.read_text()
    assert "false" in data.read_text()


def test_there_is_one_server_and_a_tree_per_node_all_marked(layout: Layout) -> None:
    units = puppet.units(layout)
    assert [unit.name for unit in units] == ["puppetserver", *(f"{host.name}-services" for host in layout.nodes)]
    assert all(unit.env.items() >= layout.environment.items() for unit in units)
    assert all(unit.hang_up for unit in units[1:])
    assert "-Xmx512m" in units[0].argv
    assert units[0].deadline_s == 300


def run_result(exit_code: int, output: str = "") -> AgentRun:
    return AgentRun(exit_code, output, Path("/report"), 1.0)


def set_up(layout: Layout, host: Host) -> None:
    host.service_tree.mkdir(parents=True, exist_ok=True)
    for service in layout.services_on(host.name):
        (host.service_tree / service.name).symlink_to("elsewhere")


def test_first_runs_are_for_nodes_without_services_and_several_at_a_time(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(layout, layout.host("n1"))
    both = threading.Barrier(2, timeout=PATIENCE_S)
    seen: list[str] = []

    def run_agent(layout: Layout, node: str) -> AgentRun:
        both.wait()
        seen.append(node)
        return run_result(2)

    monkeypatch.setattr(puppet, "run_agent", run_agent)
    monkeypatch.setattr(puppet, "_await_service", lambda *_: None)
    said: list[str] = []
    puppet.first_run(layout, said.append)
    assert sorted(seen) == ["n2", "n3", "n4", "n5", "n6", "p1"]
    assert "n2: first Puppet run (1.0 s)" in said


@pytest.mark.parametrize("exit_code", [1, 4, 6])
def test_a_first_run_that_fails_names_node_and_reason(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, exit_code: int
) -> None:
    monkeypatch.setattr(puppet, "run_agent", lambda layout, node: run_result(exit_code, "Info: x\nError: no catalog"))
    with pytest.raises(DomainError, match=rf"first Puppet run ended with {exit_code}: .*Error: no catalog \(n1\)"):
        puppet.first_run(layout, lambda text: None)


def test_a_node_with_only_one_of_its_services_is_not_set_up(layout: Layout) -> None:
    host = layout.host("n6")
    assert not puppet.is_set_up(layout, host)
    host.service_tree.mkdir(parents=True)
    (host.service_tree / "tradeapi").symlink_to("elsewhere")
    assert not puppet.is_set_up(layout, host)
    (host.service_tree / "pricefeed").symlink_to("elsewhere")
    assert puppet.is_set_up(layout, host)


def test_only_nodes_without_a_certificate_are_enrolled(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    for host in layout.nodes[1:]:
        puppet.certificate(host).parent.mkdir(parents=True)
        puppet.certificate(host).write_text("there")
    commands: list[list[str]] = []

    def run_puppet(layout: Layout, host: Host, argv: list[str], timeout_s: float) -> AgentRun:
        commands.append(argv[1:])
        return run_result(0)

    monkeypatch.setattr(puppet, "run_puppet", run_puppet)
    puppet.enrol(layout, lambda text: None)
    confdir = str(layout.host("n1").puppet_confdir)
    assert commands == [["ssl", "bootstrap", "--confdir", confdir, "--waitforcert", "0"]]


def test_a_refused_certificate_names_the_servers_log(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(puppet, "run_puppet", lambda *_: run_result(1, "Error: not signed"))
    with pytest.raises(DomainError, match=r"not signed \(n1\)\. See .*puppetserver\.log"):
        puppet.enrol(layout, lambda text: None)


def test_a_service_that_stays_silent_is_told_with_its_log(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(puppet, "SERVICE_DEADLINE_S", 0.1)
    with pytest.raises(DeadlineExceeded, match=r"tradeapi does not answer http://127\.254\.1\.4:8080/health .*\(n4\)"):
        puppet._await_service(layout, "n4", layout.services[0])
