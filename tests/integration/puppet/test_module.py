"""The Puppet module for the nodes' side, with a real `puppet apply`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.report import read_report
from tests.integration.puppet.agent_home import AgentHome

MODULES = Path(__file__).parents[3]
VALUES = {
    "id": "tradeapi-20260131-142501-7f3a",
    "no": False,
    "yes": True,
    "null": None,
    "empty": "",
    "blank": " ",
    "list": [],
    "zero": 0,
}


def test_nothing_but_a_deployments_id_opens_a_service(agent: AgentHome, tmp_path: Path) -> None:
    confdir, there = Path(agent.confdir), tmp_path / "there"
    there.mkdir()
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "tidegate").symlink_to(MODULES / "puppet")
    (confdir / "data").mkdir()
    # JSON is YAML.
    (confdir / "data" / "common.yaml").write_text(json.dumps({f"svc::{name}": value for name, value in VALUES.items()}))
    (confdir / "hiera.yaml").write_text(
        "version: 5\nhierarchy:\n- {name: all, path: common.yaml, datadir: data, data_hash: yaml_data}\n"
    )
    names = json.dumps([*VALUES, "absent"])
    manifest = f"""
      define svc {{
        tidegate::noop_unless_open("svc::${{title}}")
        file {{ "{there}/${{title}}": ensure => file }}
      }}
      svc {{ {names}: }}
      # Another one that asks for the same keys.
      class twice {{ tidegate::noop_unless_open("svc::id") tidegate::noop_unless_open("svc::no") }}
      include twice
    """
    argv = ["puppet", "apply", "--confdir", agent.confdir, "--modulepath", str(modules), "-e", manifest]
    subprocess.run(argv, check=True, capture_output=True, timeout=300)
    assert [path.name for path in there.iterdir()] == ["id"]
    told = read_report((agent.vardir / "state" / "last_run_report.yaml").read_bytes()).told
    assert set(told) == {"opened svc::id", *(f"closed svc::{name}" for name in (*VALUES, "absent") if name != "id")}


def test_a_ledgers_password_is_neither_written_nor_told(agent: AgentHome, tmp_path: Path) -> None:
    (tmp_path / "tidegate").symlink_to(MODULES / "puppet")
    target = tmp_path / "etc" / "target.json"
    ledger = "postgresql://tidegate:canary-4711@ledger.example.org/tidegate"
    manifest = f"class {{ tidegate: environment => 'prod', ledger => '{ledger}', folder => '{target.parent}' }}"
    argv = ["puppet", "apply", "--confdir", agent.confdir, "--modulepath", str(tmp_path), "-e", manifest]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert "ledger has a password" in done.stderr
    assert "canary" not in done.stdout + done.stderr
    assert not target.exists()
