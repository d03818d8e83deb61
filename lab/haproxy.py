"""The two load balancers: configuration, files and units."""

from __future__ import annotations

import resource
import subprocess

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from lab.files import free_all_but_the_end, write_file
from lab.haproxy_config import config
from lab.haproxy_socket import answers
from lab.layout import SHARED_PORT, Host, Layout
from lab.programs import program
from lab.supervise import Unit

# Two sockets a connection, and room for checks and the sockets that a reload hands over.
_MAX_CONNECTIONS = 4000
_SPARE_FILES = 400
# Some 600,000 requests: more than a load, and much more than the tests of a node, write while somebody follows.
_LOG_KEPT = 256 * 1024 * 1024
# The format's version and no server: HAProxy warns of a file that is missing or has no version.
_EMPTY_STATE = "1\n"


def unit_name(host: str) -> str:
    return f"{host}-haproxy"


def prepare(layout: Layout) -> None:
    """Write configurations and, where there are none, empty state files.

    A state file that is there is kept: it says who was out of which pool. Raises BadInput if HAProxy refuses the
    configuration.
    """
    for host in layout.load_balancers:
        _prepare(layout, host)


def _prepare(layout: Layout, host: Host) -> None:
    for folder in (host.haproxy_state_dir, host.haproxy_socket.parent, host.log):
        folder.mkdir(parents=True, exist_ok=True)
    for backend in backends(layout):
        if not (host.haproxy_state_dir / backend).exists():
            write_file(host.haproxy_state_dir / backend, _EMPTY_STATE)
    host.haproxy_lock.touch()
    bound_log(host)
    write_file(host.haproxy_config, config(layout, host, max_connections()))
    _validate(host)


def bound_log(host: Host) -> None:
    """Free what the log has of long ago: at each start of the lab and of a load."""
    free_all_but_the_end(host.haproxy_log, _LOG_KEPT)


def _validate(host: Host) -> None:
    argv = [program("haproxy"), "-c", "-f", str(host.haproxy_config)]
    done = subprocess.run(argv, capture_output=True, text=True, errors="replace", timeout=30, check=False)
    if done.returncode != 0:
        raise BadInput(
            f"HAProxy refuses the configuration: {done.stderr.strip()[-1500:]}",
            where=str(host.haproxy_config),
            remedy="The lab needs HAProxy 2.6 or newer: haproxy -v",
        )


def max_connections() -> int:
    """As many as the limit of open files allows, 4000 at the most."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY:
        return _MAX_CONNECTIONS
    return max(100, min(_MAX_CONNECTIONS, (hard - _SPARE_FILES) // 2))


def units(layout: Layout) -> list[Unit]:
    return [_unit(layout, host) for host in layout.load_balancers]


def _unit(layout: Layout, host: Host) -> Unit:
    master = f"{host.haproxy_master_socket},mode,600,level,admin"
    return Unit(
        name=unit_name(host.name),
        host=host.name,
        argv=[program("haproxy"), "-W", "-S", master, "-f", str(host.haproxy_config)],
        ready=lambda: answers(host.haproxy_socket) and answers(host.haproxy_master_socket),
        # HAProxy writes its requests to standard output, and what it has to say of itself to standard error.
        log=host.haproxy_log,
        errors=host.log / "haproxy-process.log",
        listens=[(host.address, port) for port in front_end_ports(layout)],
    )


def backends(layout: Layout) -> list[str]:
    """The names of all backends of a load balancer."""
    return [backend for service in layout.services for backend in (service.online, service.maintenance)]


def front_end_ports(layout: Layout) -> list[int]:
    """Every port that a load balancer listens on."""
    online = [service.online_port for service in layout.services if service.online_port]
    return [*online, SHARED_PORT, *(service.maintenance_port for service in layout.services)]
