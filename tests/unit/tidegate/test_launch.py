from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tidegate.launch import environment_of


def test_the_environment_of_a_process_is_what_it_was_started_with() -> None:
    given = {"PATH": os.environ["PATH"], "CANARY": "line one\nline=two", "EMPTY": ""}
    child = subprocess.Popen(["cat"], env=given, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin and child.stdout
    child.stdin.write(b"\n")
    child.stdin.flush()
    child.stdout.readline()  # it runs: before that, the process is still being made
    try:
        assert environment_of(child.pid) == given
    finally:
        child.communicate()


def test_ansible_gets_the_commands_environment_and_what_was_set_for_it(tmp_path: Path) -> None:
    """A process that takes launch's place would be ansible-playbook; here a module of that name tells what it got."""
    module = tmp_path / "ansible" / "__main__.py"
    module.parent.mkdir()
    (module.parent / "__init__.py").touch()
    module.write_text(
        "import json, os, sys\nprint(json.dumps([sys.argv[1:], os.environ.get('SECRET'), os.environ['X']]))"
    )
    launched = (
        "import os, subprocess, sys\n"
        "own = {'PATH': os.environ['PATH'], 'PYTHONPATH': os.environ['PYTHONPATH'], 'X': 'set'}\n"
        "argv = [sys.executable, '-m', 'tidegate.launch', str(os.getpid()), 'deploy.yml', '-e', 'a=b']\n"
        "print(subprocess.run(argv, env=own, capture_output=True, text=True).stdout)"
    )
    environment = {**os.environ, "SECRET": "hunter2hunter2", "X": "inherited", "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", launched], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [["playbook", "deploy.yml", "-e", "a=b"], "hunter2hunter2", "set"]


def test_nothing_begins_when_the_command_is_gone() -> None:
    done = subprocess.run([sys.executable, "-m", "tidegate.launch", "1"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "the command that started this is gone" in done.stderr
