from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DeadlineExceeded
from lab import agents
from lab.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(net="127.32", state=tmp_path / "lab")


def test_a_run_is_in_the_foreground_judged_in_detail_and_never_from_the_cache(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents, "program", lambda name: f"/bin/{name}")
    argv = agents.agent_argv(layout.host("n1"), "--noop")
    assert argv[:4] == ["/bin/puppet", "agent", "--confdir", f"{layout.state}/hosts/n1/etc/puppet"]
    assert {"--onetime", "--no-daemonize", "--detailed-exitcodes", "--no-usecacheonfailure"} < set(argv)
    assert argv[-1] == "--noop"


def test_a_nodes_data_is_written_whole_replaced_and_taken_back(layout: Layout) -> None:
    path = agents.node_data(layout, "n3")
    assert path == layout.puppet_code_dir / "environments/production/data/nodes/n3.lab.yaml"
    agents.set_node_data(layout, "n3", {"tradeapi::restart": False})
    agents.set_node_data(layout, "n3", {"tradeapi::break": True})
    assert yaml.safe_load(path.read_text()) == {"tradeapi::break": True}
    assert [entry.name for entry in path.parent.iterdir()] == ["n3.lab.yaml"]
    agents.clear_node_data(layout, "n3")
    agents.clear_node_data(layout, "n3")
    assert not path.exists()


def test_a_pin_is_one_file_in_the_global_layer(layout: Layout) -> None:
    path = layout.rollout_dir / "nodes" / "n2.lab.yaml"
    agents.pin(layout, "n2", {"tradeapi::version": "1.1.0"})
    assert yaml.safe_load(path.read_text()) == {"tradeapi::version": "1.1.0"}
    agents.unpin(layout, "n2")
    assert not path.exists()


def test_a_version_that_looks_like_a_number_stays_text(layout: Layout) -> None:
    agents.pin(layout, "n2", {"tradeapi::version": "1.10"})
    assert yaml.safe_load((layout.rollout_dir / "nodes/n2.lab.yaml").read_text()) == {"tradeapi::version": "1.10"}


def test_a_run_tells_exit_code_output_of_both_streams_and_report(layout: Layout) -> None:
    script = "import os, sys; print(os.environ['TIDEGATE_LAB_ID']); print('oops', file=sys.stderr); sys.exit(6)"
    run = agents.run_puppet(layout, layout.host("n1"), [sys.executable, "-c", script], 30)
    assert run.exit_code == 6
    assert set(run.output.split()) == {str(layout.state), "oops"}
    assert run.report == layout.state / "hosts/n1/var/lib/puppet/state/last_run_report.yaml"


def test_a_run_that_does_not_end_is_told_with_the_node(layout: Layout) -> None:
    with pytest.raises(DeadlineExceeded, match=r"Puppet did not end within 0 s \(n1\)"):
        agents.run_puppet(layout, layout.host("n1"), [sys.executable, "-c", "import time; time.sleep(9)"], 0.2)
