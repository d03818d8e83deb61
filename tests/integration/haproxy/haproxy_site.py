"""A site on loopback addresses: real HAProxy in master-worker mode in front of tiny Python backends."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.access import AdminAccess
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.runtime import Admin, Runtime
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.state import LoadBalancerState
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import LocalShell, PosixNode
from ansible_collections.tidegate.delivery.plugins.module_utils.parallel import in_parallel
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.cells import Cell, Pool, look
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.left_out import LeftOut
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.move_surroundings import Limits, Surroundings
from ansible_collections.tidegate.delivery.plugins.module_utils.pools.moves import Move
from ansible_collections.tidegate.delivery.plugins.module_utils.values import Share
from lab import haproxy_socket
from tests.waiting import PATIENCE_S, until

NET = "127.34"
ONLINE, MAINTENANCE = "shop_online", "shop_maintenance"
# So long a move may wait here, unless a test says less: a good one never does.
SOFT_S = 60.0
PATIENT = Limits(SOFT_S, PATIENCE_S, join=PATIENCE_S, silent=60.0)


class Backend:
    """One application: /health, /slow?<seconds>, /held till `released`, others at once. Counts customers' requests."""

    def __init__(self, name: str, host: str) -> None:
        self.name = name
        self.host = host
        self.healthy = True
        self.customers = 0
        self.released = threading.Event()
        self.held: list[BaseHTTPRequestHandler] = []
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        backend = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if self.path == "/health":
                    return self._say(200 if backend.healthy else 503)
                if "X-Node" not in self.headers:
                    backend.customers += 1
                if self.path.startswith("/slow?"):
                    time.sleep(float(self.path.partition("?")[2]))
                if self.path == "/held":
                    backend.held.append(self)
                    backend.released.wait(PATIENCE_S)
                    backend.held.remove(self)
                return self._say(200)

            def _say(self, status: int) -> None:
                body = backend.name.encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_request: object) -> None:
                """Health checks and cut sessions close early: that is HAProxy's business."""

        self._server = Server((self.host, 8080), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class LoadBalancer:
    """One HAProxy process tree with its sockets, lock and state files; `program` is the HAProxy that runs."""

    def __init__(
        self, name: str, address: str, backends: Sequence[Backend], home: Path, program: str = "haproxy"
    ) -> None:
        self.name = name
        self.program = program
        self.address = address
        self.home = home
        self.state_dir = home / "state"
        self.state_dir.mkdir(parents=True)
        self.backends = backends
        self._process: subprocess.Popen[bytes] | None = None
        self._starting: threading.Timer | None = None
        self.configure()

    @property
    def access(self) -> AdminAccess:
        return AdminAccess(
            self.name,
            str(self.home / "a.sock"),
            str(self.home / "m.sock"),
            str(self.home / "lock"),
            str(self.state_dir),
            # Other load balancers of the tests are on the same machine.
            process=f"-S {self.home}/m.sock",
        )

    def runtime(self, **options: float) -> Runtime:
        return Runtime(PosixNode(self.name, LocalShell()), self.access, **options)

    def left_out(self, **options: float) -> LeftOut:
        node = PosixNode(self.name, LocalShell())
        return LeftOut(node, self.runtime(**options), [ONLINE, MAINTENANCE], lock=5)

    def read(self) -> LoadBalancerState:
        return self.runtime().read()

    def configure(self, extra: str = "", server_options: str = "check") -> None:
        online = "\n".join(f"  server {b.name} {b.host}:8080 {server_options}" for b in self.backends)
        testers = "\n".join(f"  server {b.name} {b.host}:8080 check disabled" for b in self.backends)
        names = " ".join(b.name for b in self.backends)
        aim = "\n".join(
            f"  http-request deny deny_status 503 if {{ req.hdr(X-Node) {b.name} }}"
            f" !{{ srv_is_up({MAINTENANCE}/{b.name}) }}\n"
            f"  use-server {b.name} if {{ req.hdr(X-Node) {b.name} }}"
            for b in self.backends
        )
        (self.home / "haproxy.cfg").write_text(
            f"""global
  stats socket {self.home}/a.sock level admin
  server-state-base {self.state_dir}
  hard-stop-after 120s
defaults
  mode http
  timeout connect 1s
  timeout client 15s
  timeout server 120s
  timeout check 10s
  load-server-state-from-file local
  option httpchk GET /health
  default-server inter 200 rise 2 fall 2
frontend customers
  bind {self.address}:8080
  http-request del-header X-Node
  default_backend {ONLINE}
frontend testers
  bind {self.address}:8090
  default_backend {MAINTENANCE}
backend {ONLINE}
  server-state-file-name use-backend-name
{online}
backend {MAINTENANCE}
  server-state-file-name use-backend-name
  http-request deny deny_status 400 unless {{ req.hdr(X-Node) {names} }}
{aim}
  http-response set-header X-Served-By %[srv_name]
{testers}
{extra}
"""
        )

    def start(self) -> None:
        command = [self.program, "-W", "-db", "-f", str(self.home / "haproxy.cfg"), "-S", str(self.home / "m.sock")]
        with (self.home / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until(self._answers, lambda: f"{self.name} starts: {(self.home / 'log').read_text()[-400:]}")

    def start_later(self, seconds: float) -> None:
        """As a supervisor does that waits for a moment."""
        self._starting = threading.Timer(seconds, self.start)
        self._starting.start()

    def _answers(self) -> bool:
        with contextlib.suppress(DomainError):
            return bool(self.read().servers)
        return False

    def signal_reload(self) -> None:
        """As systemd does; what comes of it is not waited for."""
        assert self._process is not None
        self._process.send_signal(signal.SIGUSR2)

    def reload(self) -> None:
        before = self.read().pid
        self.signal_reload()

        def replaced() -> bool:
            answer = self._ask("a.sock", "show info")
            return "\nPid: " in answer and f"\nPid: {before}\n" not in answer

        until(replaced, f"{self.name} reloads", every=0.01)
        # The new worker may be a moment ahead of it.
        until(
            lambda: "\n# workers\n" in self._ask("m.sock", "show proc"),
            f"the master of {self.name} answers",
            every=0.01,
        )

    def fail_to_reload(self) -> None:
        """For a configuration that HAProxy doesn't take."""
        self.signal_reload()
        until(lambda: "[failed: 1]" in self._ask("m.sock", "show proc"), f"{self.name} refuses it", every=0.01)

    def await_old_workers(self) -> None:
        """Until the workers from before a reload are gone."""

        def alone() -> bool:
            answer = self._ask("m.sock", "show proc")
            return "\n# workers\n" in answer and "\n# old workers\n" not in answer

        until(alone, f"old workers of {self.name} end", every=0.01)

    def _ask(self, name: str, command: str) -> str:
        """Cheaper to ask often than `read`; empty when nobody answers, as amid a reload."""
        with contextlib.suppress(OSError):
            return haproxy_socket.ask(self.home / name, command)
        return ""

    def end_softly(self) -> None:
        """SIGUSR1: nothing new is taken, and what is under way may end."""
        assert self._process is not None
        self._process.send_signal(signal.SIGUSR1)

    def kill(self) -> None:
        """kill -9 of the worker and the master, as a crash of the host's HAProxy."""
        if self._starting is not None:
            # It would else be started behind the test's back, and outlive it.
            self._starting.join()
        if self._process is None:
            return
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._ended()

    def stop(self) -> None:
        """As `systemctl stop` does."""
        assert self._process is not None
        self._process.terminate()
        self._ended()

    def _ended(self) -> None:
        assert self._process is not None
        self._process.wait(PATIENCE_S)
        self._process = None
        for name in ("a.sock", "m.sock"):
            (self.home / name).unlink(missing_ok=True)

    def pids(self) -> list[int]:
        """Of the master and its workers."""
        assert self._process is not None
        master = str(self._process.pid)
        workers = subprocess.run(["ps", "-o", "pid=", "--ppid", master], capture_output=True, text=True, check=False)
        return [int(pid) for pid in (master, *workers.stdout.split())]

    def kill_worker(self) -> None:
        """kill -9 of the worker alone: the master ends by itself."""
        assert self._process is not None
        os.kill(self.read().pid, signal.SIGKILL)
        self._process.wait(PATIENCE_S)
        self._process = None

    def pause(self) -> None:
        """Stop the worker's process: connections are accepted by the kernel and never answered."""
        os.kill(self.read().pid, signal.SIGSTOP)


@dataclass
class Site:
    """Two load balancers and their backends."""

    backends: dict[str, Backend]
    load_balancers: dict[str, LoadBalancer]
    told: list[str] = field(default_factory=list)

    def move(
        self,
        nodes: Sequence[str],
        floor: str = "1",
        *,
        answer: float = 30.0,
        cut: bool = False,
        without: Sequence[str] = (),
        **limits: float,
    ) -> Move:
        admins: dict[str, Admin] = {
            name: lb.left_out(answer=answer) if name in without else lb.runtime(answer=answer)
            for name, lb in self.load_balancers.items()
        }
        pool = Pool(ONLINE, MAINTENANCE, Share.parse(floor), tuple(nodes))
        wanted = replace(PATIENT, cut=cut, **limits)  # type: ignore[arg-type]
        return Move(admins, [pool], wanted, Surroundings(in_parallel, self.told.append))

    def cells(self, node: str) -> list[Cell]:
        pool = Pool(ONLINE, MAINTENANCE, Share.parse(0), (node,))
        return [look(lb.read(), pool, node).cell for lb in self.load_balancers.values()]

    @contextlib.contextmanager
    def held_customers(self, name: str, count: int = 8) -> Iterator[HeldCustomers]:
        """Customers of one load balancer, as many at each node, who get their answers when they are released."""
        balancer = self.load_balancers[name]
        with held_customers(balancer, list(self.backends.values()), count) as held:
            yield held

    def await_cells(self, node: str, cell: Cell) -> None:
        until(lambda: set(self.cells(node)) == {cell}, lambda: f"{node} gets {cell}, is {self.cells(node)}")


def die_while_waiting_for(lock: str, work: Callable[[], object]) -> None:
    """Have `work` done by a process that is killed while what it started waits for the lock; then give it the lock."""
    with Path(lock).open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        child = os.fork()
        if not child:
            held.close()
            with contextlib.suppress(BaseException):
                work()
            os._exit(1)
        inode = f":{os.fstat(held.fileno()).st_ino} "
        waiting: list[Path] = []

        def waits() -> bool:
            lines = [line.split() for line in Path("/proc/locks").read_text().splitlines() if inode in line]
            waiting.extend(Path("/proc", words[5]) for words in lines if words[1] == "->")
            return bool(waiting)

        until(waits, "it waits for the lock")
        # The program flock's parent: the script.
        script = Path("/proc", (waiting[0] / "stat").read_text().rpartition(")")[2].split()[1])
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert script.exists()
    until(lambda: not script.exists(), "the script ends")


def get(address: str, port: int, path: str = "/", **headers: str) -> tuple[int, str, dict[str, str]]:
    """One request on a connection of its own: status, body, headers."""
    connection = http.client.HTTPConnection(address, port, timeout=PATIENCE_S)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return response.status, response.read().decode(), headers
    finally:
        connection.close()


@dataclass(frozen=True)
class HeldCustomers:
    """Those who asked, and who answers them."""

    answers: Sequence[Future[tuple[int, str, dict[str, str]]]]
    nodes: Sequence[Backend]

    def release(self) -> None:
        """Have the nodes answer, from now on at once."""
        for node in self.nodes:
            node.released.set()

    def statuses(self) -> list[int]:
        """What each was answered, in the end."""
        self.release()
        return sorted(answer.result()[0] for answer in self.answers)


@contextlib.contextmanager
def held_customers(balancer: LoadBalancer, nodes: Sequence[Backend], count: int) -> Iterator[HeldCustomers]:
    """So many of them, all of whom are at a node by now."""
    for node in nodes:
        node.released.clear()
    with ThreadPoolExecutor(count) as pool:
        held = HeldCustomers([pool.submit(get, balancer.address, 8080, "/held") for _ in range(count)], nodes)
        try:
            until(lambda: sum(len(node.held) for node in nodes) == count, "all of them are at a node")
            yield held
        finally:
            held.release()


class Customers:
    """Load that never retries: keep-alive, new connections and slow requests, until it is stopped."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.good = 0
        self.failures: list[str] = []
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(path, keep), daemon=True)
            for path, keep, count in (("/", True, 3), ("/", False, 2), ("/slow?1.5", True, 3))
            for _ in range(count)
        ]

    def __enter__(self) -> Customers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def _run(self, path: str, keep: bool) -> None:
        connection = self._connect()
        while not self._stopped.is_set():
            try:
                connection.request("GET", path)
                response = connection.getresponse()
                response.read()
                if response.status == 200:
                    self.good += 1
                else:
                    self.failures.append(f"{path}: {response.status}")
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(f"{path}: {error!r}")
                connection.close()
                connection = self._connect()
            if not keep:
                connection.close()
                connection = self._connect()
            time.sleep(0.01)

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.address, 8080, timeout=PATIENCE_S)


Fault = Callable[[socket.socket, bytes, Callable[[], bytes]], None]


class ScriptedSocket:
    """Stands between us and a real socket of HAProxy, and spoils the first `times` answers to requests with `needle`.

    A fault gets the connection, the request, and a function that hands the request on and returns HAProxy's answer.
    """

    def __init__(
        self,
        balancer: LoadBalancer,
        fault: Fault,
        needle: bytes = b"set server",
        times: int = 1,
        *,
        of_master: bool = False,
    ) -> None:
        self.path = balancer.home / f"scripted-{'master' if of_master else 'admin'}.sock"
        self.spoiled = 0
        self._real = balancer.access.master_socket if of_master else balancer.access.socket
        self._fault, self._needle, self._times = fault, needle, times
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(self.path))
        self._socket.listen(20)
        self._ended = threading.Event()

    def __enter__(self) -> ScriptedSocket:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._ended.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def hold(self, seconds: float = PATIENCE_S) -> None:
        """Keep a connection open without a word, until the test ends."""
        self._ended.wait(seconds)

    def _serve(self) -> None:
        while not self._ended.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            request = connection.recv(65536)
            if self._needle in request and self.spoiled < self._times:
                self.spoiled += 1
                self._fault(connection, request, lambda: self._hand_on(request))
            else:
                connection.sendall(self._hand_on(request))

    def _hand_on(self, request: bytes) -> bytes:
        with socket.socket(socket.AF_UNIX) as real:
            real.connect(self._real)
            real.sendall(request)
            real.shutdown(socket.SHUT_WR)
            answer = b""
            while part := real.recv(65536):
                answer += part
            return answer
