"""`pip install tidegate`: one wheel brings pipeline and collection, and both work from any folder."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from lab.layout import PROJECT
from tests.integration.packaging.installed import Environment

COLLECTION = "ansible_collections/tidegate/delivery"
PLAYBOOKS = sorted(path.stem for path in (PROJECT / "playbooks").glob("*.yml"))
MODULES = sorted(path.stem for path in (PROJECT / "plugins" / "modules").glob("*.py"))
ROLES = sorted(path.name for path in (PROJECT / "roles").iterdir())


def source_files(*folders: str) -> set[str]:
    files = (path for folder in folders for path in (PROJECT / folder).rglob("*") if path.is_file())
    return {str(path.relative_to(PROJECT)) for path in files if "__pycache__" not in path.parts}


def test_it_carries_collection_and_pipeline_and_nothing_else(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    collection = {f"{COLLECTION}/{name}" for name in source_files("meta", "playbooks", "plugins", "roles")}
    pipeline = {name.removeprefix("src/") for name in source_files("src/tidegate")}
    assert names == collection | pipeline | {f"{COLLECTION}/galaxy.yml"}


def test_its_licence_is_there(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        licence = next(name for name in archive.namelist() if name.endswith("licenses/LICENSE"))
        assert archive.read(licence) == (PROJECT / "LICENSE").read_bytes()


def test_ansible_documents_each_module_from_any_folder(with_wheel: Environment) -> None:
    names = [f"tidegate.delivery.{module}" for module in MODULES]
    documented = json.loads(with_wheel.ansible("doc", "--type", "module", "--json", *names))
    assert sorted(documented) == names
    for name, parts in documented.items():
        assert str(with_wheel.venv) in parts["doc"]["filename"]
        assert parts["doc"]["options"], name
        assert parts["examples"].strip(), name
        assert parts["return"], name
        for option, described in parts["doc"]["options"].items():
            assert described["description"], f"{name}: {option}"


def test_ansible_knows_the_arguments_of_each_role(with_wheel: Environment) -> None:
    names = [f"tidegate.delivery.{role}" for role in ROLES]
    documented = json.loads(with_wheel.ansible("doc", "--type", "role", "--json", *names))
    assert sorted(documented) == names
    for name, parts in documented.items():
        assert parts["entry_points"]["main"]["options"], name


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_each_playbook_runs_by_its_full_name(with_wheel: Environment, playbook: str) -> None:
    checked = with_wheel.ansible("playbook", "--syntax-check", f"tidegate.delivery.{playbook}")
    assert f"{with_wheel.venv}/" in checked
    assert checked.rstrip().endswith(f"/{COLLECTION}/playbooks/{playbook}.yml")


def test_plain_python_imports_the_domain_from_the_same_place(with_wheel: Environment) -> None:
    code = (
        "import tidegate; from ansible_collections.tidegate.delivery.plugins.module_utils import values;"
        "print(tidegate.__file__); print(values.__file__); print(values.parse_duration('2m'))"
    )
    pipeline, domain, seconds = with_wheel.python(code).split()
    assert pipeline.startswith(str(with_wheel.venv))
    assert domain.startswith(str(with_wheel.venv))
    assert float(seconds) == 120
