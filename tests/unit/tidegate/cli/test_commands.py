from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.excerpt import printable
from tests.unit.tidegate.cli.scripted import OPENED, PLAN, Script, end, scripted
from tests.waiting import PATIENCE_S
from tidegate.cli import deploying, session
from tidegate.cli.options import Common
from tidegate.outcome import Exit, Verdict
from tidegate.playbook import Said

SUMMARY = {"outcome": "done", "waves": []}
DONE = [
    end("plan", OPENED),
    end("deployment", {"outcome": "begun", "msg": "wave 1 begins"}, host="n1", state="wave"),
    end("deployment", {"outcome": "closed", "msg": "tradeapi is at 1.1.0", "summary": SUMMARY}, state="closed"),
]
HELD = [end("plan", OPENED), end("deployment", {"outcome": "held", "msg": "2 tests failed.\nGo back: x"}, state="held")]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    return scripted(monkeypatch)


def test_plan_is_a_dry_run_of_the_same_playbook(script: Script) -> None:
    script.says = {"deploy --check": (0, [end("plan", PLAN)])}
    result = script.call("plan", "tradeapi", "1.1.0", "--exclude", "n5", "--exclude", "n6")
    assert result.return_value == 0
    assert result.stdout.splitlines() == [*PLAN["table"], PLAN["msg"]]
    assert script.ran[0].variables == {"service": "tradeapi", "version": "1.1.0", "exclude": ["n5", "n6"], "wait": "0s"}


def test_a_plan_of_one_line_is_told_once(script: Script) -> None:
    line = "n7 would be taken over"
    script.says = {"pool --check": (0, [end("plan", {**PLAN, "table": [line], "msg": line})])}
    result = script.call("pools", "tradeapi", "--adopt", "n7", "--dry-run")
    assert (result.return_value, result.stdout.splitlines()) == (0, [line])


@pytest.mark.parametrize(
    ("words", "playbook"),
    [
        (("plan", "tradeapi", "1.1.0"), "deploy --check"),
        (("deploy", "tradeapi", "1.1.0", "-y"), "deploy"),
        (("rollback", "tradeapi", "-y"), "rollback"),
        (("pools", "tradeapi", "--leave", "n1"), "pool"),
        (("pools", "tradeapi", "--join", "n1"), "pool"),
    ],
)
def test_load_balancers_that_are_down_are_named(script: Script, words: tuple[str, ...], playbook: str) -> None:
    script.says = {playbook: (0, DONE)}
    script.call(*words, "--without", "lb2", "--without", "lb3")
    assert script.ran[0].variables["without"] == ["lb2", "lb3"]


@pytest.mark.parametrize(
    ("words", "playbook"),
    [
        (("plan", "tradeapi", "1.1.0"), "deploy --check"),
        (("deploy", "tradeapi", "1.1.0", "-y"), "deploy"),
        (("rollback", "tradeapi", "-y"), "rollback"),
    ],
)
def test_a_configuration_is_demanded_by_its_revision(script: Script, words: tuple[str, ...], playbook: str) -> None:
    script.says = {playbook: (0, DONE)}
    script.call(*words, "--revision", "3f1c2ab")
    assert script.ran[0].variables["revision"] == "3f1c2ab"
    result = script.call(*words, "--revision", " ")
    assert "it is empty" in str(result.exception)


def test_without_moves_nothing_where_nothing_is_moved(script: Script) -> None:
    result = script.call("pools", "tradeapi", "--without", "lb2")
    assert isinstance(result.exception, click.UsageError)
    assert script.ran == []


def test_deploy_without_yes_asks_nobody_when_nobody_is_there(script: Script) -> None:
    script.says = {"deploy --check": (0, [end("plan", PLAN)])}
    result = script.call("deploy", "tradeapi", "1.1.0")
    assert isinstance(result.exception, click.UsageError)
    assert "--yes" in result.exception.message
    assert script.ran == []


def test_what_was_agreed_to_is_what_may_run(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploying, "_somebody_there", lambda: True)
    script.says = {"deploy --check": (0, [end("plan", PLAN)]), "deploy": (0, DONE)}
    result = script.call("deploy", "tradeapi", "1.1.0", typed="y\n")
    assert result.return_value == 0
    assert script.ran[1].variables["confirmed"] == "abc123"
    assert PLAN["table"][0] in result.stderr


def test_no_means_that_nothing_runs(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploying, "_somebody_there", lambda: True)
    script.says = {"deploy --check": (0, [end("plan", PLAN)])}
    assert isinstance(script.call("deploy", "tradeapi", "1.1.0", typed="n\n").exception, click.Abort)
    assert len(script.ran) == 1


def test_nothing_to_do_asks_nothing(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploying, "_somebody_there", lambda: True)
    nothing = {**PLAN, "msg": "nothing to do", "plan": {**PLAN["plan"], "nothing_to_do": True}}
    script.says = {"deploy --check": (0, [end("plan", nothing)])}
    assert script.call("deploy", "tradeapi", "1.1.0").return_value == 0
    assert len(script.ran) == 1


def test_json_is_one_document_on_standard_output(script: Script) -> None:
    script.says = {"deploy": (0, DONE)}
    result = script.call("deploy", "tradeapi", "1.1.0", "--yes", "--json")
    told = json.loads(result.stdout)
    assert told["exit"] == 0
    assert (told["command"], told["outcome"], told["deployment"]) == ("deploy", "done", "tradeapi-1")
    assert told["plan"]["waves"] == [{"number": 1, "nodes": ["n1"]}]
    assert told["summary"] == SUMMARY


def test_a_held_deployment_exits_with_its_code_and_says_what_to_run(script: Script) -> None:
    script.says = {"rollback": (2, HELD)}
    result = script.call("rollback", "tradeapi", "-y")
    assert result.return_value == Exit.HELD
    assert "held: 2 tests failed.\nGo back: x" in result.stderr
    assert result.stderr.count("Go back") == 1


def test_quiet_says_only_how_it_ended(script: Script) -> None:
    script.says = {"deploy": (0, DONE)}
    result = script.call("deploy", "tradeapi", "1.1.0", "-y", "-q")
    assert (result.stdout, result.stderr) == ("tradeapi is at 1.1.0\n", "")


def test_progress_is_a_line_for_each_step_when_there_is_no_terminal(script: Script) -> None:
    script.says = {"deploy": (0, DONE)}
    lines = script.call("deploy", "tradeapi", "1.1.0", "-y").stderr.splitlines()
    assert [line[10:] for line in lines] == [
        "deploy tradeapi 1.1.0: planning",
        *PLAN["table"],
        f"plan  {PLAN['msg']}",
        "wave 1  n1  wave  wave 1 begins",
        "close  tradeapi is at 1.1.0",
    ]


@pytest.mark.parametrize(
    ("words", "playbook", "variables"),
    [
        (("status",), "status", {}),
        (("status", "tradeapi"), "status", {"service": "tradeapi"}),
        (("pools",), "pools", {}),
        (("history", "tradeapi"), "history", {"service": "tradeapi", "limit": 20}),
        (("history", "--deployment", "d1", "--limit", "3"), "history", {"deployment": "d1", "limit": 3}),
        (("report", "tradeapi"), "report", {"of": "tradeapi"}),
        (("report", "d1", "--output", "/tmp/d1.html"), "report", {"of": "d1", "dest": "/tmp/d1.html"}),
        (("validate",), "validate", {}),
        (("frozen",), "frozen", {}),
        (("frozen", "tradeapi", "--thaw", "-y"), "thaw", {"service": "tradeapi", "nodes": []}),
        (
            ("frozen", "tradeapi", "--thaw", "-y", "--node", "n3"),
            "thaw",
            {"service": "tradeapi", "nodes": ["n3"]},
        ),
        (("resume", "tradeapi", "-y"), "resume", {"service": "tradeapi"}),
        (
            ("pools", "tradeapi", "--leave", "n3"),
            "pool",
            {"service": "tradeapi", "node": "n3", "state": "maintenance"},
        ),
        (("pools", "tradeapi", "--join", "n3"), "pool", {"service": "tradeapi", "node": "n3", "state": "online"}),
        (
            ("pools", "tradeapi", "--adopt", "n3", "-y"),
            "pool",
            {"service": "tradeapi", "node": "n3", "state": "adopted"},
        ),
        (("pools", "tradeapi", "--repair", "-y"), "repair", {"service": "tradeapi", "nodes": []}),
        (
            ("pools", "tradeapi", "--repair", "-y", "--node", "n3", "--node", "n1"),
            "repair",
            {"service": "tradeapi", "nodes": ["n3", "n1"]},
        ),
    ],
)
def test_each_command_is_a_playbook(
    script: Script, words: tuple[str, ...], playbook: str, variables: dict[str, object]
) -> None:
    script.says = {playbook: (0, [])}
    script.call(*words)
    assert [(each.name, dict(each.variables)) for each in script.ran] == [(playbook, variables)]


def test_what_follows_two_dashes_goes_to_ansible(script: Script, tmp_path: Path) -> None:
    script.says = {"status": (0, [])}
    script.call("status", "-i", str(tmp_path), "-e", "a=b", "--", "--vault-password-file", "v")
    assert script.ran[0].inventories == (str(tmp_path),)
    assert script.ran[0].arguments == ("-e", "a=b", "--vault-password-file", "v")


@pytest.mark.parametrize(
    ("arguments", "repeatable"),
    [
        (("-e", "a=b", "-v", "--extra-vars", "@f"), (["a=b", "@f"], [], [])),
        (("--vault-id", "prod@x", "--vault-password-file=v"), ([], ["prod@x"], ["v"])),
        (("--vault-id",), ([], [], [])),
    ],
)
def test_what_can_be_repeated_is_found_among_ansibles_arguments(
    arguments: tuple[str, ...], repeatable: tuple[list[str], ...]
) -> None:
    assert Common((), as_json=False, quiet=False, forks=1, arguments=arguments).repeatable == repeatable


@pytest.mark.parametrize(
    "words",
    [
        ("deploy", "tradeapi"),
        ("plan", "tradeapi", "1.1.0", "-i", "no/such/inventory"),
        ("pools", "tradeapi", "--leave", "n1", "--join", "n2"),
        ("pools", "--leave", "n1"),
        ("status", "--forks", "0"),
        ("nonsense",),
        ("deploy", "tradeapi", "1.1.0", "-y", "--", "--limit", "n1"),
        ("deploy", "tradeapi", "1.1.0", "-y", "--", "--list-tasks"),
        ("deploy", "tradeapi", "1.1.0", "-y", "--", "--tag=leave"),
        ("deploy", "tradeapi", "1.1.0", "-y", "--", "--check"),
        ("deploy", "tradeapi", "1.1.0", "-y", "--", "-C"),
        ("deploy", "tradeapi", "1.1.0", "-y", "--", "-ln1"),
    ],
)
def test_bad_usage_is_told_before_anything_runs(script: Script, words: tuple[str, ...]) -> None:
    assert isinstance(script.call(*words).exception, click.UsageError)
    assert script.ran == []


def test_an_invalid_catalog_is_bad_input_with_every_problem(script: Script) -> None:
    problems = [{"file": "a.yml", "key": "waves", "problem": "0 never ends", "remedy": "r"}]
    told = {"problems": problems, "services": [], "table": ["a.yml: waves: 0 never ends"], "msg": "1 problem"}
    script.says = {"validate": (2, [end("catalog_info", told, ok=False)])}
    result = script.call("validate", "--json")
    assert json.loads(result.stdout)["problems"] == problems
    assert result.return_value == Exit.USAGE


def test_ansibles_own_warnings_are_shown(script: Script) -> None:
    script.says = {"status": (0, [Said("line", text="[WARNING]: no inventory")])}
    assert "[WARNING]: no inventory" in script.call("status").stderr


def tidegate(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    argv = [str(Path(sys.executable).parent / "tidegate"), *words]
    return subprocess.run(
        argv, capture_output=True, text=True, check=False, timeout=PATIENCE_S, env=environment or None
    )


@pytest.mark.parametrize(("words", "code"), [((), 2), (("deploy",), 2), (("--help",), 0), (("--version",), 0)])
def test_the_command_itself_exits_with_these(words: tuple[str, ...], code: int) -> None:
    done = tidegate(*words)
    assert done.returncode == code
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words", [("deploy", "tradeapi"), ("status", "--nonsense"), ("pools", "-i", "no/such/inventory"), ("nonsense",)]
)
def test_bad_usage_is_a_document_for_those_who_read_json(words: tuple[str, ...]) -> None:
    done = tidegate(*words, "--json")
    told = json.loads(done.stdout)
    assert (told["exit"], told["outcome"]) == (done.returncode, "bad_usage") == (2, "bad_usage")
    assert told["message"] and told["message"] in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_get_a_completion_script(shell: str) -> None:
    script = tidegate("completion", shell).stdout
    assert f"_TIDEGATE_COMPLETE={shell}_complete" in script


def test_services_are_completed_from_their_descriptors(tmp_path: Path) -> None:
    for name in ("tradeapi.yml", "tradeweb.yaml", "pricefeed.yml", "notes.txt"):
        (tmp_path / name).touch()
    asked = {"_TIDEGATE_COMPLETE": "bash_complete", "COMP_WORDS": "tidegate deploy trade", "COMP_CWORD": "2"}
    done = tidegate(**asked, TIDEGATE_SERVICES=str(tmp_path))
    assert done.stdout.split() == ["plain,tradeapi", "plain,tradeweb"]


DRIFTED = {"table": ["drift: n1 …"], "msg": "drift of 1 node: n1", "drift": [{"node": "n1"}], "pools": []}
SILENT = {"table": [], "msg": "", "drift": [], "pools": [{"problem": "lb2: no route"}, {"problem": ""}]}


@pytest.mark.parametrize(
    ("told", "words", "code"),
    [
        (DRIFTED, (), Exit.DONE),
        (DRIFTED, ("--check",), Exit.DRIFT),
        ({**DRIFTED, "drift": []}, ("--check",), Exit.DONE),
        (SILENT, (), Exit.DONE),
        (SILENT, ("--check",), Exit.REFUSED),
    ],
)
def test_drift_has_an_exit_code_for_those_who_ask_for_it(
    script: Script, told: dict[str, object], words: tuple[str, ...], code: Exit
) -> None:
    script.says = {"pools": (0, [end("service_info", told)])}
    result = script.call("pools", "tradeapi", "--json", *words)
    document = json.loads(result.stdout)
    assert (result.return_value, document["exit"], document["drift"]) == (code, code, told["drift"])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("tradeapi", "--repair", "--leave", "n1"), "exclude each other"),
        (("--repair",), "name the service: tidegate pools SERVICE --repair"),
        (("--leave", "n1"), "name the service: tidegate pools SERVICE --leave n1"),
        (("tradeapi", "--leave", "n1", "--leave", "n2"), "--leave moves one node: run it once for each of n1, n2"),
        (("tradeapi", "--leave", ""), "the name is empty"),
        (("tradeapi", "--repair", "--node", ""), "the name is empty"),
        (("tradeapi", "--leave", "n1", "--without", ""), "the name is empty"),
        (("tradeapi", "--node", "n1"), "--node says which nodes --repair looks at"),
        (("tradeapi", "--repair", "--check"), "give it alone"),
        (("tradeapi", "--leave", "n1", "-y"), "go with --repair and --adopt"),
        (("tradeapi", "--repair"), "nobody can be asked here"),
        (("tradeapi", "--adopt", "n1"), "nobody can be asked here"),
    ],
)
def test_options_of_pools_that_make_no_sense_run_nothing(script: Script, words: tuple[str, ...], told: str) -> None:
    result = script.call("pools", *words)
    assert isinstance(result.exception, click.UsageError)
    assert told in result.exception.message
    assert script.ran == []


LEFT = {"msg": "left frozen on 1 node: n1", "frozen": [{"node": "n1", "whose": "left", "why": ""}], "table": []}
MUTE = {"msg": "", "frozen": [{"node": "n2", "whose": "silent", "why": "no route"}], "table": []}
MUTE_SERVER = {
    "msg": "",
    "frozen": [],
    "table": [],
    "open": [{"node": "", "where": "ps1", "whose": "silent", "why": "no route"}],
}


@pytest.mark.parametrize(
    ("told", "words", "code"),
    [
        (LEFT, (), Exit.DONE),
        (LEFT, ("--check",), Exit.DRIFT),
        ({**LEFT, "msg": "", "frozen": []}, ("--check",), Exit.DONE),
        (MUTE, (), Exit.DONE),
        (MUTE, ("--check",), Exit.REFUSED),
        (MUTE_SERVER, (), Exit.DONE),
        (MUTE_SERVER, ("--check",), Exit.REFUSED),
    ],
)
def test_what_is_left_frozen_has_an_exit_code_for_those_who_ask_for_it(
    script: Script, told: dict[str, object], words: tuple[str, ...], code: Exit
) -> None:
    script.says = {"frozen": (0, [end("puppet_freeze_info", told)])}
    result = script.call("frozen", "--json", *words)
    document = json.loads(result.stdout)
    assert (result.return_value, document["exit"], document["frozen"]) == (code, code, told["frozen"])


SILENT = {
    "msg": "left in downtime: 1 node: n1",
    "downtimes": [{"node": "n1", "whose": "left"}],
    "table": ["n1: silent"],
}
NO_NAGIOS = {
    "msg": "",
    "downtimes": [{"node": "", "server": "mon", "whose": "silent", "why": "it is off"}],
    "table": [],
}


@pytest.mark.parametrize(
    ("freezes", "downtimes", "code", "outcome", "message"),
    [
        ({**LEFT, "msg": ""}, SILENT, Exit.DRIFT, "left_in_downtime", SILENT["msg"]),
        (LEFT, SILENT, Exit.DRIFT, "left_frozen", f"{LEFT['msg']}; {SILENT['msg']}"),
        (
            MUTE,
            NO_NAGIOS,
            Exit.REFUSED,
            "refused",
            "nobody can tell whether something is left: n2: no route; mon: it is off",
        ),
        (
            {"msg": "", "frozen": [], "table": [], "problems": ["orders: not YAML"]},
            {"msg": "", "downtimes": [], "table": [], "problems": ["orders: not YAML"]},
            Exit.REFUSED,
            "refused",
            "nobody can tell whether something is left: orders: not YAML",
        ),
    ],
)
def test_what_is_left_in_downtime_is_told_with_what_is_left_frozen(
    script: Script,
    freezes: dict[str, object],
    downtimes: dict[str, object],
    code: Exit,
    outcome: str,
    message: str,
) -> None:
    script.says = {"frozen": (0, [end("puppet_freeze_info", freezes), end("nagios_downtime_info", downtimes)])}
    result = script.call("frozen", "--json", "--check")
    document = json.loads(result.stdout)
    assert (result.return_value, document["outcome"], document["message"]) == (code, outcome, message)
    assert document["downtimes"] == downtimes["downtimes"]
    told = script.call("frozen")
    assert told.stdout.splitlines() == downtimes["table"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--thaw",), "name the service: tidegate frozen SERVICE --thaw"),
        (("tradeapi", "--thaw", "--check"), "give it alone"),
        (("tradeapi", "--node", "n1"), "go with --thaw"),
        (("tradeapi", "--thaw", "--node", ""), "the name is empty"),
        (("tradeapi", "-y"), "go with --thaw"),
        (("tradeapi", "--thaw"), "nobody can be asked here"),
    ],
)
def test_options_of_frozen_that_make_no_sense_run_nothing(script: Script, words: tuple[str, ...], told: str) -> None:
    result = script.call("frozen", *words)
    assert isinstance(result.exception, click.UsageError)
    assert told in result.exception.message
    assert script.ran == []


def test_a_repair_is_shown_and_asked_for_before_it_runs(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploying, "_somebody_there", lambda: True)
    script.says = {"repair --check": (0, [end("plan", PLAN)]), "repair": (0, DONE)}
    result = script.call("pools", "tradeapi", "--repair", typed="y\n")
    assert result.return_value == 0
    assert script.ran[1].variables["confirmed"] == "abc123"


RAW = "tidegate: deployment d9\x1b[2J of x, by \x9b31meve\r"


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_what_others_wrote_reaches_no_terminal_raw(script: Script, words: tuple[str, ...]) -> None:
    freezes = {
        "msg": "",
        "frozen": [{"node": "n1", "whose": "foreign", "why": RAW}],
        "open": [],
        "table": [f"n1: {RAW}"],
    }
    script.says = {"frozen": (0, [Said("line", text=f"[WARNING]: {RAW}"), end("puppet_freeze_info", freezes)])}
    result = script.call("frozen", *words)
    assert result.return_value == Exit.DONE
    assert "by \\x9b31meve\\r" in result.stdout.replace("\\\\", "\\")
    assert printable(result.output) == result.output


def test_a_plan_and_how_it_ended_are_printable(script: Script) -> None:
    planned = {**OPENED, "table": [f"n1  online  skipped: Puppet is disabled there by somebody else: {RAW}"]}
    held = {"failed": True, "msg": f"n1: {RAW}", "reason": "failed"}
    script.says = {"deploy": (2, [end("plan", planned), end("puppet_run", held, ok=False, host="n1")])}
    result = script.call("deploy", "tradeapi", "1.1.0", "--yes")
    assert "skipped: Puppet is disabled there by somebody else: tidegate: deployment d9\\x1b[2J" in result.output
    assert "n1: tidegate: deployment d9\\x1b[2J" in result.output
    assert printable(result.output) == result.output


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("code", [Exit.DONE, Exit.REFUSED])
def test_an_answer_that_no_playbook_gave_is_printable_too(
    capfd: pytest.CaptureFixture[str], as_json: bool, code: Exit
) -> None:
    common = Common(inventories=(), as_json=as_json, quiet=False, forks=5, arguments=())
    assert session.answer(common, Verdict(code, "left", f"collector: {RAW}"), {"why": RAW}, [RAW]) == code
    out, err = capfd.readouterr()
    assert "collector: tidegate" in out + err
    assert printable(out + err) == out + err
