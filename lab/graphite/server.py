"""Starting and ending carbon-cache and graphite-web, and asking graphite-web what they have."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.files import tail, write_file
from lab.graphite.faults import Faults
from lab.layout import PROJECT
from lab.programs import HOST_PATH
from lab.witness import wait_until

CARBON = "/usr/bin/carbon-cache"
MANAGE = "/usr/bin/graphite-manage"
PYTHON = "/usr/bin/python3"
EXTRAS = PROJECT / "extras" / "graphite"
_SERVE = Path(__file__).with_name("serve.py")
_ADDRESS = "127.0.0.1"
# Each starts within two seconds on an idle machine.
_LIMIT_S = 120.0
_SETTINGS = "tidegate_lab_settings"
_CARBON = """[cache]
STORAGE_DIR = {at}
LOCAL_DATA_DIR = {at}/whisper/
CONF_DIR = {at}/conf
LOG_DIR = {at}/log
PID_DIR = {at}
USER =
MAX_CREATES_PER_MINUTE = inf
MAX_UPDATES_PER_SECOND = inf
LINE_RECEIVER_INTERFACE = {address}
LINE_RECEIVER_PORT = {line}
PICKLE_RECEIVER_PORT = 0
CACHE_QUERY_INTERFACE = {address}
CACHE_QUERY_PORT = {query}
CARBON_METRIC_INTERVAL = 0
ENABLE_TAGS = False
"""
_WEB = """SECRET_KEY = "of the lab"
TIME_ZONE = "UTC"
GRAPHITE_ROOT = "/usr/share/graphite-web"
STATIC_ROOT = "/usr/share/graphite-web/static"
CONF_DIR = "{at}/conf"
STORAGE_DIR = "{at}"
WHISPER_DIR = "{at}/whisper"
LOG_DIR = "{at}/log"
INDEX_FILE = "{at}/index"
LOG_ROTATION = False
CARBONLINK_HOSTS = ["{address}:{query}"]
CACHES = {{"default": {{"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}}}
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": "{at}/graphite.db"}}}}
"""


@dataclass
class Graphite:
    """One of each, with the storage schemas of extras/graphite. `faults` are those that stand before graphite-web."""

    folder: Path
    line_port: int = field(default_factory=lambda: _free_port())
    query_port: int = field(default_factory=lambda: _free_port())
    web_port: int = field(default_factory=lambda: _free_port())
    carbon: subprocess.Popen[bytes] | None = None
    web: subprocess.Popen[bytes] | None = None

    @property
    def line(self) -> str:
        """Carbon's receiver of lines, HOST:PORT."""
        return f"{_ADDRESS}:{self.line_port}"

    @property
    def url(self) -> str:
        """Graphite-web."""
        return f"http://{_ADDRESS}:{self.web_port}"

    def start(self) -> None:
        """Both, from nothing, until they answer."""
        for name in ("conf", "log", "whisper"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        given = {"at": self.folder, "address": _ADDRESS, "line": self.line_port, "query": self.query_port}
        write_file(self.folder / "conf" / "carbon.conf", _CARBON.format(**given))
        write_file(self.folder / "conf" / f"{_SETTINGS}.py", _WEB.format(**given))
        for file in EXTRAS.glob("*.conf"):
            shutil.copy(file, self.folder / "conf")
        self.start_carbon()
        self._run([PYTHON, MANAGE, "migrate", "--run-syncdb"], "migrate").wait(_LIMIT_S)
        self.web = self._run([PYTHON, str(_SERVE), str(self.web_port), str(self._faults_file)], "web")
        self._require(self.web_port, self.web, "web")

    def start_carbon(self) -> None:
        """Carbon, with what it had written."""
        configuration = self.folder / "conf" / "carbon.conf"
        # Of a carbon that was killed.
        for left in self.folder.glob("carbon-cache-*.pid"):
            left.unlink()
        self.carbon = self._run([PYTHON, CARBON, f"--config={configuration}", "--nodaemon", "start"], "carbon")
        self._require(self.line_port, self.carbon, "carbon")

    def end_carbon(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Politely, so that it writes what it has, or as a crash would."""
        _end(self.carbon, how)
        self.carbon = None

    def end(self) -> None:
        """Both."""
        self.end_carbon(signal.SIGKILL)
        _end(self.web, signal.SIGKILL)
        self.web = None

    def set_faults(self, faults: Faults) -> None:
        """In force from the next request on."""
        write_file(self._faults_file, faults.to_json())

    # Asking

    def values(self, pattern: str, begin: float, end: float) -> dict[str, dict[int, float]]:
        """By metric: each time's value, without empty ones, by graphite-web's /render."""
        query: dict[str, str | int] = {
            "target": pattern,
            "from": int(begin),
            "until": int(end),
            "format": "json",
            "noCache": 1,
        }
        answer = self._ask("/render", query)
        return {
            one["target"]: {int(at): value for value, at in one["datapoints"] if value is not None} for one in answer
        }

    def sums(self, pattern: str, begin: float, end: float) -> dict[str, float]:
        """By metric: all its values in that time together."""
        return {name: sum(values.values()) for name, values in self.values(pattern, begin, end).items() if values}

    def markers(self, *tags: str, **query: str) -> list[dict[str, Any]]:
        """Those that have all the tags, oldest first, by graphite-web's /events/get_data."""
        asked: dict[str, str | int] = {"from": 0, "until": int(time.time()) + 86_400, "tags": " ".join(tags)}
        asked |= {"set": "intersection", **query}
        return list(self._ask("/events/get_data", asked))

    def _ask(self, path: str, query: Mapping[str, str | int]) -> Any:  # noqa: ANN401
        url = f"{self.url}{path}?{urllib.parse.urlencode(query)}"
        # Whatever proxy the caller's environment names: it is on this machine.
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=_LIMIT_S) as answer:
            return json.loads(answer.read())

    # Processes

    @property
    def _faults_file(self) -> Path:
        return self.folder / "faults.json"

    def _run(self, argv: Sequence[str], name: str) -> subprocess.Popen[bytes]:
        environment = {
            "PATH": HOST_PATH,
            "HOME": str(self.folder),
            "PYTHONPATH": str(self.folder / "conf"),
            "PYTHONUNBUFFERED": "1",
            "DJANGO_SETTINGS_MODULE": "graphite.settings",
            "GRAPHITE_SETTINGS_MODULE": _SETTINGS,
            "GRAPHITE_ROOT": str(self.folder),
        }
        with (self.folder / "log" / f"{name}.out").open("ab") as output:
            return subprocess.Popen(
                argv, env=environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )

    def _require(self, port: int, process: subprocess.Popen[bytes], name: str) -> None:
        found = wait_until(lambda: _listens(port) or process.poll() is not None, _LIMIT_S)
        if not found or process.poll() is not None:
            self.end()
            raise RuntimeError(f"{name} does not listen: {tail(self.folder / 'log' / f'{name}.out')}")


@contextmanager
def running(folder: Path) -> Iterator[Graphite]:
    """A Graphite for a while."""
    made = Graphite(folder)
    try:
        made.start()
        yield made
    finally:
        made.end()


def _end(process: subprocess.Popen[bytes] | None, how: signal.Signals) -> None:
    if process is not None:
        process.send_signal(how)
        process.send_signal(signal.SIGCONT)
        process.wait(_LIMIT_S)


def _listens(port: int) -> bool:
    try:
        socket.create_connection((_ADDRESS, port), 1.0).close()
    except OSError:
        return False
    return True


def _free_port() -> int:
    with socket.create_server((_ADDRESS, 0)) as taken:
        return int(taken.getsockname()[1])
