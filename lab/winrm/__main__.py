"""A Windows-like node as a process: python -m lab.winrm CONFIGURATION, a JSON file."""

from __future__ import annotations

import json
import signal
import sys
import threading
from pathlib import Path

from lab.files import write_file
from lab.winrm.certificate import make
from lab.winrm.server import Server
from lab.winrm.service import Limits, Service
from lab.winrm.windows import make_drive


def main() -> None:
    config = json.loads(Path(sys.argv[1]).read_text())
    folder = Path(config["folder"])
    if not (folder / "winrm.pem").exists():
        make(folder, config["host"], config["address"])
    limits = Limits(**config.get("limits", {}))
    service = Service(make_drive(folder / "C"), limits, ignores_skip=config.get("ignores_skip", False))
    server = Server((config["address"], config["port"]), service, config["passwords"], folder)
    # Port 0 is any that is free.
    write_file(folder / "port", f"{server.server_port}\n")
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    try:
        server.serve_forever(poll_interval=0.1)
    finally:
        service.close()


if __name__ == "__main__":
    main()
