"""The lab's two real load balancers, with its real configuration, in front of scripted services: up in a second."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lab.haproxy import prepare
from lab.haproxy_socket import ask
from lab.layout import Host, Layout
from lab.sampler import parse, usable
from tests.integration.lab.upstream import Upstream
from tests.waiting import PATIENCE_S, until

# Two test runs at a time must not meet.
NET = f"127.{60 + os.getpid() % 100}"


@dataclass
class Bench:
    """Both load balancers and the seven scripted nodes."""

    layout: Layout
    upstreams: dict[str, Upstream] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def tell(self, balancer: str, command: str) -> str:
        """Send one line to a load balancer's admin socket."""
        return ask(self.layout.host(balancer).haproxy_socket, command)

    def tell_all(self, command: str) -> None:
        for host in self.layout.load_balancers:
            self.tell(host.name, command)

    def usable(self, balancer: str, backend: str) -> int:
        return len(usable(parse(self.tell(balancer, "show stat -1 4 -1")), backend))

    def all_up(self) -> bool:
        return all(
            self.usable(host.name, service.online) == len(service.nodes)
            for host in self.layout.load_balancers
            for service in self.layout.services
        )


def _start(host: Host, stack: contextlib.ExitStack) -> subprocess.Popen[bytes]:
    log = stack.enter_context(host.haproxy_log.open("wb"))
    errors = stack.enter_context((host.log / "haproxy-process.log").open("wb"))
    argv = ["haproxy", "-W", "-f", str(host.haproxy_config)]
    return subprocess.Popen(argv, stdout=log, stderr=errors, stdin=subprocess.DEVNULL)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def bench(edit: Callable[[str], str] = lambda config: config) -> Iterator[Bench]:
    """Both load balancers with every server UP; `edit` may change their configuration first."""
    state = Path(tempfile.mkdtemp(prefix="tg-"))
    made = Bench(Layout(NET, state))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, state, ignore_errors=True)
        for service in made.layout.services:
            for node in service.nodes:
                upstream = Upstream(made.layout.host(node).address, service.port)
                made.upstreams[f"{service.name}/{node}"] = stack.enter_context(upstream)
        prepare(made.layout)
        for host in made.layout.load_balancers:
            host.haproxy_config.write_text(edit(host.haproxy_config.read_text()))
            made.processes[host.name] = _start(host, stack)
            stack.callback(_stop, made.processes[host.name])
        sockets = [host.haproxy_socket for host in made.layout.load_balancers]
        until(lambda: all(path.exists() for path in sockets), "both listen")
        until(made.all_up, lambda: f"all are up\n{made.tell('lb1', 'show stat -1 4 -1')}")
        yield made
