"""The lab's puppetserver, its certificate authority, and an agent with a confdir of its own for each node.

The server's command line and the agents' settings follow what was seen to work with puppetserver 7.9.5 and
puppet-agent 7.23 on Debian 12, without systemd and without touching /etc.
"""

from __future__ import annotations

import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from string import Template

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DeadlineExceeded, DomainError
from lab import build
from lab.agents import RUN_TIMEOUT_S, environment_data, run_agent, run_puppet, write_yaml
from lab.files import write_file
from lab.layout import FIRST_VERSION, PROJECT, PUPPET_PORT, Host, Layout, Service
from lab.programs import program
from lab.supervise import Unit

SOURCES = PROJECT / "lab" / "puppet"
DEBIAN = Path("/etc/puppet/puppetserver")
JAR = "/usr/share/puppetserver/puppetserver.jar"
# About 35 s alone on a machine; a busy one takes its time.
SERVER_DEADLINE_S = 300.0
SERVICE_DEADLINE_S = 120.0
# A first run costs two seconds of CPU and waits up to five for runsvdir to see the new service.
RUNS_AT_ONCE = 4
# 0 unchanged, 2 changed: what a run with --detailed-exitcodes answers when nothing failed.
GOOD_RUN = (0, 2)

Say = Callable[[str], None]


def prepare(layout: Layout) -> None:
    """Write the configuration of server and agents, the environment with its data, and publish the artifacts."""
    build.prepare(layout)
    _prepare_server(layout)
    _prepare_environment(layout)
    for host in layout.nodes:
        _prepare_node(layout, host)


def units(layout: Layout) -> list[Unit]:
    """The puppetserver, and each node's own supervision tree."""
    return [_server_unit(layout), *(_tree_unit(layout, host) for host in layout.nodes)]


def enrol(layout: Layout, say: Say = print) -> None:
    """Give every node that has none a certificate of the lab's authority; a first run would do the same by itself."""
    bare = [host for host in layout.nodes if not certificate(host).exists()]
    _in_parallel(lambda host: _enrol(layout, host, say), bare)


def first_run(layout: Layout, say: Say = print) -> None:
    """Run Puppet once on every node that is not set up yet, then wait until all services answer."""
    bare = [host for host in layout.nodes if not is_set_up(layout, host)]
    _in_parallel(lambda host: _first_run(layout, host, say), bare)
    for service in layout.services:
        for node in service.nodes:
            _await_service(layout, node, service)


def certificate(host: Host) -> Path:
    return host.puppet_ssldir / "certs" / f"{host.certname}.pem"


def is_set_up(layout: Layout, host: Host) -> bool:
    """Has a Puppet run brought all services of that node under supervision? (Their links are made last.)"""
    return all((host.service_tree / service.name).is_symlink() for service in layout.services_on(host.name))


# -- the server --------------------------------------------------------------------------------------------------------
def _prepare_server(layout: Layout) -> None:
    host = layout.puppet
    values = _server_values(layout)
    for name in ("puppet.conf", "autosign.conf", "hiera.yaml"):
        _render(SOURCES / "server" / name, host.puppet_confdir / name, values)
    own = host.etc / "puppetserver"
    _render(SOURCES / "server" / "logback.xml", own / "logback.xml", values)
    for name in ("auth.conf", "ca.conf", "web-routes.conf"):
        _copy(DEBIAN / "conf.d" / name, own / "conf.d" / name)
    for name in ("bootstrap.cfg", "ca.cfg"):
        _copy(DEBIAN / "services.d" / name, own / "services.d" / name)
    for path in sorted((SOURCES / "server" / "conf.d").iterdir()):
        _render(path, own / "conf.d" / path.name, values)
    for folder in (
        host.puppet_vardir,
        host.run / "puppet",
        host.log / "puppet",
        layout.rollout_dir / "nodes",
        _tmp(host),
    ):
        folder.mkdir(parents=True, exist_ok=True)


def _server_values(layout: Layout) -> dict[str, object]:
    host = layout.puppet
    return {
        "address": host.address,
        "port": PUPPET_PORT,
        "certname": host.certname,
        "confdir": host.puppet_confdir,
        "codedir": layout.puppet_code_dir,
        "vardir": host.puppet_vardir,
        "run": host.run / "puppet",
        "log": host.log / "puppet",
        "puppetserver": host.etc / "puppetserver",
    }


def _server_unit(layout: Layout) -> Unit:
    host = layout.puppet
    return Unit(
        name="puppetserver",
        host=host.name,
        argv=_server_argv(host),
        ready=lambda: server_is_running(layout),
        log=layout.log / "puppetserver.log",
        env=layout.environment,
        deadline_s=SERVER_DEADLINE_S,
        listens=((host.address, PUPPET_PORT),),
    )


def _server_argv(host: Host) -> list[str]:
    own = host.etc / "puppetserver"
    java = ["-Xms256m", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData"]
    properties = [
        "-Djruby.logger.class=com.puppetlabs.jruby_utils.jruby.Slf4jLogger",
        "-Djruby.lib=/usr/share/jruby/lib",
        f"-Djava.io.tmpdir={_tmp(host)}",
    ]
    options = ["--config", own / "conf.d", "--bootstrap-config", own / "services.d"]
    restart = ["--restart-file", host.puppet_vardir / "restart"]
    return [program("java"), *java, *properties, "-jar", JAR, *map(str, options + restart)]


def _tmp(host: Host) -> Path:
    return host.root / "tmp"


def server_is_running(layout: Layout) -> bool:
    """Does the server say that all of its parts run?"""
    context = ssl.create_default_context()
    # Its authority is made at its first start; this question carries no secret and the answer no authority.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return _get(f"{layout.puppet_url}/status/v1/simple", context) == "running"


# -- the environment ---------------------------------------------------------------------------------------------------
def _prepare_environment(layout: Layout) -> None:
    target = layout.puppet_code_dir / "environments" / "production"
    shutil.copytree(SOURCES / "production", target, dirs_exist_ok=True)
    shutil.copytree(PROJECT / "puppet", target / "modules" / "tidegate", dirs_exist_ok=True)
    data = environment_data(layout)
    (data / "nodes").mkdir(parents=True, exist_ok=True)
    write_yaml(data / "common.yaml", _common_data(layout))
    for host in layout.nodes:
        write_yaml(data / "hosts" / f"{host.certname}.yaml", _host_data(layout, host))


def _common_data(layout: Layout) -> dict[str, object]:
    data: dict[str, object] = {}
    for service in layout.services:
        data[f"{service.name}::version"] = FIRST_VERSION
        data[f"{service.name}::digest"] = build.digest(layout, service.name, FIRST_VERSION)
        data[f"{service.name}::port"] = service.port
    return data


def _host_data(layout: Layout, host: Host) -> dict[str, object]:
    return {
        "classes": [service.name for service in layout.services_on(host.name)],
        "monoservice::node": host.name,
        "monoservice::address": host.address,
        "monoservice::repository": layout.artifacts_url,
        "monoservice::releases": str(host.releases),
        "monoservice::definitions": str(host.service_definitions),
        "monoservice::supervised": str(host.service_tree),
        "monoservice::logs": str(host.log),
        "tidegate::environment": "lab",
        "tidegate::protected": False,
        "tidegate::ledger": f"sqlite:///{layout.ledger}",
        "tidegate::folder": str((host.program_data if host.windows_like else host.etc) / "tidegate"),
    }


# -- the nodes ---------------------------------------------------------------------------------------------------------
def _prepare_node(layout: Layout, host: Host) -> None:
    values = {
        "certname": host.certname,
        "vardir": host.puppet_vardir,
        "ssldir": host.puppet_ssldir,
        "facts": host.facts_dir,
        "run": host.run / "puppet",
        "log": host.log / "puppet",
        "server": layout.puppet.address,
        "port": PUPPET_PORT,
    }
    _render(SOURCES / "node.conf", host.puppet_confdir / "puppet.conf", values)
    for folder in (host.facts_dir, host.service_tree, host.service_definitions, host.releases, host.log, host.run):
        folder.mkdir(parents=True, exist_ok=True)


def _tree_unit(layout: Layout, host: Host) -> Unit:
    return Unit(
        name=f"{host.name}-services",
        host=host.name,
        argv=[program("runsvdir"), "-P", str(host.service_tree)],
        ready=host.service_tree.is_dir,
        log=layout.log / f"{host.name}-services.log",
        env=layout.environment,
        listens=[(host.address, service.port) for service in layout.services_on(host.name)],
        hang_up=True,
    )


def _enrol(layout: Layout, host: Host, say: Say) -> None:
    argv = [program("puppet"), "ssl", "bootstrap", "--confdir", str(host.puppet_confdir), "--waitforcert", "0"]
    run = run_puppet(layout, host, argv, RUN_TIMEOUT_S)
    if run.exit_code != 0:
        raise DomainError(
            f"No certificate: puppet ssl ended with {run.exit_code}: {_last_words(run.output)}",
            where=host.name,
            remedy=f"See {layout.log / 'puppetserver.log'}.",
        )
    say(f"{host.name}: certificate {host.certname} ({run.seconds:.1f} s)")


def _first_run(layout: Layout, host: Host, say: Say) -> None:
    run = run_agent(layout, host.name)
    if run.exit_code not in GOOD_RUN:
        raise DomainError(
            f"The first Puppet run ended with {run.exit_code}: {_last_words(run.output)}",
            where=host.name,
            remedy=f"See {run.report} and {layout.log / 'puppetserver.log'}.",
        )
    say(f"{host.name}: first Puppet run ({run.seconds:.1f} s)")


def _await_service(layout: Layout, node: str, service: Service) -> None:
    host = layout.host(node)
    url = f"http://{host.address}:{service.port}/health"
    deadline = time.monotonic() + SERVICE_DEADLINE_S
    while _get(url) is None:
        if time.monotonic() > deadline:
            raise DeadlineExceeded(
                f"{service.name} does not answer {url} after {SERVICE_DEADLINE_S:.0f} s",
                where=node,
                remedy=f"See {host.log / service.name / 'current'}.",
            )
        time.sleep(0.1)


# -- small things ------------------------------------------------------------------------------------------------------
def _in_parallel(do: Callable[[Host], None], hosts: Iterable[Host]) -> None:
    """Do it for all hosts, a few at a time; the first error is raised when all have ended."""
    with ThreadPoolExecutor(RUNS_AT_ONCE) as pool:
        for done in [pool.submit(do, host) for host in hosts]:
            done.result()


def _render(source: Path, target: Path, values: dict[str, object]) -> None:
    write_file(target, Template(source.read_text(encoding="utf-8")).safe_substitute(values))


def _copy(source: Path, target: Path) -> None:
    """Debian's own file, as the package ships it."""
    write_file(target, source.read_text(encoding="utf-8"))


def _get(url: str, context: ssl.SSLContext | None = None) -> str | None:
    try:
        with urllib.request.urlopen(url, timeout=1, context=context) as answer:  # noqa: S310
            return str(answer.read(64 * 1024).decode("utf-8", "replace"))
    except (OSError, urllib.error.URLError):
        return None


def _last_words(output: str) -> str:
    return " | ".join(output.strip().splitlines()[-5:])[:2000]
