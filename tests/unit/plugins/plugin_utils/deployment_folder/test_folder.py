from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.folder_files import file_name
from ansible_collections.tidegate.delivery.plugins.plugin_utils.deployment_folder import folder as module
from ansible_collections.tidegate.delivery.plugins.plugin_utils.deployment_folder.folder import (
    DeploymentFolder,
    folder_of,
)

ID = "tradeapi-20260131-142501-7f3a"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def call(**variables: str) -> Any:
    told = {"tidegate_ledger": "sqlite:////var/lib/tidegate/prod.sqlite", **variables}
    return SimpleNamespace(host="localhost", hostvar=lambda _host, name, default=None: told.get(name, default))


@pytest.fixture
def folder(tmp_path: Path) -> DeploymentFolder:
    made = DeploymentFolder(tmp_path / "deployments" / "lab" / ID)
    made.prepare()
    return made


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    said: list[str] = []
    monkeypatch.setattr(module, "Display", lambda: SimpleNamespace(warning=said.append))
    yield said


def test_by_default_it_is_beside_the_ledger() -> None:
    assert str(folder_of(call(), "prod", ID)) == f"/var/lib/tidegate/deployments/prod/{ID}"


def test_the_inventory_says_where() -> None:
    told = call(tidegate_deployments="/srv/deployments", tidegate_ledger="postgresql://db/x")
    assert str(folder_of(told, "prod", ID)) == f"/srv/deployments/prod/{ID}"


def test_another_ledger_than_sqlite_has_no_default() -> None:
    with pytest.raises(BadInput, match="tidegate_deployments is not set"):
        folder_of(call(tidegate_ledger="postgresql://db/x"), "prod", ID)


@pytest.mark.parametrize("base", ["deployments", "./x", "~/x"])
def test_a_relative_path_is_refused(base: str) -> None:
    with pytest.raises(BadInput, match=r"no absolute path \(tidegate_deployments\)"):
        folder_of(call(tidegate_deployments=base), "prod", ID)


@pytest.mark.parametrize(
    ("environment", "deployment"), [("../x", ID), ("a/b", ID), ("", ID), ("prod", ".."), ("prod", "")]
)
def test_no_name_leads_out_of_the_base(environment: str, deployment: str) -> None:
    with pytest.raises(BadInput, match="can't name a folder"):
        folder_of(call(), environment, deployment)


def test_all_of_it_is_only_its_owners(folder: DeploymentFolder) -> None:
    folder.write_json("puppet/n1.1.json", {"a": 1})
    folder.copy_events(lambda _seq: ['{"seq": 1}'])
    for path in (folder.path, folder.path.parent, folder.path / "puppet"):
        assert mode(path) == 0o700
    for path in (folder.path / "puppet" / "n1.1.json", folder.path / "events.jsonl"):
        assert mode(path) == 0o600


def test_a_file_is_replaced_whole_and_leaves_nothing_beside_it(folder: DeploymentFolder) -> None:
    folder.write("summary.txt", b"one")
    folder.write("summary.txt", b"two")
    assert (folder.path / "summary.txt").read_bytes() == b"two"
    assert [path.name for path in folder.path.iterdir()] == ["summary.txt"]


def test_json_is_for_people_too(folder: DeploymentFolder) -> None:
    folder.write_json("summary.json", {"cause": "größer \udc80"})
    assert "größer" in (folder.path / "summary.json").read_text()
    assert json.loads((folder.path / "summary.json").read_text())["cause"].startswith("größer")


def test_a_file_that_can_not_be_written_is_a_warning(folder: DeploymentFolder, warnings: list[str]) -> None:
    (folder.path / "puppet").write_text("in the way")
    folder.write_json("puppet/n1.1.json", {})
    assert len(warnings) == 1
    assert f"{folder}/puppet/n1.1.json can't be written" in warnings[0]
    assert "The deployment goes on" in warnings[0]


def test_events_that_can_not_be_copied_are_a_warning(folder: DeploymentFolder, warnings: list[str]) -> None:
    (folder.path / "events.jsonl").mkdir()
    folder.copy_events(lambda _seq: ['{"seq": 1}'])
    assert len(warnings) == 1 and "events.jsonl can't be written" in warnings[0]


def test_a_file_in_its_place_refuses_before_and_when_it_is_made(tmp_path: Path) -> None:
    (tmp_path / "deployments").write_text("")
    folder = DeploymentFolder(tmp_path / "deployments" / "lab" / ID)
    for check in (folder.require_writable, folder.prepare):
        with pytest.raises(Refused, match=r"folder can't be written.*Nothing was touched.*tidegate_deployments"):
            check()


def test_what_the_permissions_forbid_is_refused_without_making_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may write anywhere: so what the kernel would say is put in its mouth."""
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    with pytest.raises(Refused, match="is no folder that this user may write to"):
        DeploymentFolder(tmp_path / "deployments" / "lab" / ID).require_writable()
    assert list(tmp_path.iterdir()) == []


def test_looking_makes_nothing(tmp_path: Path) -> None:
    DeploymentFolder(tmp_path / "deployments" / "lab" / ID).require_writable()
    assert list(tmp_path.iterdir()) == []


def test_the_neighbour_is_of_the_same_environment(folder: DeploymentFolder) -> None:
    assert folder.beside("other-1").path == folder.path.parent / "other-1"
    with pytest.raises(BadInput):
        folder.beside("../../etc")


def test_names_of_files_have_no_odd_characters() -> None:
    assert file_name("tradeapi", "n1/../x y", 2) == "tradeapi.n1_.._x_y.2"
