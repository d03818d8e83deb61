from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import yaml

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, DomainError
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Completed, LocalShell, PosixNode
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.hiera import (
    FILE_LIMIT,
    HieraFile,
    with_common,
    with_pins,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.pin_files import Conflict, read_files
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.pins import Edit, change, pins, planned


class Servers:
    """Compile servers: folders of their own on this machine."""

    def __init__(self, home: Path, *names: str) -> None:
        self.nodes = {name: PosixNode(name, LocalShell()) for name in names}
        self.folders = {name: str(home / name) for name in names}

    def file(self, server: str, name: str = "nodes/n1.yaml") -> Path:
        return Path(self.folders[server], name)

    def edits(self, text: str, *names: str) -> dict[str, dict[str, Edit]]:
        files = names or ("nodes/n1.yaml",)
        return {server: {str(self.file(server, name)): lambda _file: text for name in files} for server in self.nodes}


@pytest.fixture
def servers(tmp_path: Path) -> Servers:
    return Servers(tmp_path, "ps1", "ps2")


def files(servers: Servers) -> list[str]:
    return sorted(str(path) for folder in servers.folders.values() for path in Path(folder).rglob("*.yaml"))


def test_written_on_every_server(servers: Servers) -> None:
    changes = change(servers.nodes, servers.folders, servers.edits("a: 'ü'\n", "nodes/n1.yaml", "nodes/n2.yaml"))
    assert [each.changed for each in changes] == [True] * 4
    for server in servers.nodes:
        assert servers.file(server, "nodes/n1.yaml").read_text() == "a: 'ü'\n"
        assert servers.file(server, "nodes/n2.yaml").stat().st_mode & 0o777 == 0o644


def test_what_is_so_already_is_not_written(servers: Servers) -> None:
    change(servers.nodes, servers.folders, servers.edits("a: 1\n"))
    before = servers.file("ps1").stat().st_ino
    changes = change(servers.nodes, servers.folders, servers.edits("a: 1\n"))
    assert not any(each.changed for each in changes)
    assert servers.file("ps1").stat().st_ino == before


def test_nothing_left_removes_the_file(servers: Servers) -> None:
    change(servers.nodes, servers.folders, servers.edits("a: 1\n"))
    change(servers.nodes, servers.folders, servers.edits(""))
    assert files(servers) == []


def test_planning_writes_nothing(servers: Servers) -> None:
    assert all(each.changed for each in planned(servers.nodes, servers.edits("a: 1\n")))
    assert files(servers) == []


def test_mode_and_owner_of_a_file_stay(servers: Servers) -> None:
    for server in servers.nodes:
        servers.file(server).parent.mkdir(parents=True)
        servers.file(server).write_text("a: 1\n")
        servers.file(server).chmod(0o640)
    change(servers.nodes, servers.folders, servers.edits("a: 2\n"))
    assert servers.file("ps2").stat().st_mode & 0o777 == 0o640


def test_on_every_server_or_on_none(servers: Servers) -> None:
    servers.file("ps1").parent.mkdir(parents=True)
    servers.file("ps1").write_text("old: 1\n")
    Path(servers.folders["ps2"]).mkdir()
    servers.file("ps2").parent.write_text("a file where a folder should be")
    with pytest.raises(DomainError, match=r"can't write the pins: .*; nothing is changed on any server \(ps2\)"):
        change(servers.nodes, servers.folders, servers.edits("new: 1\n"))
    assert servers.file("ps1").read_text() == "old: 1\n"


def test_a_new_file_is_taken_away_again(servers: Servers) -> None:
    Path(servers.folders["ps2"]).mkdir()
    servers.file("ps2").parent.write_text("a file where a folder should be")
    with pytest.raises(DomainError, match="nothing is changed"):
        change(servers.nodes, servers.folders, servers.edits("new: 1\n"))
    assert not servers.file("ps1").exists()


def test_what_can_not_be_taken_back_is_named(servers: Servers) -> None:
    """ps1 breaks between write and undo: its folder is a file by then."""

    class Breaking(LocalShell):
        calls = 0

        def __call__(self, command: str, stdin: bytes | None, timeout: float) -> Completed:
            self.calls += 1
            done = super().__call__(command, stdin, timeout)
            if self.calls == 2:
                servers.file("ps1").write_text("someone: else\n")
            return done

    servers.nodes["ps1"] = PosixNode("ps1", Breaking())
    Path(servers.folders["ps2"]).mkdir()
    servers.file("ps2").parent.write_text("a file where a folder should be")
    with pytest.raises(DomainError, match=r"could not be taken back on ps1 \(ps2\)\. Look at ps1"):
        change(servers.nodes, servers.folders, servers.edits("new: 1\n"))
    assert servers.file("ps1").read_text() == "someone: else\n"


def test_an_unreachable_server_is_an_error_before_anything_is_written(servers: Servers) -> None:
    servers.nodes["ps2"] = PosixNode("ps2", LocalShell({"PATH": "/nowhere"}))
    with pytest.raises(DomainError):
        change(servers.nodes, servers.folders, servers.edits("new: 1\n"))
    assert files(servers) == []


def test_a_file_that_is_no_mapping_is_named_with_its_server(servers: Servers) -> None:
    servers.file("ps2").parent.mkdir(parents=True)
    servers.file("ps2").write_text("- a list\n")
    with pytest.raises(BadInput) as error:
        change(servers.nodes, servers.folders, servers.edits("new: 1\n"))
    assert error.value.where == f"ps2: {servers.file('ps2')}"
    assert not servers.file("ps1").exists()


def test_a_huge_file_is_refused(servers: Servers) -> None:
    servers.file("ps1").parent.mkdir(parents=True)
    servers.file("ps1").write_text("a" * (FILE_LIMIT + 1))
    with pytest.raises(DomainError, match="has more than 262144 bytes"):
        read_files(servers.nodes["ps1"], [str(servers.file("ps1"))])


def test_any_bytes_are_read(servers: Servers) -> None:
    servers.file("ps1").parent.mkdir(parents=True)
    servers.file("ps1").write_bytes(b"\x00\xff\n\n")
    paths = [str(servers.file("ps1")), str(servers.file("ps1", "nodes/none"))]
    assert read_files(servers.nodes["ps1"], paths) == {paths[0]: b"\x00\xff\n\n", paths[1]: None}


def test_writers_of_one_file_at_once_lose_nothing(servers: Servers) -> None:
    """A conflict means that another one got through, so that three others make three conflicts at the most."""
    file = servers.file("ps1", "common.yaml")

    def raise_own(number: int) -> None:
        edit = partial(with_common, values={f"s{number}::version": "1"}, deployment=f"d{number}")
        change(servers.nodes, servers.folders, {"ps1": {str(file): edit}})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(raise_own, range(4)))
    assert yaml.safe_load(file.read_text()) == {f"s{number}::version": "1" for number in range(4)}


def test_a_file_that_keeps_changing_is_told_in_the_end(servers: Servers) -> None:
    def meddling(file: HieraFile) -> str:
        path = Path(file.path.split(": ")[1])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {len(file.text)}\n" + file.text)
        return "a: 1\n"

    edits: dict[str, dict[str, Edit]] = {"ps1": {str(servers.file("ps1")): meddling}}
    with pytest.raises(Conflict, match="keeps changing the same files; nothing is changed on any server"):
        change(servers.nodes, servers.folders, edits)


def test_what_is_pinned_is_told_with_its_owner(servers: Servers) -> None:
    edit = partial(with_pins, values={"a::v": "1"}, deployment="d1", is_open=lambda _id: True)
    change(servers.nodes, servers.folders, {"ps1": {str(servers.file("ps1", "nodes/n1.lab.yaml")): edit}})
    first, second = (str(servers.file("ps1", f"nodes/{name}.lab.yaml")) for name in ("n1", "n2"))
    found = pins(servers.nodes["ps1"], [first, second])
    assert (found[first].values, found[first].owners) == ({"a::v": "1"}, {"a::v": "d1"})
    assert (found[second].values, found[second].owners) == ({}, {})
