"""One sshd per host, one client key for all of them, and the known_hosts that Ansible checks host keys against."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from lab.files import write_file
from lab.layout import SSH_PORT, Host, Layout
from lab.net import tcp_answers
from lab.programs import HOST_PATH, program
from lab.supervise import Unit

_PRIVILEGE_SEPARATION = Path("/run/sshd")
_PENALTIES_SINCE = (9, 8)
NODE_ROOT = "TIDEGATE_NODE_ROOT"


def unit_name(host: str) -> str:
    return f"{host}-sshd"


def prepare(layout: Layout) -> None:
    """Write keys (kept if there), known_hosts and one configuration a host."""
    _require_usable_account()
    layout.ssh_dir.mkdir(parents=True, exist_ok=True)
    layout.ssh_dir.chmod(0o700)
    _make_key(layout.ssh_key, "tidegate-lab")
    write_file(layout.ssh_dir / "authorized_keys", layout.ssh_key.with_suffix(".pub").read_text(), 0o600)
    for host in layout.ssh_hosts:
        _make_key(host_key(host), host.name)
        write_file(config_path(host), config(layout, host, version()))
    write_file(layout.known_hosts, "".join(known_host(host) for host in layout.ssh_hosts))
    layout.control_path_dir.mkdir(parents=True, exist_ok=True)
    layout.control_path_dir.chmod(0o700)


def units(layout: Layout) -> list[Unit]:
    return [_unit(layout, host) for host in layout.ssh_hosts]


def _unit(layout: Layout, host: Host) -> Unit:
    return Unit(
        name=unit_name(host.name),
        host=host.name,
        # An absolute path: sshd executes itself again for each connection.
        argv=[program("sshd"), "-D", "-e", "-f", str(config_path(host))],
        ready=lambda: tcp_answers(host.address, SSH_PORT, b"", b"SSH-2.0-"),
        log=layout.log / f"{unit_name(host.name)}.log",
        listens=[(host.address, SSH_PORT)],
    )


def host_key(host: Host) -> Path:
    return host.etc / "ssh" / "ssh_host_ed25519_key"


def config_path(host: Host) -> Path:
    return host.etc / "ssh" / "sshd_config"


def known_host(host: Host) -> str:
    """The host's line in known_hosts."""
    algorithm, key, *_ = host_key(host).with_suffix(".pub").read_text().split()
    return f"[{host.address}]:{SSH_PORT} {algorithm} {key}\n"


def config(layout: Layout, host: Host, openssh: tuple[int, int]) -> str:
    """The host's sshd_config (sshd_config(5)) for that version of OpenSSH.

    SetEnv tells where the host's own boot is (lab/boot.py), marks whatever a session starts as part of the lab, gives
    an ordinary user the sbin folders, and keeps the shell away from the user's own start-up files, which may print
    something or change the path.
    """
    session = {**layout.environment, "PATH": HOST_PATH, "HOME": str(host.root), NODE_ROOT: str(host.root)}
    exports = " ".join(f"{key}={value}" for key, value in session.items())
    # Probes that hang up early would earn our own address a penalty.
    penalties = "PerSourcePenalties no\n" if openssh >= _PENALTIES_SINCE else ""
    return f"""\
# Written by `python -m lab up`.
Port {SSH_PORT}
ListenAddress {host.address}
HostKey {host_key(host)}
PidFile none
AuthorizedKeysFile {layout.ssh_dir / "authorized_keys"}
# The state folder may lie below one that others can write to.
StrictModes no
UsePAM no
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PermitUserRC no
UseDNS no
PrintMotd no
PrintLastLog no
X11Forwarding no
MaxStartups 500
MaxSessions 500
LoginGraceTime 30
{penalties}Subsystem sftp internal-sftp
SetEnv {exports}
"""


def version() -> tuple[int, int]:
    """OpenSSH's version; the client and the server come from one source."""
    done = subprocess.run([program("ssh"), "-V"], capture_output=True, text=True, timeout=60, check=False)
    found = re.search(r"OpenSSH_(\d+)\.(\d+)", done.stderr)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _make_key(path: Path, comment: str) -> None:
    # The private key is written first: without its public half an earlier `up` was killed in between.
    if path.with_suffix(".pub").exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    argv = [program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise BadInput(
            f"ssh-keygen failed: {done.stderr.strip()}", where=str(path), remedy="Check the folder's rights."
        )


def _require_usable_account() -> None:
    """As root sshd wants its empty folder, and refuses an account whose password field is locked."""
    if os.geteuid() != 0:
        return
    _PRIVILEGE_SEPARATION.mkdir(mode=0o755, parents=True, exist_ok=True)
    if is_locked(Path("/etc/shadow").read_text(), "root"):
        raise BadInput(
            "root's account is locked (its password field begins with !), so sshd without PAM lets nobody in",
            where="/etc/shadow",
            remedy="Run the lab as an ordinary user, or let root have no password instead: usermod -p '*' root",
        )


def is_locked(shadow: str, user: str) -> bool:
    """Does shadow(5) show that account as locked?"""
    return any(line.startswith(f"{user}:!") for line in shadow.splitlines())
