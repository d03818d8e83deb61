"""What must agree with each other: versions, packages, licences, documentation, make targets."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.tidegate.delivery.plugins.module_utils import values
from lab.layout import PROJECT
from lab.programs import PACKAGES
from tests.waiting import PATIENCE_S

MODULES = sorted((PROJECT / "plugins" / "modules").glob("*.py"))
ROLES = sorted((PROJECT / "roles").iterdir())
PLUGINS = sorted((PROJECT / "plugins").rglob("*.py"))
LICENCE = """\
# Copyright: the Tidegate contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""


def read(*path: str) -> str:
    return PROJECT.joinpath(*path).read_text(encoding="utf-8")


def load(*path: str) -> Any:
    return yaml.safe_load(read(*path))


def project() -> Any:
    return tomllib.loads(read("pyproject.toml"))["project"]


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", read("Makefile"), re.MULTILINE))


def test_an_installation_for_development_uses_the_checkout_itself() -> None:
    assert Path(values.__file__).resolve() == PROJECT / "plugins" / "module_utils" / "values.py"


def test_the_version_is_the_same_everywhere() -> None:
    version = project()["version"]
    assert load("galaxy.yml")["version"] == version
    assert re.findall(r"^## (\S+)", read("CHANGELOG.md"), re.MULTILINE)[0] == version


def test_the_oldest_ansible_is_the_same_everywhere() -> None:
    oldest = next(word for word in project()["dependencies"] if word.startswith("ansible-core"))
    assert load("meta", "runtime.yml")["requires_ansible"].startswith(oldest.removeprefix("ansible-core"))
    stated = {load("roles", role.name, "meta", "main.yml")["galaxy_info"]["min_ansible_version"] for role in ROLES}
    assert stated == {oldest.removeprefix("ansible-core>=")}


def test_the_list_of_packages_names_what_the_lab_runs() -> None:
    listed = {line.split("#")[0].strip() for line in read("tools", "packages.txt").splitlines()} - {""}
    assert set(PACKAGES.values()) <= listed


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_each_module_has_an_action_that_does_the_work(module: Path) -> None:
    assert (PROJECT / "plugins" / "action" / module.name).is_file()


def test_each_action_has_a_module_that_documents_it() -> None:
    actions = {path.name for path in (PROJECT / "plugins" / "action").glob("*.py")}
    assert actions - {path.name for path in MODULES} == set()


@pytest.mark.parametrize("role", ROLES, ids=lambda path: path.name)
def test_each_role_describes_itself_and_its_options(role: Path) -> None:
    main = load("roles", role.name, "meta", "argument_specs.yml")["argument_specs"]["main"]
    assert main["short_description"]
    assert main["description"]
    assert main["options"]
    for name, option in main["options"].items():
        assert option["description"], name
        assert option["type"], name


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: str(path.relative_to(PROJECT / "plugins")))
def test_each_plugin_file_starts_with_the_licence(plugin: Path) -> None:
    assert plugin.read_text(encoding="utf-8").startswith(LICENCE)


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{path.name}" for path in (PROJECT / "docs").glob("*.md"))])
def test_each_make_command_in_the_documentation_exists(page: str) -> None:
    named = set(re.findall(r"(?:^|[`\s])make ([a-z][a-z-]*)(?=[`\s]|$)", _code(read(page)), re.MULTILINE))
    assert named - make_targets() == set()


def test_the_readme_tells_the_two_commands() -> None:
    code = _code(read("README.md"))
    assert "make demo" in code
    assert "make test" in code


def _code(markdown: str) -> str:
    """Code blocks and code words: in prose, `make` is a verb."""
    blocks = re.findall(r"```.*?```", markdown, re.DOTALL)
    return "\n".join([*blocks, *re.findall(r"(?<!`)`[^`\n]+`(?!`)", markdown)])


def test_ci_runs_the_readmes_test_command() -> None:
    assert os.access(PROJECT / ".ci" / "run", os.X_OK)
    assert re.search(r"^exec make test </dev/null$", read(".ci", "run"), re.MULTILINE)


def test_make_help_explains_each_target() -> None:
    shown = subprocess.run(
        ["make", "help"], cwd=PROJECT, capture_output=True, text=True, timeout=PATIENCE_S, check=True
    ).stdout
    assert {line.split()[1] for line in shown.splitlines()} == make_targets()
    assert {"demo", "test", "test-full", "lint", "lab-up", "lab-down", "clean"} <= make_targets()
