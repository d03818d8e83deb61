"""The text of a load balancer's haproxy.cfg, as pure functions of the layout."""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.log import RUN_HEADER
from lab.layout import SHARED_PORT, Host, Layout, Service

AIM_HEADER = "X-Tidegate-Node"
SERVED_BY_HEADER = "X-Served-By"
LABEL_HEADER = "X-Load"
REQUEST_ID_HEADER = "X-Request-Id"

# One JSON object a request; HAProxy's own notices ("Proxy … stopped") stand between them as plain text. `time` is when
# it was accepted, in seconds since the epoch;
# `retries` begins with + if the request was redispatched; timers are milliseconds, -1 where that phase was not reached.
_LOG_FIELDS = (
    ("time", "%Ts.%ms"),
    ("frontend", '"%f"'),
    ("backend", '"%b"'),
    ("server", '"%s"'),
    ("status", "%ST"),
    ("termination", '"%tsc"'),
    ("retries", '"%rc"'),
    ("request_ms", "%TR"),
    ("queue_ms", "%Tw"),
    ("connect_ms", "%Tc"),
    ("response_ms", "%Tr"),
    ("total_ms", "%Ta"),
    ("bytes", "%B"),
    ("client", '"%ci:%cp"'),
    # Before what may be long, and so be cut.
    ("run", '"%[capture.req.hdr(2),json(utf8s)]"'),
    ("method", '"%HM"'),
    ("uri", '"%[capture.req.uri,json(utf8s)]"'),
    ("load", '"%[capture.req.hdr(0),json(utf8s)]"'),
    ("request_id", '"%[capture.req.hdr(1),json(utf8s)]"'),
)


def customers(name: str) -> str:
    """The name of a front end that customers use: a service's, or `shared`."""
    return f"{name}_customers"


def testers(name: str) -> str:
    """The name of the front end to a service's maintenance pool."""
    return f"{name}_testers"


def log_format() -> str:
    """The JSON object as HAProxy's log-format, inside single quotes of its configuration language."""
    return "{" + ",".join(f'"{key}":{value}' for key, value in _LOG_FIELDS) + "}"


def config(layout: Layout, host: Host, max_connections: int) -> str:
    """The whole file for one load balancer."""
    parts = [_global(host, max_connections), _defaults(), _shared_front_end(layout, host)]
    for service in layout.services:
        if service.online_port:
            parts.append(_online_front_end(service, host, service.online_port))
        parts += [_maintenance_front_end(service, host), _online(layout, service), _maintenance(layout, service)]
    return "\n".join(parts)


def _section(head: str, lines: Iterable[str]) -> str:
    return "\n".join([head, *(f"    {line}" for line in lines), ""])


def _global(host: Host, max_connections: int) -> str:
    return _section(
        "# Written by `python -m lab up`.\nglobal",
        [
            f"stats socket {host.haproxy_socket} mode 600 level admin expose-fd listeners",
            "stats timeout 30s",
            "stats maxconn 200",
            f"server-state-base {host.haproxy_state_dir}",
            f"maxconn {max_connections}",
            # Two threads would fight for standard output, and the one that loses drops its line of the access log
            # (DroppedLogs in `show info`; seen once in 80,000; by design: github.com/haproxy/haproxy/issues/1861).
            "nbthread 1",
            "hard-stop-after 2m",
        ],
    )


def _defaults() -> str:
    """Redispatch and retries are on, as production has them; the demo shows that nothing needed them."""
    return _section(
        "defaults",
        [
            "mode http",
            "timeout connect 2s",
            "timeout client 60s",
            "timeout server 60s",
            "timeout queue 5s",
            "timeout http-request 10s",
            "timeout http-keep-alive 30s",
            "timeout check 2s",
            "option redispatch",
            "retries 3",
            "default-server inter 500 rise 2 fall 3",
            "load-server-state-from-file local",
        ],
    )


def _front_end(name: str, host: Host, port: int, lines: Iterable[str]) -> str:
    return _section(
        f"frontend {name}",
        [
            f"bind {host.address}:{port}",
            # 1024 bytes, the default, would cut a long URI's line in the middle.
            "log stdout len 16384 format raw local0",
            "option dontlognull",
            f"log-format '{log_format()}'",
            f"http-request capture req.hdr({LABEL_HEADER}) len 64",
            f"http-request capture req.hdr({REQUEST_ID_HEADER}) len 64",
            # Which test run asked: all of the lab asks from one address.
            f"http-request capture req.hdr({RUN_HEADER}) len 32",
            *lines,
        ],
    )


def _online_front_end(service: Service, host: Host, port: int) -> str:
    lines = [f"http-request del-header {AIM_HEADER}", f"default_backend {service.online}"]
    return _front_end(customers(service.name), host, port, lines)


def _shared_front_end(layout: Layout, host: Host) -> str:
    """One port for several services, told apart by the Host header."""
    names = " ".join(service.virtual_host for service in layout.services)
    wanted = "req.hdr(host),field(1,:),lower"
    return _front_end(
        customers("shared"),
        host,
        SHARED_PORT,
        [
            f"http-request del-header {AIM_HEADER}",
            f"http-request deny deny_status 404 unless {{ {wanted} -m str {names} }}",
            *(f"use_backend {each.online} if {{ {wanted} -m str {each.virtual_host} }}" for each in layout.services),
        ],
    )


def _maintenance_front_end(service: Service, host: Host) -> str:
    lines = [f"default_backend {service.maintenance}"]
    return _front_end(testers(service.name), host, service.maintenance_port, lines)


def _backend(name: str, layout: Layout, service: Service, lines: Iterable[str], options: str) -> str:
    return _section(
        f"backend {name}",
        [
            "balance roundrobin",
            "server-state-file-name use-backend-name",
            "option httpchk GET /health",
            "http-check expect status 200",
            *lines,
            *(f"server {node} {layout.host(node).address}:{service.port} {options}" for node in service.nodes),
        ],
    )


def _online(layout: Layout, service: Service) -> str:
    return _backend(service.online, layout, service, [], "check")


def _maintenance(layout: Layout, service: Service) -> str:
    """Aimed at one node by a header, and never answered by another one.

    `use-server` alone falls back to any server when the wanted one is down or unknown, and a redispatch moves to
    another one as well: so both are ruled out before, and the answer's origin is compared with the aim after.
    """
    lines = [
        "no option redispatch",
        "retries 0",
        f"http-request set-var(txn.aim) req.hdr({AIM_HEADER})",
        f"http-request deny deny_status 503 unless {{ req.hdr_cnt({AIM_HEADER}) eq 1 }}",
        f"http-request deny deny_status 503 unless {{ var(txn.aim) -m str {' '.join(service.nodes)} }}",
        *(_deny_unless_up(service, node) for node in service.nodes),
        f"http-request del-header {AIM_HEADER}",
        *(f"use-server {node} if {{ var(txn.aim) -m str {node} }}" for node in service.nodes),
        "http-response deny deny_status 503 unless { srv_name,strcmp(txn.aim) eq 0 }",
        f"http-response set-header {SERVED_BY_HEADER} %[srv_name]",
    ]
    return _backend(service.maintenance, layout, service, lines, "check disabled")


def _deny_unless_up(service: Service, node: str) -> str:
    is_up = f"srv_is_up({service.maintenance}/{node})"
    return f"http-request deny deny_status 503 if {{ var(txn.aim) -m str {node} }} !{{ {is_up} }}"
