from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.access import AdminAccess
from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.files import Configuration, Files, require_plain
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import LocalShell, PosixNode

FILES = Files(
    folder="/etc/haproxy/conf.d",
    base=("/etc/haproxy/haproxy.cfg",),
    program="/usr/sbin/haproxy",
    reload=("systemctl", "reload", "haproxy"),
    timeout=30,
)
# HAProxy wants something to listen on; a check binds nothing.
TEXT = """defaults tidegate
  mode http
  timeout connect 1s
  timeout client 1s
  timeout server 1s
frontend f from tidegate
  bind 127.0.0.1:8000
"""


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """A base file and a folder with one file of a person's."""
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "haproxy.cfg").write_text("global\n  hard-stop-after 9s\n")
    (tmp_path / "conf.d" / "own.cfg").write_text("defaults own\n  mode tcp\n")
    folder, base = str(tmp_path / "conf.d"), str(tmp_path / "haproxy.cfg")
    return dataclasses.replace(FILES, folder=folder, base=(base,), program="haproxy", reload=("false",))


def configuration(files: Files) -> Configuration:
    home = Path(files.folder).parent
    access = AdminAccess("lb1", f"{home}/a.sock", f"{home}/m.sock", f"{home}/lock", f"{home}/state")
    return Configuration(PosixNode("lb1", LocalShell()), access, files)


def names(files: Files) -> list[str]:
    return sorted(path.name for path in Path(files.folder).iterdir())


def test_a_drop_in_checks_then_saves_then_reloads() -> None:
    assert FILES.drop_in().splitlines() == [
        "# Written by playbooks/haproxy.yml.",
        "[Service]",
        "ExecReload=",
        "ExecReload=/usr/sbin/haproxy -c -q -f /etc/haproxy/haproxy.cfg -f /etc/haproxy/conf.d",
        "ExecReload=/bin/sh /etc/haproxy/conf.d/tidegate-save-state.sh",
        "ExecReload=/bin/kill -USR2 $MAINPID",
    ]


@pytest.mark.parametrize(
    "change",
    [{"folder": "conf.d"}, {"folder": "/etc/a b"}, {"base": ("/etc/$X",)}, {"program": "/usr/../haproxy"}],
)
def test_a_path_that_something_would_read_otherwise_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(BadInput) as error:
        require_plain(dataclasses.replace(FILES, **change), "lb1")  # type: ignore[arg-type]
    assert error.value.where == "load balancer lb1"


def test_sound_paths_are_plain() -> None:
    require_plain(FILES, "lb1")
    require_plain(dataclasses.replace(FILES, program="haproxy"), "lb1", "/etc/systemd/system/haproxy.service.d/t.conf")
    with pytest.raises(BadInput):
        require_plain(FILES, "lb1", "t.conf")


def test_haproxy_reads_the_whole_set_and_nothing_is_left_behind(files: Files) -> None:
    configuration(files).check(TEXT)
    assert names(files) == ["own.cfg"]


@pytest.mark.parametrize(
    ("base", "own", "text", "told"),
    [
        ("globl\n", "", TEXT, "haproxy.cfg:1"),
        ("", "backend b\n  bnd\n", TEXT, "own.cfg:2"),
        ("", "", TEXT + "  timeot 3\n", "tidegate.cfg:8"),
        ("", "backend b\n  mode http\n", TEXT + "backend b\n", "has the same name"),
    ],
)
def test_what_haproxy_refuses_is_told_with_file_and_line(
    files: Files, base: str, own: str, text: str, told: str
) -> None:
    Path(files.base[0]).write_text(base)
    Path(files.folder, "own.cfg").write_text(own)
    Path(files.written).write_text("what was there\n")
    with pytest.raises(Refused) as refused:
        configuration(files).check(text)
    assert told in refused.value.message
    assert "the old files stay" in refused.value.message
    assert Path(files.written).read_text() == "what was there\n"


def test_where_haproxy_is_not_running_nothing_is_reloaded(files: Files) -> None:
    said = configuration(files).put(TEXT, ["a_online n1 80", "a_online n2 80", "a_maintenance n1 80"])
    assert said == "put in place; HAProxy is not running here: start it"
    assert Path(files.written).read_text() == TEXT
    state = Path(files.folder).parent / "state"
    assert {path.name: path.read_text() for path in state.iterdir() if not path.name.startswith(".")} == {
        "a_online": "1\n",
        "a_maintenance": "1\n",
    }
    assert not configuration(files).is_pending()
    assert configuration(files).has_states(["a_online n1 80"])
    assert not configuration(files).has_states(["a_online n1 80", "other n1 80"])
    assert names(files) == ["own.cfg", "tidegate.cfg"]


def test_a_state_that_is_there_is_kept(files: Files) -> None:
    state = Path(files.folder).parent / "state"
    state.mkdir()
    (state / "a_online").write_text("1\n# who was out\n")
    configuration(files).put(TEXT, ["a_online n1 80"])
    assert (state / "a_online").read_text() == "1\n# who was out\n"


def test_a_program_that_is_not_there_is_named(files: Files) -> None:
    with pytest.raises(BadInput) as error:
        configuration(dataclasses.replace(files, program="no-such-haproxy")).check(TEXT)
    assert "no-such-haproxy can't be run" in error.value.message
    assert "haproxy_program" in error.value.remedy


def test_a_lock_that_cannot_be_written_is_named(files: Files) -> None:
    spoiled = configuration(files)
    spoiled.access = dataclasses.replace(spoiled.access, lock="/nowhere/lock")
    with pytest.raises(Refused) as refused:
        spoiled.put(TEXT, ["a_online n1 80"])
    assert "/nowhere/lock can't be written" in refused.value.message
    assert not Path(files.written).exists()
