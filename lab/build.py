"""Compiles the lab's service and its NUnit assemblies and publishes them as versioned, reproducible artifacts.

mcs 6.8 writes the same bytes for the same sources (tested), and the archive holds no times or owners, so that a
release built again has the same digest. Archives are kept under a hash of what went into them: building again is free.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, DomainError
from lab.layout import PROJECT, Layout

SOURCES = PROJECT / "lab" / "service"
CACHE = PROJECT / "build" / "cache" / "artifacts"
COMPILER = Path("/usr/lib/mono/4.5/mcs.exe")
NUNIT = Path("/usr/lib/cli/nunit.framework-2.6.3/nunit.framework.dll")
COMPILE_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Release:
    """One version of one service; sources under `regressions/<version>/` replace those of the same name."""

    service: str
    version: str

    @property
    def name(self) -> str:
        return f"{self.service}-{self.version}"

    @property
    def archive(self) -> Path:
        """Where the repository keeps it, relative to its root."""
        return Path(self.service, self.version, f"{self.name}.tar.gz")


RELEASES = (
    Release("tradeapi", "1.0.0"),
    Release("tradeapi", "1.1.0"),
    Release("tradeapi", "1.2.0"),
    Release("tradeapi", "1.3.0"),
    Release("pricefeed", "1.0.0"),
    Release("pricefeed", "1.1.0"),
)

SMOKE = {
    "tradeapi": ("TradeApi.Smoke.dll", ("Target.cs", "ReleaseTests.cs", "TradeTests.cs")),
    "pricefeed": ("PriceFeed.Smoke.dll", ("Target.cs", "ReleaseTests.cs", "FeedTests.cs")),
}


def prepare(layout: Layout) -> None:
    """Publish every release into the lab's artifact repository; a no-op when all are there."""
    for release in RELEASES:
        publish(release, layout.artifacts_dir)


def digest(layout: Layout, service: str, version: str) -> str:
    """The published release's sha256 in hex, as `.sha256` says it. Raises BadInput when there is no such release."""
    archive = layout.artifacts_dir / Release(service, version).archive
    try:
        return checksum_file(archive).read_text(encoding="ascii").split()[0]
    except FileNotFoundError as problem:
        known = ", ".join(release.name for release in RELEASES)
        raise BadInput(
            f"{service} {version} is not in the lab's artifact repository",
            where=str(archive),
            remedy=f"It has {known}.",
        ) from problem


def checksum_file(archive: Path) -> Path:
    """The file beside the archive: hex digest, two spaces, file name."""
    return archive.with_name(archive.name + ".sha256")


def publish(release: Release, repository: Path) -> None:
    """Put the release's archive and its checksum there, each whole or not at all."""
    target = repository / release.archive
    content = build(release).read_bytes()
    line = f"{hashlib.sha256(content).hexdigest()}  {target.name}\n".encode("ascii")
    _replace(target, content)
    _replace(checksum_file(target), line)


def build(release: Release, cache: Path = CACHE) -> Path:
    """The release's archive; compiled only when its sources, this file or the compiler changed since the last time."""
    kept = cache / f"{release.name}-{_fingerprint(release)}.tar.gz"
    if not kept.exists():
        _replace(kept, compile_archive(release))
    return kept


def compile_archive(release: Release) -> bytes:
    """Compile service and tests afresh and pack them. Raises DomainError with the compiler's words."""
    with tempfile.TemporaryDirectory(prefix="tidegate-build-") as folder:
        work = Path(folder)
        return _pack(
            {
                "bin/Service.exe": _compile_service(release, work),
                f"tests/{SMOKE[release.service][0]}": _compile_smoke(release, work),
                "release.json": _describe(release),
            }
        )


# -- what goes in ------------------------------------------------------------------------------------------------------
def service_sources(release: Release) -> list[Path]:
    """The service's sources, a version's own instead of the common ones."""
    chosen = {path.name: path for path in (SOURCES / "src").glob("*.cs")}
    chosen |= {path.name: path for path in (SOURCES / "regressions" / release.version).glob("*.cs")}
    return [chosen[name] for name in sorted(chosen)]


def smoke_sources(release: Release) -> list[Path]:
    return [SOURCES / "smoke" / name for name in SMOKE[release.service][1]]


def _build_info(release: Release) -> str:
    return (
        "namespace Lab.Service { public static class BuildInfo "
        f'{{ public const string Version = "{release.version}"; }} }}\n'
    )


def _describe(release: Release) -> bytes:
    """release.json; the configuration's revision is that of the service's sources."""
    content = {
        "name": release.service,
        "version": release.version,
        "configuration": _hash(service_sources(release))[:12],
    }
    return (json.dumps(content, indent=2) + "\n").encode()


def _fingerprint(release: Release) -> str:
    compiler = COMPILER.stat() if COMPILER.exists() else None
    seed = f"{release} {compiler and (compiler.st_size, compiler.st_mtime_ns)}"
    return _hash([*service_sources(release), *smoke_sources(release), Path(__file__)], seed)[:16]


def _hash(files: list[Path], seed: str = "") -> str:
    total = hashlib.sha256(seed.encode())
    for path in files:
        total.update(hashlib.sha256(path.name.encode() + b"\0" + path.read_bytes()).digest())
    return total.hexdigest()


# -- compiling and packing ---------------------------------------------------------------------------------------------
def _compile_service(release: Release, work: Path) -> bytes:
    info = work / "BuildInfo.cs"
    info.write_text(_build_info(release), encoding="utf-8")
    return _mcs(work / "Service.exe", [*service_sources(release), info], ["-r:Mono.Posix", "-optimize+"])


def _compile_smoke(release: Release, work: Path) -> bytes:
    options = ["-target:library", "-r:System.Web.Extensions", f"-r:{NUNIT}"]
    return _mcs(work / SMOKE[release.service][0], smoke_sources(release), options)


def _mcs(output: Path, sources: list[Path], options: list[str]) -> bytes:
    argv = ["mcs", "-nologo", "-warn:4", "-warnaserror", *options, f"-out:{output}", *map(str, sources)]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=COMPILE_TIMEOUT_S, check=False)
    except FileNotFoundError as problem:
        raise DomainError(
            "The C# compiler is missing", where="mcs", remedy="Install mono-mcs and libnunit-cil-dev."
        ) from problem
    except subprocess.TimeoutExpired as problem:
        raise DomainError(f"mcs did not end within {COMPILE_TIMEOUT_S:.0f} s", where=output.name) from problem
    if done.returncode != 0:
        raise DomainError(f"mcs refused the sources: {(done.stderr + done.stdout).strip()[:2000]}", where=output.name)
    return output.read_bytes()


def _pack(files: dict[str, bytes]) -> bytes:
    """A .tar.gz without times, owners or file order of its own."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size = len(files[name])
            entry.mode = 0o644
            archive.addfile(entry, io.BytesIO(files[name]))
    return gzip.compress(plain.getvalue(), mtime=0)


def _replace(target: Path, content: bytes) -> None:
    """Write under another name and rename, so that no reader sees half a file; leave an equal file alone."""
    if target.exists() and target.read_bytes() == content:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".", delete=False) as part:
        part.write(content)
    Path(part.name).chmod(0o644)
    shutil.move(part.name, target)
