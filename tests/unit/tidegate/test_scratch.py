from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tidegate.scratch import PREFIX, scratch_folder

OLD = (0, 0)


@pytest.fixture
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_it_goes_with_its_run(parent: Path) -> None:
    with scratch_folder() as folder:
        assert folder.parent == parent
        (folder / "file").touch()
    assert list(parent.iterdir()) == []


def test_what_a_killed_run_left_goes_with_the_next(parent: Path) -> None:
    script = (
        "import tempfile, time; from tidegate.scratch import scratch_folder\n"
        f"tempfile.tempdir = {str(parent)!r}\n"
        "with scratch_folder() as folder:\n    print(folder, flush=True)\n    time.sleep(300)\n"
    )
    run = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    left = Path(run.stdout.readline().strip())
    os.utime(left, OLD)
    with scratch_folder():
        assert left.is_dir(), "it is in use"
    run.send_signal(signal.SIGKILL)
    run.communicate()
    assert left.is_dir()
    with scratch_folder():
        assert not left.exists()


def test_what_is_not_a_folder_of_ours_or_just_made_stays(parent: Path) -> None:
    young, file, other, link = (parent / name for name in (f"{PREFIX}young", f"{PREFIX}file", "other", f"{PREFIX}link"))
    young.mkdir()
    file.touch()
    other.mkdir()
    link.symlink_to(other)
    for path in (file, other):
        os.utime(path, OLD)
    with scratch_folder():
        pass
    assert sorted(parent.iterdir()) == sorted([young, file, other, link])
