from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.report import read_report, without_values

RUNS = Path(__file__).parent.parent / "puppet_runs"
HEAD = "--- !ruby/object:Puppet::Transaction::Report\nstatus: failed\n"


def test_the_deciding_fields_of_a_captured_report() -> None:
    report = read_report((RUNS / "changed.yaml").read_bytes())
    assert (report.job_id, report.status, report.environment) == ("changed", "changed", "production")
    assert report.configuration_version == "1795412860"
    assert (report.cached_catalog_status, report.transaction_completed) == ("not_used", True)
    assert report.resources is not None
    assert (report.resources["total"], report.resources["changed"], report.failures) == (8, 1, 0)
    assert report.failed == ()


def test_failed_resources_are_named_with_place_and_message() -> None:
    report = read_report((RUNS / "failed_restart.yaml").read_bytes())
    assert [each.resource for each in report.failed] == ["Exec[refreshed]", "Service[tgsvc]"]
    assert report.failed[1].place == "/etc/puppet/code/environments/production/manifests/site.pp:9"
    assert report.failed[1].message.startswith("Failed to call refresh: Could not restart Service[tgsvc]")
    assert all(each.restart for each in report.failed)
    assert (report.failures, report.failed_restarts) == (2, 2)


@pytest.mark.parametrize(
    "said, told",
    [
        ("change from 'old s3cret' to 'new s3cret' failed: it is locked", "change failed: it is locked"),
        ("change from 'a\ns3cret' to 's3cret' failed: run failed: no", "change failed: run failed: no"),
        ("change from 'a' to 's3cret' failed: Could not set 's3cret' on password: no",
         "change failed: Could not set password: no"),
        ("Could not start Service[x]: Execution failed: 1", "Could not start Service[x]: Execution failed: 1"),
    ],
)  # fmt: skip
def test_old_and_new_values_may_be_secrets_and_are_left_out(said: str, told: str) -> None:
    assert without_values(said) == told


def test_a_run_without_catalog_has_no_version() -> None:
    report = read_report((RUNS / "catalog_failure.yaml").read_bytes())
    assert (report.configuration_version, report.status, report.transaction_completed) == ("", "failed", False)
    assert report.resources is not None and report.resources["total"] == 0


def test_ruby_objects_are_made_to_nothing() -> None:
    text = HEAD + "job_id: !ruby/object:Gem::Installer\n  i: x\nenvironment: !!python/object/apply:os.system ['true']\n"
    report = read_report(text.encode())
    assert (report.status, report.job_id, report.environment) == ("failed", "", "")


def test_texts_that_look_like_numbers_or_dates_stay_texts() -> None:
    report = read_report((HEAD + "job_id: 2026-01-31\nconfiguration_version: 1e5\nenvironment: no\n").encode())
    assert (report.job_id, report.configuration_version, report.environment) == ("2026-01-31", "1e5", "no")


def test_a_log_line_can_not_pose_as_a_field() -> None:
    text = HEAD + "job_id: ours\nlogs:\n- level: notice\n  message: |\n    x\n    job_id: theirs\n    status: changed\n"
    report = read_report(text.encode())
    assert (report.job_id, report.status) == ("ours", "failed")


def test_a_large_report_is_read_in_no_time_since_only_failures_are_parsed() -> None:
    well = "".join(
        f"  File[/f{number}]:\n    title: /f{number}\n    failed: false\n    events: []\n" for number in range(50_000)
    )
    bad = "  Exec[x]:\n    file: /a.pp\n    line: 3\n    failed: true\n"
    bad += "    events:\n    - message: no\n      status: failure\n"
    report = read_report((HEAD + "resource_statuses:\n" + well + bad + "job_id: ours\n").encode())
    assert [str(each) for each in report.failed] == ["Exec[x] (/a.pp:3): no"]
    assert report.job_id == "ours"


def test_many_failures_are_cut() -> None:
    block = "".join(f"  Exec[{number}]:\n    failed: true\n    events: []\n" for number in range(100))
    report = read_report((HEAD + "resource_statuses:\n" + block).encode())
    assert len(report.failed) == 20
    assert report.failed[0].message == "failed without a message"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it has no status"),
        (b"- a list\n", "it has no status"),
        (b"status: {\n", "flow"),
        (b"status: a\nstatus", "expected"),
        ((HEAD + "resource_statuses:\n  A:\n    failed: true\n    x: " + "y" * 600_000).encode(), "take more than"),
    ],
)
def test_what_is_no_report_is_told(data: bytes, why: str) -> None:
    with pytest.raises(BadInput, match="Puppet's report can't be read") as error:
        read_report(data)
    assert why in str(error.value) or "pars" in str(error.value)
    assert "Look at it on the node" in error.value.remedy


def test_odd_shapes_are_no_traceback() -> None:
    odd = HEAD + "metrics: x\nresource_statuses: []\njob_id: [1]\n"
    report = read_report(odd.encode())
    assert (report.resources, report.failed, report.job_id) == ({}, (), "")
    half = HEAD + "resource_statuses:\n  A:\n    failed: true\n    events: x\n    line: {}\n"
    assert str(read_report(half.encode()).failed[0]) == "A: failed without a message"


@pytest.mark.parametrize(
    "row", ["[[a], b, '3']", "[a, b, [3]]", "[a, b, *a3]", "[*a3, b, '3']", f"[a, b, '{'9' * 5000}']"]
)
def test_rows_that_hold_more_than_texts_are_left_out(row: str) -> None:
    # Written out, the aliases' lists would fill the memory.
    aliases = "a0: &a0 [x, x]\n" + "".join(f"a{at}: &a{at} [{f'*a{at - 1},' * 99}]\n" for at in range(1, 9))
    text = f"{HEAD}{aliases}metrics:\n"
    text += "".join(f"  {kind}:\n    values:\n    - {row.replace('a3', 'a8')}\n" for kind in ("resources", "time"))
    report = read_report(text.encode())
    assert report.resources == {}
    assert set(report.times) <= {"a"}


def test_of_what_changed_the_name_is_read_and_nothing_else() -> None:
    report = read_report((RUNS / "changed.yaml").read_bytes())
    assert report.changed == ("File[/srv/app/out.txt]",)
    assert report.times["total"] == 3.457122075
    assert (report.puppet_version, report.report_format) == ("7.23.0", "12")


def test_names_too_long_for_a_plain_key_are_read() -> None:
    """YAML writes keys of more than 128 characters as `? key` and their values below `: `."""
    text = HEAD + "resource_statuses:\n"
    for name, state in (("a", "changed"), ("b", "failed")):
        text += f"  ? Exec[{name * 150}]\n  : title: {name}\n    {state}: true\n    events: []\n"
    report = read_report(text.encode())
    assert report.changed == (f"Exec[{'a' * 150}]",)
    assert [each.resource for each in report.failed] == [f"Exec[{'b' * 150}]"]


def test_only_the_first_changes_are_named() -> None:
    changes = "".join(f"  File[/f{number}]:\n    title: x\n    changed: true\n" for number in range(50_000))
    report = read_report((HEAD + "resource_statuses:\n" + changes).encode())
    assert len(report.changed) == 200
    assert report.failed == ()


@pytest.mark.parametrize("value", [".inf", "NaN", "-1.5", "x", "1e999999"])
def test_times_that_are_none_are_left_out(value: str) -> None:
    rows = (f"    - - {name}\n      - X\n      - {time}\n" for name, time in (("total", value), ("exec", "2.9007e-05")))
    text = f"{HEAD}metrics:\n  time:\n    values:\n{''.join(rows)}"
    assert read_report(text.encode()).times == {"exec": 2.9007e-05}
