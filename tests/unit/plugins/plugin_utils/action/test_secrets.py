"""Which values are blotted out, on real inventories read by Ansible itself."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.redaction import Redactor
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.secrets import Secrets, require_no_secret

HOSTS = """\
all:
  vars:
    api_token: group-canary
    base: canary
    licence: licence-canary
    tidegate_secrets: [licence]
    tidegate_ledger: "postgresql://tidegate:ledger-canary@db/tidegate"
    templated_token: "{{ base }}-templated"
    broken_password: "{{ no_such_variable }}"
    db: {user: appuser, password: nested-canary}
  hosts:
    localhost: {local_secret: localhost-canary}
  children:
    nodes:
      hosts:
        n1: {db_password: inline-canary}
        n2: {db_password: "{{ 'n2' }}-template-canary"}
        n3: {}
"""


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    (tmp_path / "hosts.yml").write_text(HOSTS)
    (tmp_path / "host_vars").mkdir()
    (tmp_path / "host_vars" / "n3.yml").write_text("db_password: file-canary\n")
    return tmp_path / "hosts.yml"


class Asked(Templar):  # type: ignore[misc]  # ansible-core ships no type information
    """Remembers what was templated, whatever host it was for."""

    seen: list[object]

    def template(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        self.seen.append(value)
        return super().template(value, *args, **kwargs)


def secrets(inventory: Path, **extra: str) -> tuple[Secrets, Asked]:
    loader = DataLoader()
    hosts = InventoryManager(loader=loader, sources=[str(inventory)])
    manager = VariableManager(loader=loader, inventory=hosts)
    HostVars(hosts, manager, loader)
    variables = {**manager.get_vars(host=hosts.get_host("n1")), **extra}
    templar = Asked(loader=loader, variables=variables)
    templar.seen = []
    return Secrets(variables, templar), templar


def redacted(inventory: Path, text: str, near: Iterable[str] = ("n1", "localhost"), **extra: str) -> str:
    made, _templar = secrets(inventory, **extra)
    return made.redactor(near).text(text)


@pytest.mark.parametrize(
    "value",
    [
        *("group-canary", "inline-canary", "file-canary", "localhost-canary", "nested-canary"),
        *("canary-templated", "licence-canary", "ledger-canary"),
    ],
)
def test_secrets_of_the_inventory_are_blotted_out(inventory: Path, value: str) -> None:
    assert redacted(inventory, f"it said {value} and n1") == "it said *** and n1"


def test_what_is_no_secret_stays(inventory: Path) -> None:
    assert redacted(inventory, "appuser canary n1 nodes") == "appuser canary n1 nodes"


def test_the_environment_and_extra_variables_count(inventory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOO_SECRET", "environment-canary")
    monkeypatch.setenv("FOO_PLAIN", "plain-value")
    text = "environment-canary extra-canary plain-value"
    assert redacted(inventory, text, extra_token="extra-canary") == "*** *** plain-value"


def test_a_template_of_another_host_counts_when_the_call_talks_to_it(inventory: Path) -> None:
    assert redacted(inventory, "n2-template-canary") == "n2-template-canary"
    assert redacted(inventory, "n2-template-canary", near=("n1", "n2")) == "***"


def test_a_secret_that_is_everybodys_name_hides_nothing(inventory: Path) -> None:
    assert redacted(inventory, "localhost n1 tradeapi", my_token="tradeapi", service="tradeapi") == (
        "localhost n1 tradeapi"
    )


def test_only_names_that_look_secret_are_templated(inventory: Path) -> None:
    made, templar = secrets(inventory)
    made.redactor(("n1", "localhost"))
    shown = [str(each) for each in templar.seen]
    assert "{{ base }}-templated" in shown
    assert not [each for each in shown if each in ("canary", "appuser", "{{ 'n2' }}-template-canary")]


def test_two_hundred_hosts_cost_no_templates(tmp_path: Path) -> None:
    hosts = "\n".join(
        f"    n{number}: {{db_password: 'canary-of-{number}', x: '{{{{ y }}}}'}}" for number in range(200)
    )
    (tmp_path / "hosts.yml").write_text(f"all:\n  hosts:\n{hosts}\n")
    made, templar = secrets(tmp_path / "hosts.yml")
    assert made.redactor(("n1",)).text("canary-of-199") == "***"
    assert len(templar.seen) <= 3


def test_it_is_made_once_for_the_same_hosts(inventory: Path) -> None:
    made, _templar = secrets(inventory)
    assert made.redactor(("n1", "n2")) is made.redactor(["n2", "n1"])
    assert made.redactor(("n1",)) is not made.redactor(("n1", "n2"))


def test_a_plan_with_a_secret_in_it_is_refused_and_names_the_place_not_the_value() -> None:
    plan = {"nodes": {"n1": {"checks": {"s": {"health": {"urls": ["http://n1/", "http://n1/?key=canary-4711"]}}}}}}
    with pytest.raises(Refused, match=r"stands at nodes\.n1\.checks\.s\.health\.urls\.1") as refused:
        require_no_secret(plan, Redactor(["canary-4711"]))
    assert "4711" not in str(refused.value)


def test_a_plan_without_is_fine() -> None:
    require_no_secret({"a": [1, None, {"b": "c"}]}, Redactor(["canary-4711"]))
