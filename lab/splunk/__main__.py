"""A collector as a process: python -m lab.splunk --state FOLDER [--port N] [--configuration FILE] [--tls].

In the folder are: `port` (written once it listens), `token` (made where no configuration is given, with
acknowledgement), `events.jsonl` and `acknowledged.jsonl` (see arrivals.read_arrivals), `splunk.pem` with TLS. Write
Faults.to_json() to `faults.json` there, through a temporary name, and they are in force a moment later; `faults.seen`
is then the file's text.
"""

from __future__ import annotations

import argparse
import json
import signal
import ssl
import sys
import threading
import uuid
from pathlib import Path

from lab.files import write_file
from lab.https import server_context
from lab.splunk.arrivals import Arrivals
from lab.splunk.collector import Collector
from lab.splunk.configuration import Configuration, Token
from lab.splunk.faults import Faults, FaultState
from lab.splunk.server import Receiver
from lab.winrm.certificate import make

_LOOK_S = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m lab.splunk", description="A stand-in for Splunk's collector.")
    parser.add_argument("--state", type=Path, required=True, help="a folder for what arrives and for its control")
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--configuration", type=Path, help="a JSON file with tokens and limits")
    parser.add_argument("--tls", action="store_true", help="with a certificate that it makes and signs itself")
    given = parser.parse_args()
    given.state.mkdir(parents=True, exist_ok=True)
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    signal.signal(signal.SIGINT, lambda *_: over.set())
    collector = Collector(_configuration(given.configuration, given.state), Arrivals(given.state), FaultState())
    tls = tls_context(given.state, given.address) if given.tls else None
    with Receiver(collector, given.address, given.port, tls) as receiver:
        write_file(given.state / "port", f"{receiver.port}\n")
        seen = ""
        while not over.wait(_LOOK_S):
            seen = _look(given.state, receiver, seen)


def tls_context(folder: Path, address: str) -> ssl.SSLContext:
    """A server's, with a certificate of `folder`/splunk.pem for localhost and the address, made where there is none."""
    key, certificate = folder / "splunk.key", folder / "splunk.pem"
    if not certificate.exists():
        made_key, made_certificate = make(folder, "localhost", address)
        made_key.rename(key)
        made_certificate.rename(certificate)
    return server_context(certificate, key)


def _configuration(file: Path | None, state: Path) -> Configuration:
    if file:
        return Configuration.of(json.loads(file.read_text(encoding="utf-8")))
    token = state / "token"
    if not token.exists():
        write_file(token, f"{uuid.uuid4()}\n", mode=0o600)
    return Configuration((Token("tidegate", token.read_text(encoding="utf-8").strip(), use_ack=True),))


def _look(state: Path, receiver: Receiver, seen: str) -> str:
    file = state / "faults.json"
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    if text == seen:
        return seen
    try:
        receiver.set_faults(Faults.of_json(text) if text else Faults())
    except (ValueError, TypeError, LookupError) as error:
        print(f"{file}: {error}", file=sys.stderr)
    write_file(state / "faults.seen", text)
    return text


if __name__ == "__main__":
    main()
