from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab import sshd
from lab.layout import Layout
from lab.programs import program
from tests.waiting import PATIENCE_S


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout("127.254", tmp_path)
    sshd.prepare(layout)
    return layout


def test_sshd_itself_accepts_every_configuration(layout: Layout) -> None:
    for host in layout.ssh_hosts:
        argv = [program("sshd"), "-t", "-f", str(sshd.config_path(host))]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE_S)
        assert (done.returncode, done.stderr) == (0, "")


def test_preparing_again_keeps_every_key(layout: Layout) -> None:
    before = layout.known_hosts.read_text()
    sshd.prepare(layout)
    assert layout.known_hosts.read_text() == before


def test_a_key_whose_public_half_was_never_written_is_made_anew(layout: Layout) -> None:
    public = sshd.host_key(layout.host("n1")).with_suffix(".pub")
    public.unlink()
    sshd.prepare(layout)
    made = subprocess.run(
        [program("ssh-keygen"), "-y", "-f", str(public.with_suffix(""))], capture_output=True, text=True
    )
    assert made.stdout.split()[1] == public.read_text().split()[1]
    assert f"[127.254.1.1]:2222 ssh-ed25519 {public.read_text().split()[1]}\n" in layout.known_hosts.read_text()


def test_keys_differ_between_hosts(layout: Layout) -> None:
    keys = {line.split()[2] for line in layout.known_hosts.read_text().splitlines()}
    assert len(keys) == len(layout.ssh_hosts) == 10


def test_private_parts_are_closed_to_others(layout: Layout) -> None:
    assert layout.ssh_dir.stat().st_mode & 0o077 == 0
    assert layout.control_path_dir.stat().st_mode & 0o077 == 0
    assert layout.ssh_key.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(("openssh", "expected"), [((9, 2), False), ((9, 8), True), ((10, 0), True)])
def test_penalties_are_switched_off_where_they_exist(layout: Layout, openssh: tuple[int, int], expected: bool) -> None:
    assert ("PerSourcePenalties no" in sshd.config(layout, layout.host("n1"), openssh)) is expected


def test_sessions_carry_the_marker_and_stay_away_from_the_users_own_files(layout: Layout) -> None:
    line = next(x for x in sshd.config(layout, layout.host("n1"), (9, 2)).splitlines() if x.startswith("SetEnv "))
    assert f"TIDEGATE_LAB_ID={layout.state} " in line
    assert f"HOME={layout.host('n1').root}" in line


@pytest.mark.parametrize(
    ("field", "expected"), [("!", True), ("!!", True), ("!$6$x", True), ("*", False), ("$6$x", False)]
)
def test_locked_accounts_are_recognised(field: str, expected: bool) -> None:
    assert sshd.is_locked(f"daemon:!:1:0::::\nroot:{field}:20228:0:99999:7:::\n", "root") is expected


def test_the_version_is_read() -> None:
    assert sshd.version() >= (8, 0)


def test_absent_parent_folders_are_made(tmp_path: Path) -> None:
    deep = Layout("127.254", tmp_path / "a" / "b")
    sshd.prepare(deep)
    assert sshd.config_path(deep.host("p1")).exists()
