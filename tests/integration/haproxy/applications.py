"""Applications in one thread: answering a thousand health checks a second leaves the processors to what is tested."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Coroutine, Mapping
from typing import Any

from tests.waiting import PATIENCE_S

_LENGTH = re.compile(rb"\r\nContent-Length: (\d+)", re.IGNORECASE)
HELD = "/held"
_PORT = 8080


class _Conversation(asyncio.Protocol):
    """One connection's requests, one after the other."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._heard = b""
        self._upgraded = False
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._application.conversations.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._application.conversations.discard(self)
        self._application.held.pop(self, None)
        self._application.slow.pop(self, None)

    def data_received(self, data: bytes) -> None:
        self._heard += data
        while b"\r\n\r\n" in self._heard and not self._upgraded:
            head, _, rest = self._heard.partition(b"\r\n\r\n")
            length = int(found[1]) if (found := _LENGTH.search(head)) else 0
            if len(rest) < length:
                return
            self._heard = rest[length:]
            self._upgraded = b"\r\nupgrade: " in head.lower()
            if self._upgraded:
                self._switch()
            else:
                self._application.hear(self, head.split(b" ", 2)[1].decode())
        if self._upgraded:
            lines, newline, self._heard = self._heard.rpartition(b"\n")
            self.transport.write(lines + newline)

    def _switch(self) -> None:
        switched = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: lines\r\nX-Node: "
        self.transport.write(f"{switched}{self._application.name}\r\n\r\n".encode())

    def say(self, status: str, body: str) -> None:
        self.transport.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())


class Application:
    """One of them: /health, /slow?<seconds>, /held, answered when `holding` is over, everything else at once.

    One that is ill says so to /health and goes on answering customers; one that died takes no connection. A request
    with `Upgrade` gets its 101, and then every line back (a websocket, without its frames). `health_takes`: seconds
    until /health has its answer.
    """

    def __init__(self, name: str, host: str, loop: asyncio.AbstractEventLoop) -> None:
        self.name = name
        self.healthy = True
        self.health_takes = 0.0
        self.conversations: set[_Conversation] = set()
        self.held: dict[_Conversation, None] = {}
        self.slow: dict[_Conversation, None] = {}
        self._holding = False
        self._host = host
        self._loop = loop
        self._server: asyncio.Server | None = None

    @property
    def busy(self) -> int:
        """How many customers wait for its answer."""
        return len(self.held) + len(self.slow)

    @property
    def holding(self) -> bool:
        return self._holding

    @holding.setter
    def holding(self, wanted: bool) -> None:
        self._holding = wanted
        if not wanted:
            self._call(self._release())

    def hear(self, conversation: _Conversation, path: str) -> None:
        """Answer one request."""
        if path == HELD and self.holding:
            self.held[conversation] = None
        elif path.startswith("/slow?"):
            self.slow[conversation] = None
            self._loop.call_later(float(path.partition("?")[2]), self._answer, self.slow, conversation)
        elif path == "/health" and self.health_takes:
            self._loop.call_later(self.health_takes, self._tell_health, conversation)
        elif path == "/health":
            self._tell_health(conversation)
        else:
            conversation.say("200 OK", self.name)

    def _tell_health(self, conversation: _Conversation) -> None:
        if conversation in self.conversations:
            conversation.say("200 OK" if self.healthy else "503 Service Unavailable", self.name)

    def live(self) -> None:
        """Be well, whatever it was."""
        self.healthy = True
        self._call(self._listen())

    def die(self) -> None:
        """As after `kill -9` of its process."""
        self.healthy = False
        self._call(self._close())

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    def _answer(self, waiting: dict[_Conversation, None], conversation: _Conversation) -> None:
        if conversation in waiting:
            del waiting[conversation]
            conversation.say("200 OK", self.name)

    async def _release(self) -> None:
        for conversation in list(self.held):
            self._answer(self.held, conversation)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await self._loop.create_server(lambda: _Conversation(self), self._host, _PORT, backlog=512)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for conversation in list(self.conversations):
            conversation.transport.abort()


class Applications:
    """All of a site's, by name, on port 8080 of their addresses."""

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.by_name = {name: Application(name, host, self._loop) for name, host in addresses.items()}

    def start(self) -> None:
        self._thread.start()
        for one in self.by_name.values():
            one.live()

    def stop(self) -> None:
        for one in self.by_name.values():
            one.die()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()

    def hold(self, wanted: bool) -> None:
        """Have all of them hold /held, or answer whom they held."""
        for one in self.by_name.values():
            one.holding = wanted
