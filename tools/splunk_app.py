"""Packs the Splunk app: python tools/splunk_app.py FOLDER writes FOLDER/tidegate.tar.gz; --icons draws its icons anew.

The package is the same whenever and wherever it is made of the same files: times, owners and modes are fixed.
"""

from __future__ import annotations

import argparse
import gzip
import io
import struct
import tarfile
import zlib
from pathlib import Path

APP = Path(__file__).resolve().parent.parent / "extras" / "splunk" / "tidegate"
# What Splunk Web asks for: Splunk Developer Guide, «Customize the look of your app».
ICONS = {"appIcon.png": 36, "appIcon_2x.png": 72}

_BACK, _POST, _GATE, _WATER = (16, 42, 67), (217, 226, 236), (245, 166, 35), (58, 141, 222)
_SAMPLES = 4


def pack(folder: Path) -> Path:
    """The package; Splunk takes it as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    made = io.BytesIO()
    with gzip.GzipFile(fileobj=made, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as archive:
        for path in sorted(APP.rglob("*")):
            archive.add(path, f"tidegate/{path.relative_to(APP)}", recursive=False, filter=_plain)
    target = folder / "tidegate.tar.gz"
    temporary = target.with_suffix(".new")
    temporary.write_bytes(made.getvalue())
    return temporary.replace(target)


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = "root"
    entry.mode = 0o755 if entry.isdir() else 0o644
    return entry


def icon(size: int) -> bytes:
    """A gate, half raised out of the water, as PNG (W3C PNG, sections 5 and 11) of so many pixels a side."""
    rows = b"".join(b"\0" + b"".join(bytes(_pixel(x, y, size)) for x in range(size)) for y in range(size))
    head = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _pixel(x: int, y: int, size: int) -> list[int]:
    """The mean of its samples, which smooths edges."""
    step = 1 / (_SAMPLES * size)
    places = [
        (x / size + (i + 0.5) * step, y / size + (j + 0.5) * step) for i in range(_SAMPLES) for j in range(_SAMPLES)
    ]
    colours = [_colour(*place) for place in places]
    return [round(sum(colour[part] for colour in colours) / len(colours)) for part in range(3)]


def _colour(x: float, y: float) -> tuple[int, int, int]:
    """Of a place in the unit square, from the top left."""
    if y >= 0.78:
        return _WATER
    if y >= 0.12 and (0.14 <= x < 0.24 or 0.76 <= x < 0.86):
        return _POST
    barred = any(abs(x - bar) < 0.03 for bar in (0.34, 0.45, 0.55, 0.66)) or 0.30 <= y < 0.36 or 0.52 <= y < 0.58
    return _GATE if 0.24 <= x < 0.76 and 0.18 <= y < 0.62 and barred else _BACK


def main() -> None:
    parser = argparse.ArgumentParser(description="Packs the Splunk app.")
    parser.add_argument("folder", type=Path, nargs="?", help="where tidegate.tar.gz goes")
    parser.add_argument("--icons", action="store_true", help="draw the app's icons anew")
    given = parser.parse_args()
    if given.icons:
        for name, size in ICONS.items():
            (APP / "static" / name).write_bytes(icon(size))
    if given.folder:
        print(pack(given.folder))  # noqa: T201


if __name__ == "__main__":
    main()
