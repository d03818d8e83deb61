"""Test assemblies compiled with mcs, packed as a release's artifact."""

from __future__ import annotations

import io
import subprocess
import tarfile
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.waiting import DEPLOYMENT_S

SOURCE = Path(__file__).with_name("Assemblies.cs")


@cache
def assembly(kind: str) -> bytes:
    """One assembly, compiled once a session."""
    with TemporaryDirectory(prefix="tidegate-nunit-") as folder:
        out = Path(folder, f"{kind.title()}.dll")
        argv = ["mcs", "-target:library", f"-define:{kind}", "-pkg:nunit", f"-out:{out}", str(SOURCE)]
        subprocess.run(argv, check=True, timeout=DEPLOYMENT_S)
        return out.read_bytes()


def packed(*kinds: str) -> bytes:
    """A release's artifact with these assemblies in its tests folder."""
    return archive({f"tests/{kind.title()}.dll": assembly(kind) for kind in kinds} | {"release.json": b"{}"})


def archive(files: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    """A tar.gz with these files, and symbolic links if wanted."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, target in (links or {}).items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            tar.addfile(link)
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
