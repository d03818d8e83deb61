"""The programs that the lab runs, and the Debian packages that bring them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput

# The hosts' PATH: the system's own folders, whatever shims the caller has in front of them.
HOST_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/puppetlabs/bin"

PACKAGES: Mapping[str, str] = {
    "haproxy": "haproxy",
    "sshd": "openssh-server",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "runsvdir": "runit",
    "sv": "runit",
    "puppet": "puppet-agent",
    "/usr/share/puppetserver/puppetserver.jar": "puppetserver",
    "java": "default-jre-headless",
    "mono": "mono-runtime",
    "mcs": "mono-mcs",
    "nunit-console": "nunit-console",
    "/usr/lib/pkgconfig/nunit.pc": "libnunit-cil-dev",
    "bsdtar": "libarchive-tools",
}


def find(name: str) -> str | None:
    """The absolute path of a program (or of a file, if an absolute path is asked for)."""
    if name.startswith("/"):
        return name if Path(name).is_file() else None
    return shutil.which(name, path=HOST_PATH)


def program(name: str) -> str:
    """The absolute path of a program. Raises BadInput with the package that brings it."""
    path = find(name)
    if path is None:
        raise missing([name])
    return path


def require_all() -> None:
    """Raises BadInput that names every missing program and one command that installs them all."""
    absent = [name for name in PACKAGES if find(name) is None]
    if absent:
        raise missing(absent)


def missing(names: list[str]) -> BadInput:
    """The error for programs that this machine lacks."""
    packages = " ".join(dict.fromkeys(PACKAGES.get(name, name) for name in names))
    return BadInput(
        f"This machine lacks {', '.join(names)}",
        where=f"PATH {HOST_PATH}",
        remedy=f"Install it as root: apt-get install -y {packages}",
    )
