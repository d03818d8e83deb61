"""`ansible-galaxy collection install`: the collection alone, for those who want no more."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

from lab.layout import PROJECT
from tests.integration.packaging.installed import Environment
from tests.integration.packaging.test_wheel import MODULES, source_files


def test_it_carries_what_ansible_users_need_and_nothing_else(tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        names = {member.name for member in archive.getmembers() if member.isfile()}
    described = {"FILES.json", "MANIFEST.json", "LICENSE"} | {path.name for path in PROJECT.glob("*.md")}
    assert names == source_files("docs", "meta", "playbooks", "plugins", "roles") | described


def test_ansible_finds_it_where_it_was_installed(with_tarball: Environment) -> None:
    names = [f"tidegate.delivery.{module}" for module in MODULES]
    documented = json.loads(with_tarball.ansible("doc", "--type", "module", "--json", *names))
    assert {str(with_tarball.folder) in parts["doc"]["filename"] for parts in documented.values()} == {True}


def test_its_playbooks_can_be_called_by_name(with_tarball: Environment) -> None:
    assert "deploy" in with_tarball.ansible("playbook", "--syntax-check", "tidegate.delivery.deploy")


def test_without_the_pipeline_an_action_says_how_to_get_it(with_tarball: Environment) -> None:
    variables = ["-e", "service=tradeapi", "-e", "version=1.1.0", "-e", "tidegate_environment=lab"]
    variables += ["-e", f"tidegate_ledger=sqlite:///{with_tarball.folder}/ledger.sqlite"]
    ended = with_tarball.attempt("playbook", "-i", "localhost,", "tidegate.delivery.deploy", *variables)
    assert ended.returncode != 0
    assert "pip install tidegate" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
