"""The callback in a playbook, beside Splunk's, and a Graphite that is not there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from lab.graphite.server import Graphite
from lab.layout import PROJECT
from tests.integration.graphite.deployments import await_told, deploy, lines
from tests.integration.splunk.collecting import collecting
from tests.waiting import DEPLOYMENT_S, until

PLAY = "- {hosts: localhost, gather_facts: false, tasks: [{ansible.builtin.debug: {msg: hello}}]}\n"


def play(folder: Path, ledger: str, environment: str, *callbacks: str, **given: str) -> str:
    (folder / "play.yml").write_text(PLAY)
    names = ", ".join(f"tidegate.delivery.{name}" for name in callbacks)
    (folder / "ansible.cfg").write_text(
        f"[defaults]\ncallbacks_enabled = {names}\n[tidegate]\nspool = {folder}/spool\ndrain = 5\n"
    )
    done = run(
        folder,
        "ansible-playbook",
        *("-i", "localhost,", "-c", "local"),
        *("-e", f"tidegate_ledger={ledger}", "-e", f"tidegate_environment={environment}"),
        *("-e", f"ansible_python_interpreter={sys.executable}", str(folder / "play.yml")),
        **given,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return " ".join(done.stderr.split())


def flush(folder: Path, ledger: str, environment: str, **given: str) -> subprocess.CompletedProcess[str]:
    named = ("--ledger", ledger, "--environment", environment)
    return run(folder, "tidegate", "events", "flush", "--json", *named, **given)


def run(folder: Path, program: str, *options: str, **given: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name(program)), *options],
        env=surroundings(folder, **given),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=DEPLOYMENT_S,
        check=False,
    )


def surroundings(folder: Path, **given: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "TIDEGATE_"))}
    return {**kept, "ANSIBLE_CONFIG": str(folder / "ansible.cfg"), **given}


def test_both_callbacks_ship_by_one_process(graphite: Graphite, tmp_path: Path, ledger: str, environment: str) -> None:
    events = deploy(ledger, environment)
    with collecting(tmp_path) as splunk:
        given = {
            "TIDEGATE_SPLUNK_URL": splunk.receiver.url,
            "TIDEGATE_SPLUNK_TOKEN_FILE": str(tmp_path / "token"),
            "TIDEGATE_GRAPHITE_CARBON": graphite.line,
            "TIDEGATE_GRAPHITE_WEB": graphite.url,
        }
        assert "Nothing is shipped" not in play(tmp_path, ledger, environment, "graphite", "splunk", **given)
        wanted = {event.id for event in events}
        until(lambda: wanted <= splunk.acknowledged(), "Splunk has them")
        # The task's own result, which Graphite has no place for.
        until(lambda: splunk.receiver.arrivals.count() == len(events) + 1, "and the task's result")
        await_told(graphite, environment, *events)
        until(lambda: len(lines(graphite, environment)) == 2, "graphite-web has the markers")
        status = json.loads((tmp_path / "spool" / "status.json").read_text())
        assert sorted(each["sink"] for each in status["sinks"]) == ["graphite", "graphite-web", "splunk"]


def test_wrong_options_are_a_warning_and_flush_ships_what_was_left(
    graphite: Graphite, tmp_path: Path, ledger: str, environment: str
) -> None:
    events = deploy(ledger, environment)
    said = play(tmp_path, ledger, environment, "graphite")
    assert "Nothing is shipped to Graphite: neither carbon nor web is set" in said
    said = play(tmp_path, ledger, environment, "graphite", TIDEGATE_GRAPHITE_CARBON="http://x")
    assert "is no address" in said
    flushed = flush(tmp_path, ledger, environment)
    assert flushed.returncode != 0
    assert "nothing says where events are shipped to" in flushed.stdout + flushed.stderr
    given = {"TIDEGATE_GRAPHITE_CARBON": graphite.line, "TIDEGATE_GRAPHITE_WEB": graphite.url}
    flushed = flush(tmp_path, ledger, environment, **given)
    assert flushed.returncode == 0, flushed.stderr
    told = {each["sink"]: each["shipped"] for each in json.loads(flushed.stdout)["sinks"]}
    assert told == {"graphite": len(events), "graphite-web": len(events)}
    await_told(graphite, environment, *events)
