"""Applications in one thread: answering a thousand health checks a second leaves the processors to what is tested."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_STARTED_S = 10.0
_LENGTH = re.compile(rb"\r\nContent-Length: (\d+)\r\n", re.IGNORECASE)


@dataclass
class Application:
    """One of them: /health, /slow?<seconds>, everything else at once. `busy` are customers' requests being answered.

    /held is answered when `holding` is over. A request with `Upgrade` gets its 101, and then every line back (a
    websocket, without its frames).
    """

    name: str
    host: str
    healthy: bool = True
    holding: bool = False
    busy: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection's requests, one after the other."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                if b"\r\nupgrade: " in head.lower():
                    await self._converse(reader, writer)
                    break
                if length := _LENGTH.search(head):
                    await reader.readexactly(int(length[1]))
                await self._answer(head.split(b" ", 2)[1].decode(), writer)
        writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        switched = f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: lines\r\nX-Node: {self.name}"
        writer.write(f"{switched}\r\n\r\n".encode())
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()

    async def _answer(self, path: str, writer: asyncio.StreamWriter) -> None:
        if path == "/health":
            await self._say(writer, "200 OK" if self.healthy else "503 Service Unavailable")
            return
        self.busy += 1
        try:
            if path.startswith("/slow?"):
                await asyncio.sleep(float(path.partition("?")[2]))
            while path == "/held" and self.holding:
                await asyncio.sleep(0.02)
            await self._say(writer, "200 OK")
        finally:
            self.busy -= 1

    async def _say(self, writer: asyncio.StreamWriter, status: str) -> None:
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(self.name)}\r\n\r\n{self.name}".encode())
        await writer.drain()


class Applications:
    """All of a site's, by name, on port 8080 of their addresses."""

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self.by_name = {name: Application(name, host) for name, host in addresses.items()}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._servers: list[Any] = []

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(_STARTED_S)

    async def _start(self) -> None:
        for one in self.by_name.values():
            self._servers.append(await asyncio.start_server(one.serve, one.host, 8080, backlog=512))

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(_STARTED_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_STARTED_S)
        self._loop.close()

    async def _stop(self) -> None:
        for server in self._servers:
            server.close()
        connections = asyncio.all_tasks() - {asyncio.current_task()}
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
