"""The callback in a playbook of anybody's: what is told, what never is, and a Splunk that is not there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.layout import PROJECT
from lab.splunk.faults import Faults
from lab.splunk.server import Receiver
from tests.integration.splunk.collecting import collecting
from tests.waiting import DEPLOYMENT_S, PATIENCE_S, until
from tidegate.shipping.shipper import taken

CANARY = "CANARY-7c1f"
PLAY = """
- name: A play {{ canary }}
  hosts: localhost
  gather_facts: false
  vars:
    canary: CANARY-7c1f
    url: https://user:CANARY-7c1f@localhost:1/
  environment: {SECRET: CANARY-7c1f}
  tasks:
    - name: Says {{ canary }} of https://user:CANARY-7c1f@host/
      ansible.builtin.command: echo CANARY-7c1f {{ canary }}
      changed_when: true
    - name: Fails
      ansible.builtin.command: sh -c 'echo {{ canary }} >&2; exit 3'
      changed_when: false
      ignore_errors: true
    - name: Hides
      ansible.builtin.command: sh -c 'echo {{ canary }}; exit 4'
      changed_when: false
      ignore_errors: true
      no_log: true
    - name: Loops
      ansible.builtin.debug: {msg: "{{ item }}"}
      loop: ["{{ canary }}", two]
    - name: Asks
      ansible.builtin.uri: {url: "{{ url }}?token={{ canary }}"}
      ignore_errors: true
    - name: Leaves out
      ansible.builtin.debug: {msg: "{{ canary }}"}
      when: false
    - name: Own
      tidegate.delivery.splunk_event:
        event: renewed
        fields: {of: "https://user:CANARY-7c1f@host/", password_was: "{{ db_password }}", api_token: CANARY-7c1f}
      vars: {db_password: CANARY-7c1f}
"""

SHORT = "- hosts: localhost\n  gather_facts: false\n  tasks: [{ansible.builtin.debug: {msg: one}}]\n"


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with collecting(tmp_path) as made:
        yield made.receiver


def run(
    receiver: Receiver, folder: Path, program: str, *options: str, **other: str
) -> subprocess.CompletedProcess[str]:
    (folder / "ansible.cfg").write_text(
        "[defaults]\ncallbacks_enabled = tidegate.delivery.splunk\n"
        f"[tidegate_splunk]\nurl = {receiver.url}\ntoken_file = {folder}/token\n[tidegate]\nspool = {folder}/spool\n"
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "TIDEGATE_"))}
    return subprocess.run(
        [str(Path(sys.executable).with_name(program)), *options],
        env={**kept, "ANSIBLE_CONFIG": str(folder / "ansible.cfg"), **other},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=DEPLOYMENT_S,
        check=False,
    )


def play(receiver: Receiver, folder: Path, text: str = PLAY, times: int = 1, **other: str) -> str:
    (folder / "play.yml").write_text(text)
    options = ("-i", "localhost,", "-c", "local", "-e", f"ansible_python_interpreter={sys.executable}")
    done = run(receiver, folder, "ansible-playbook", *options, *[str(folder / "play.yml")] * times, **other)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


def test_a_playbooks_results_arrive_and_no_secret_does(receiver: Receiver, tmp_path: Path) -> None:
    # Kept in the spool until the play is over, so that what lies there is looked at, too.
    receiver.set_faults(Faults(refused=True))
    play(receiver, tmp_path)
    spooled = "".join(path.read_text() for path in (tmp_path / "spool").rglob("*") if path.is_file())
    assert CANARY not in spooled
    receiver.set_faults(Faults())
    until(lambda: receiver.arrivals.count() == 7, "all has arrived")
    arrived = receiver.arrivals.events()
    assert CANARY not in json.dumps([[one.event, one.source, one.host] for one in arrived])
    tasks = {one.event["task"]: one.event for one in arrived if one.sourcetype == "tidegate:task"}
    assert {name: each["status"] for name, each in tasks.items()} == {
        "Says {{ canary }} of https://***@host/": "changed",
        "Fails": "failed",
        "Hides": "failed",
        "Loops": "ok",
        "Asks": "failed",
        "Leaves out": "skipped",
    }
    assert (tasks["Fails"]["rc"], tasks["Fails"]["ignored"], tasks["Loops"]["items"]) == (3, True, 2)
    assert {each["play"] for each in tasks.values()} == {"A play {{ canary }}"}
    own = next(one.event for one in arrived if one.sourcetype == "tidegate:custom")
    assert {name: own[name] for name in ("event", "of", "password_was", "api_token")} == {
        "event": "renewed",
        "of": "https://***@host/",
        "password_was": "***",
        "api_token": "***",
    }


def test_a_wrong_configuration_is_a_warning_and_the_play_goes_on(receiver: Receiver, tmp_path: Path) -> None:
    told = play(receiver, tmp_path, "- {hosts: localhost, gather_facts: false}\n", TIDEGATE_SPLUNK_URL="ftp://x")
    assert "Nothing is shipped to Splunk" in told
    told = play(receiver, tmp_path, "- {hosts: localhost, gather_facts: false}\n", TIDEGATE_SPLUNK_TOKEN_FILE="/none")
    assert "the token can't be read" in " ".join(told.split())
    told = play(receiver, tmp_path, SHORT, TIDEGATE_SPOOL="/proc/none")
    assert "the spool's folder can't be used" in " ".join(told.split())


def test_of_two_playbooks_in_one_call_both_are_shipped_at_once(receiver: Receiver, tmp_path: Path) -> None:
    play(receiver, tmp_path, SHORT, times=2)
    until(lambda: receiver.arrivals.count() == 2, "both have arrived")


def test_what_a_playbook_without_a_ledger_left_is_flushed_later(receiver: Receiver, tmp_path: Path) -> None:
    receiver.set_faults(Faults(refused=True))
    play(receiver, tmp_path, SHORT, TIDEGATE_DRAIN="1")
    play(receiver, tmp_path, SHORT, TIDEGATE_SHIP="false")
    with taken(tmp_path / "spool", PATIENCE_S):  # the first one's process has ended
        receiver.set_faults(Faults())
    assert receiver.arrivals.count() == 0
    flushed = run(receiver, tmp_path, "tidegate", "events", "flush", "--spool-only", "--json")
    assert flushed.returncode == 0, flushed.stdout + flushed.stderr
    assert json.loads(flushed.stdout)["sinks"][0]["shipped"] == 1
    assert receiver.arrivals.count() == 1
    nowhere = run(
        receiver, tmp_path, "tidegate", "events", "flush", "--spool-only", "--json", TIDEGATE_SPOOL="/proc/none"
    )
    assert (nowhere.returncode, json.loads(nowhere.stdout)["exit"]) == (2, 2)
    assert "the spool's folder can't be used" in json.loads(nowhere.stdout)["message"]
