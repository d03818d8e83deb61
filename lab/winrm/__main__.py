"""A Windows-like node as a process: python -m lab.winrm CONFIGURATION, a JSON file.

It goes down when shutdown.exe was asked for that, with all of its shells, and comes back in another boot: by itself, or
by `reboot`, a command of the configuration's, where more than this service is on the node.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from lab.files import write_file
from lab.winrm.certificate import make
from lab.winrm.machine import Machine
from lab.winrm.server import Server
from lab.winrm.service import Limits, Service
from lab.winrm.windows import make_drive

# How long nobody listens while it reboots by itself.
_AWAY_S = 1.0
_LOOK_S = 0.1


class Node:
    """The service of one node, through its reboots."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config
        self._folder = Path(config["folder"])
        self._drive = make_drive(self._folder / "C")
        self._machine = Machine(self._drive)
        self._port = int(config["port"])
        self._over = threading.Event()

    def end(self) -> None:
        self._over.set()

    def run(self) -> None:
        self._machine.begin()
        while not self._over.is_set():
            self._one_boot()
            if self._over.is_set():
                return
            if command := self._config.get("reboot"):
                # It ends this process, and starts another one.
                subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
                self._over.wait()
                return
            time.sleep(_AWAY_S)
            self._machine.begin_boot()

    def _one_boot(self) -> None:
        """Answer until the node is to go down."""
        config = self._config
        limits = Limits(**config.get("limits", {}))
        service = Service(self._drive, limits, ignores_skip=config.get("ignores_skip", False))
        server = Server((config["address"], self._port), service, config["passwords"], self._folder)
        # Port 0 is any that is free; after a reboot it is the same.
        self._port = server.server_port
        write_file(self._folder / "port", f"{self._port}\n")
        answering = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": _LOOK_S})
        answering.start()
        try:
            while not self._over.wait(_LOOK_S) and not self._machine.is_due():
                pass
        finally:
            server.shutdown()
            answering.join()
            server.server_close()
            server.cut()
            service.close()


def main() -> None:
    config = json.loads(Path(sys.argv[1]).read_text())
    folder = Path(config["folder"])
    if not (folder / "winrm.pem").exists():
        make(folder, config["host"], config["address"])
    node = Node(config)
    signal.signal(signal.SIGTERM, lambda *_: node.end())
    node.run()


if __name__ == "__main__":
    main()
