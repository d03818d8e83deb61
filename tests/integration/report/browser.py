"""A real browser without a screen: Debian's Chromium over its DevTools protocol, through a pair of pipes.

https://chromedevtools.github.io/devtools-protocol/ — with `--remote-debugging-pipe` Chromium reads commands from file
descriptor 3 and writes answers and events to 4, each a JSON text ended by a zero byte.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.waiting import PATIENCE_S

# What Jenkins sends with archived files unless it is told otherwise:
# https://www.jenkins.io/doc/book/security/configuring-content-security-policy/
JENKINS_POLICY = "sandbox; default-src 'none'; img-src 'self'; style-src 'self';"
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
    "--remote-debugging-pipe",
)


class Browser:
    """One Chromium with one page."""

    def __init__(self, read: int, write: int) -> None:
        self._read, self._write = read, write
        self._buffer = b""
        self._number = 0
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Log", "Network", "Audits", "Accessibility"):
            self.call(f"{domain}.enable")

    _session = ""

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """A command and its result."""
        self._number += 1
        session = {"sessionId": self._session} if self._session else {}
        command = {"id": self._number, "method": method, "params": params, **session}
        os.write(self._write, json.dumps(command).encode() + b"\0")
        while True:
            told = self._next()
            if told.get("id") == self._number:
                assert "error" not in told, f"{method}: {told['error']}"
                return dict(told["result"])
            self.events.append(told)

    def open(self, url: str, width: int, height: int = 900) -> None:
        """Load a page in a window, or on a phone, of that width in pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self.events.clear()
        self.call("Page.navigate", url=url)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())
        # A command of its own: what was logged before it has been told when it is answered.
        self.call("Page.getLayoutMetrics")

    def size(self) -> tuple[int, int]:
        """Width and height of all that the page has, in pixels."""
        told = self.call("Page.getLayoutMetrics")["cssContentSize"]
        return int(told["width"]), int(told["height"])

    def complaints(self) -> list[str]:
        """What the browser logged or reported as an issue since the page was opened: refused by policy, not found."""
        told = [event["params"]["entry"] for event in self._of("Log.entryAdded")]
        told += [event["params"]["issue"] for event in self._of("Audits.issueAdded")]
        # Chromium asks for an icon by itself, and there is none.
        return [text for each in told if "/favicon.ico" not in (text := json.dumps(each))]

    def asked_for(self) -> list[str]:
        """The addresses that the page made it ask for."""
        return [event["params"]["request"]["url"] for event in self._of("Network.requestWillBeSent")]

    def heard(self) -> list[tuple[str, str]]:
        """Role and name of everything that a screen reader is told."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [
            (str(node.get("role", {}).get("value", "")), str(node.get("name", {}).get("value", "")))
            for node in nodes
            if not node.get("ignored")
        ]

    def screenshot(self, path: Path, height: int | None = None) -> None:
        """The page as a PNG, all of it or its first `height` pixels."""
        width, whole = self.size()
        clip = {"x": 0, "y": 0, "width": width, "height": min(whole, height or whole), "scale": 1}
        told = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(told["data"]))

    def pdf(self) -> bytes:
        """The page as it is printed on A4."""
        told = self.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69, printBackground=False)
        return base64.b64decode(told["data"])

    def _of(self, method: str) -> Iterator[dict[str, Any]]:
        return (event for event in self.events if event.get("method") == method)

    def _next(self) -> dict[str, Any]:
        until = time.monotonic() + PATIENCE_S
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], max(0.0, until - time.monotonic()))
            data = os.read(self._read, 1 << 16) if ready else b""
            assert data, "Chromium said nothing more"
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(line))


@contextlib.contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Chromium with a profile of its own in `folder`; it ends with the block."""
    commands, to_it = os.pipe()
    from_it, answers = os.pipe()
    profile = f"--user-data-dir={folder / 'profile'}"
    # The shell puts the pipes at the numbers that Chromium wants them at.
    script = f'exec chromium "$@" 3<&{commands} 4>&{answers}'
    process = subprocess.Popen(
        ["bash", "-c", script, "bash", *_FLAGS, profile, "about:blank"],
        pass_fds=(commands, answers),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=(folder / "chromium.log").open("wb"),
        env={**os.environ, "HOME": str(folder)},
    )
    os.close(commands)
    os.close(answers)
    try:
        yield Browser(from_it, to_it)
    finally:
        # It ends when nobody can command it any more.
        os.close(to_it)
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(from_it)


@contextlib.contextmanager
def served(pages: dict[str, bytes], policy: str = JENKINS_POLICY) -> Iterator[str]:
    """The address of a server that has these files and sends this policy with each, as Jenkins does."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pages.get(self.path.lstrip("/"))
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Security-Policy", policy)
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the browser tells what it asked for."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
