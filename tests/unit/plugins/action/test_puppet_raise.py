from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.action import puppet_raise
from ansible_collections.tidegate.delivery.plugins.action.puppet_raise import ActionModule
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, DomainError
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import LocalShell, PosixNode
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.common_value import NotServed
from tests.unit.plugins.action.puppet_call import PuppetCall, act, folders

VALUES = {"tradeapi::version": "2", "tradeapi::digest": "abc"}
# What `puppet lookup` of puppet-agent 7.23 was seen to say: JSON for a value, an error for a node without facts.
_PUPPET = r"""#!/bin/sh
home=$(dirname "$(dirname "$0")"); echo "$*" >>"$home/calls"
for key; do :; done
case "$*" in
  *"--node stranger "*) echo "Error: Could not run: No facts available for target node: stranger" >&2; exit 1 ;;
esac
sed -n "s/^$key //p" "$home/served" | grep . || echo '"tidegate: no such value"'
"""


class RaiseCall(PuppetCall):
    """One that asks its nodes in turn."""

    def in_parallel(self, work: Any, names: Any) -> dict[str, Any]:
        return {name: work(name) for name in names}


@pytest.fixture
def server(tmp_path: Path) -> Path:
    home = tmp_path / "server"
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "puppet").write_text(_PUPPET)
    (home / "bin" / "puppet").chmod(0o755)
    serve(home, {"tradeapi::version": "1"})
    return home


def serve(home: Path, values: dict[str, str]) -> None:
    (home / "served").write_text("".join(f"{key} {json.dumps(value)}\n" for key, value in values.items()))


@pytest.fixture
def call(server: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RaiseCall:
    monkeypatch.setattr(puppet_raise, "_LOOK_AGAIN", 0.01)
    node = PosixNode("ps1", LocalShell({**os.environ, "PATH": f"{server}/bin:{os.environ['PATH']}"}))
    command = tmp_path / "open-request"
    command.write_text(
        f"#!/bin/sh\ncat >>{tmp_path}/asked; echo >>{tmp_path}/asked; echo made; echo https://git/mr/1\n"
    )
    command.chmod(0o755)
    hostvars = {
        **folders(tmp_path, "ps1"),
        "n1": {"tidegate_certname": "n1.lab", "tidegate_raise_command": [str(command)]},
    }
    made = RaiseCall("puppet_raise", "n1", {"ps1": node}, hostvars)
    made.args |= {"servers": ["ps1"], "nodes": ["n1"], "values": VALUES}
    return made


def asked(tmp_path: Path) -> list[dict[str, Any]]:
    file = tmp_path / "asked"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_what_is_served_already_is_not_asked_for(call: RaiseCall, server: Path, tmp_path: Path) -> None:
    serve(server, VALUES)
    result = act(ActionModule, call)
    assert (result["changed"], result["outcome"]) == (False, "served")
    assert asked(tmp_path) == []
    told = (server / "calls").read_text().splitlines()[0]
    assert "--node n1.lab --hiera_config" in told and "--environment production --facts_terminus json" in told


def test_a_request_that_is_not_merged_keeps_the_pins_and_is_found_again(
    call: RaiseCall, server: Path, tmp_path: Path
) -> None:
    with pytest.raises(NotServed) as error:
        act(ActionModule, call)
    told = str(error.value)
    assert "not served yet; the pins stay until it is: n1 on ps1: tradeapi::version is 1, not 2" in told
    assert "tradeapi::digest is nowhere, not abc" in told
    assert "Have https://git/mr/1 merged" in told and "resume.yml -e service=tradeapi" in told
    with pytest.raises(NotServed):
        act(ActionModule, call)
    wanted = {"deployment": "d1", "service": "tradeapi", "environment": "lab", "kind": "deploy", "version": "2"}
    assert asked(tmp_path) == [wanted | {"revision": "", "values": VALUES}] * 2
    serve(server, VALUES)
    assert act(ActionModule, call)["outcome"] == "served"
    assert len(asked(tmp_path)) == 2


def test_a_merge_is_waited_for(call: RaiseCall, server: Path, tmp_path: Path) -> None:
    """The command merges itself: the next look sees it."""
    command = tmp_path / "open-request"
    lines = "".join(f"{key} {json.dumps(value)}\\n" for key, value in VALUES.items())
    command.write_text(f"#!/bin/sh\n(sleep 0.3; printf '{lines}' >{server}/served) >/dev/null 2>&1 &\n")
    call.args["wait"] = "60s"
    result = act(ActionModule, call)
    assert (result["changed"], result["outcome"], result["request"]) == (True, "raised", "")


def test_our_own_common_file_must_not_stand_above_it(call: RaiseCall, server: Path, tmp_path: Path) -> None:
    serve(server, VALUES)
    (tmp_path / "ps1").mkdir()
    (tmp_path / "ps1" / "common.yaml").write_text('tradeapi::version: "1"\n')
    with pytest.raises(NotServed, match=r"common.yaml: tradeapi::version is 1 above it; take it out of that file"):
        act(ActionModule, call)


def test_check_mode_asks_for_nothing(call: RaiseCall, tmp_path: Path) -> None:
    call.check = True
    result = act(ActionModule, call)
    assert (result["changed"], asked(tmp_path)) == (True, [])
    assert "would be asked for: n1 on ps1" in result["msg"]


def test_what_goes_wrong_is_told(call: RaiseCall, tmp_path: Path) -> None:
    (tmp_path / "open-request").write_text("#!/bin/sh\necho 'no token' >&2; exit 3\n")
    with pytest.raises(DomainError, match="open-request ended with 3: no token"):
        act(ActionModule, call)
    call.hostvars["n1"]["tidegate_raise_command"] = "a string"
    with pytest.raises(BadInput, match="is no list of words"):
        act(ActionModule, call)
    call.hostvars["n1"]["tidegate_certname"] = "stranger"
    with pytest.raises(DomainError, match="No facts available for target node: stranger"):
        act(ActionModule, call)
