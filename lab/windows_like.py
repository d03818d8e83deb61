"""The lab's Windows-like nodes: a WS-Management endpoint each, whose drive C: has the lab's real Puppet agent.

What an agent brings under supervision is the same service as on the other nodes, started by the node's own runsvdir, as
Windows' service manager would.
"""

from __future__ import annotations

import json
import secrets
import ssl
import sys
import urllib.error
import urllib.request

from lab.files import write_file
from lab.layout import WINRM_PORT, Host, Layout
from lab.programs import program
from lab.supervise import Unit
from lab.winrm.certificate import make
from lab.winrm.windows import SERVICES_VARIABLE, install_puppet, make_drive

USER = "deploy"
_DEADLINE_S = 120.0


def unit_name(host: str) -> str:
    return f"{host}-winrm"


def prepare(layout: Layout) -> None:
    """Write each node's drive, certificate, password (both kept if there) and configuration."""
    for host in layout.windows_like:
        host.winrm.mkdir(parents=True, exist_ok=True)
        install_puppet(make_drive(host.drive), program("puppet"))
        if not (host.winrm / "winrm.pem").exists():
            make(host.winrm, host.name, host.address)
        password = host.winrm / "password"
        if not password.exists():
            write_file(password, secrets.token_urlsafe(24), 0o600)
        reboot = [sys.executable, "-P", "-m", "lab.boot", host.name]
        config = {
            "reboot": reboot,
            "folder": str(host.winrm),
            "host": host.name,
            "address": host.address,
            "port": WINRM_PORT,
        }
        write_file(host.winrm / "config.json", json.dumps({**config, "passwords": {USER: password.read_text()}}), 0o600)


def units(layout: Layout) -> list[Unit]:
    return [_unit(layout, host) for host in layout.windows_like]


def _unit(layout: Layout, host: Host) -> Unit:
    return Unit(
        name=unit_name(host.name),
        host=host.name,
        argv=[sys.executable, "-P", "-m", "lab.winrm", str(host.winrm / "config.json")],
        ready=lambda: _answers(host),
        log=layout.log / f"{unit_name(host.name)}.log",
        env={**layout.environment, SERVICES_VARIABLE: str(host.service_tree)},
        deadline_s=_DEADLINE_S,
        listens=[(host.address, WINRM_PORT)],
    )


def _answers(host: Host) -> bool:
    """Does somebody with the node's certificate ask who we are?"""
    context = ssl.create_default_context(cafile=str(host.winrm / "winrm.pem"))
    question = urllib.request.Request(f"https://{host.address}:{WINRM_PORT}/wsman", data=b"", method="POST")
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with direct.open(question, timeout=1):
            return False
    except urllib.error.HTTPError as answer:
        return answer.code == 401
    except OSError:
        return False
