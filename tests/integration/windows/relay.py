"""A TCP relay between a client and a node, which can be cut."""

from __future__ import annotations

import selectors
import socket
import threading

ADDRESS = "127.0.0.1"


class Relay:
    """Relays connections to a port of this address, until it is cut."""

    def __init__(self, port: int, address: str = ADDRESS) -> None:
        self._target = (address, port)
        self._listening = socket.create_server((address, 0))
        self._open: list[socket.socket] = []
        self._refuse = False
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._listening.getsockname()[1])

    def cut(self, *, for_good: bool) -> int:
        """End all connections; `for_good`, those to come are ended as well. Returns how many there were."""
        self._refuse = for_good
        ended = 0
        # Those that are there now: clients may be connecting anew already.
        for each in list(self._open):
            # shutdown, since another thread waits on it.
            try:
                each.shutdown(socket.SHUT_RDWR)
                ended += 1
            except OSError:
                continue
        return ended // 2

    def mend(self) -> None:
        """Take connections again."""
        self._refuse = False

    def close(self) -> None:
        self.cut(for_good=True)
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            if self._refuse:
                client.close()
                continue
            node = socket.create_connection(self._target)
            self._open += [client, node]
            threading.Thread(target=self._relay, args=(client, node), daemon=True).start()

    def _relay(self, client: socket.socket, node: socket.socket) -> None:
        with selectors.DefaultSelector() as selector, client, node:
            selector.register(client, selectors.EVENT_READ, node)
            selector.register(node, selectors.EVENT_READ, client)
            while True:
                for key, _ in selector.select():
                    try:
                        data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                        key.data.sendall(data)
                    except OSError:
                        return
                    if not data:
                        return
