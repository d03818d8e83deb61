from __future__ import annotations

import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from lab.layout import PROJECT
from tests.integration.packaging.installed import Environment, environment, run


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    run([*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, PROJECT], folder)
    return next(folder.glob("tidegate-*.whl"))


@pytest.fixture(scope="session")
def with_wheel(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """What `pip install tidegate` gives."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    made = environment(tmp_path_factory.mktemp("pip"), project["dependencies"])
    made.pip("install", "--quiet", "--no-deps", "--no-index", wheel)
    return made


@pytest.fixture(scope="session")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection, built from this checkout as it is: with environments, caches and labs of the developer."""
    folder = tmp_path_factory.mktemp("tarball")
    run([sys.executable, "-m", "ansible", "galaxy", "collection", "build", PROJECT, "--output-path", folder], folder)
    return next(folder.glob("tidegate-delivery-*.tar.gz"))


@pytest.fixture(scope="session")
def with_tarball(tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """What `ansible-galaxy collection install` gives to somebody who has Ansible and nothing else."""
    made = environment(tmp_path_factory.mktemp("galaxy"), ["ansible-core"])
    collections = made.folder / "collections"
    made.ansible("galaxy", "collection", "install", "--offline", tarball, "--collections-path", collections)
    return replace(made, settings={"ANSIBLE_COLLECTIONS_PATH": str(collections)})
