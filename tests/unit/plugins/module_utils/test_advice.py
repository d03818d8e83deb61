from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils import advice


@pytest.fixture(autouse=True)
def inventories() -> Iterator[None]:
    advice.use_inventories(["inventories/lab"])
    yield
    advice.use_inventories([])
    advice.use_options([], [], [])


@pytest.mark.parametrize(
    ("spelled", "by_hand", "by_command"),
    [
        (lambda: advice.plan("s", "1.1"), "deploy.yml -e service=s -e version=1.1 --check", "plan s 1.1"),
        (lambda: advice.deploy("s", "1.1"), "deploy.yml -e service=s -e version=1.1", "deploy s 1.1"),
        (lambda: advice.rollback("s"), "rollback.yml -e service=s", "rollback s"),
        (lambda: advice.resume("s"), "resume.yml -e service=s", "resume s"),
        (
            lambda: advice.leave("s", "n1"),
            "pool.yml -e service=s -e node=n1 -e state=maintenance",
            "pools s --leave n1",
        ),
        (lambda: advice.join("s", "n1"), "pool.yml -e service=s -e node=n1 -e state=online", "pools s --join n1"),
        (lambda: advice.status("s"), "status.yml -e service=s", "status s"),
        (lambda: advice.status(), "status.yml", "status"),
        (lambda: advice.pools("s"), "pools.yml -e service=s", "pools s"),
        (lambda: advice.history("s"), "history.yml -e service=s", "history s"),
        (lambda: advice.validate(), "validate.yml", "validate"),
    ],
)
def test_a_command_can_be_typed_as_it_stands(
    spelled: Callable[[], str], by_hand: str, by_command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(advice.BY_COMMAND, raising=False)
    assert spelled() == f"ansible-playbook -i inventories/lab playbooks/{by_hand}"
    monkeypatch.setenv(advice.BY_COMMAND, "1")
    assert spelled() == f"tidegate {by_command} -i inventories/lab"


def test_options_that_are_files_are_repeated_and_values_never(monkeypatch: pytest.MonkeyPatch) -> None:
    given = ["password=canary", f"@{Path('vars/prod.yml').resolve()}", '{"token": "canary"}']
    advice.use_options(given, ["prod@prompt"], ["pass.sh"])
    vault = "--vault-id prod@prompt --vault-password-file pass.sh"
    monkeypatch.delenv(advice.BY_COMMAND, raising=False)
    by_hand = f"ansible-playbook -i inventories/lab -e @vars/prod.yml {vault} playbooks/status.yml"
    assert advice.status() == by_hand
    monkeypatch.setenv(advice.BY_COMMAND, "1")
    assert advice.status() == f"tidegate status -i inventories/lab -e @vars/prod.yml -- {vault}"


def test_load_balancers_are_left_out_as_each_way_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(advice.BY_COMMAND, raising=False)
    assert advice.going_on_without("lb2") == """-e '{"without": ["lb2"]}'"""
    monkeypatch.setenv(advice.BY_COMMAND, "1")
    assert advice.going_on_without("lb2", "lb3") == "--without lb2 --without lb3"


def test_nodes_are_left_out_as_each_way_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(advice.BY_COMMAND, raising=False)
    assert advice.leaving_out("n1", "n2") == """-e '{"exclude": ["n1", "n2"]}'"""
    monkeypatch.setenv(advice.BY_COMMAND, "1")
    assert advice.leaving_out("n1", "n2") == "--exclude n1 --exclude n2"


@pytest.mark.parametrize(
    ("sources", "named"),
    [
        ([], "ansible-playbook playbooks/status.yml"),
        (["one", "two"], "ansible-playbook -i one -i two playbooks/status.yml"),
        (["a folder"], "ansible-playbook -i 'a folder' playbooks/status.yml"),
        (["n1,n2,"], "ansible-playbook -i n1,n2, playbooks/status.yml"),
    ],
)
def test_inventories_are_named_as_they_were_given(
    sources: list[str], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(advice.BY_COMMAND, raising=False)
    advice.use_inventories([source if "," in source else str(Path(source).resolve()) for source in sources])
    assert advice.status() == named


def test_every_playbook_that_is_named_is_there() -> None:
    playbooks = Path(__file__).resolve().parents[4] / "playbooks"
    named = {"deploy", "rollback", "resume", "pool", "status", "pools", "history", "validate"}
    assert named <= {path.stem for path in playbooks.glob("*.yml")}
