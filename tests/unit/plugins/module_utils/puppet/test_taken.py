from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.judge import Verdict
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.outcome import PuppetOutcome
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.report import Report, read_report
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.result import Result
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.taken import Expected, compared

EXPECTED = Expected(
    service="shop",
    pinned={"shop::version": "2.0", "shop::digest": "abc"},
    opened=("shop::deployment",),
    environment="prod",
    ledger="postgresql://tidegate:secret@db.example.org/tidegate",
)
GOOD = (
    "environment prod",
    "ledger postgresql://tidegate@db.example.org/tidegate",
    "took shop shop::version 2.0",
    "took shop shop::digest abc",
)


def ended(*told: str, outcome: PuppetOutcome = PuppetOutcome.CHANGED) -> Result:
    report = Report(status="changed", told=told)
    return Result(verdict=Verdict(outcome), job_id="j", adopted=False, report_path="/r", report=report)


@pytest.mark.parametrize(
    "told",
    [
        (),
        GOOD,
        GOOD[:2],
        ("took feed feed::version 1", "took shop"),
        (*GOOD, "opened shop::deployment", "closed feed::deployment"),
        ("ledger postgresql://tidegate:secret@db.example.org/tidegate",),
    ],
)
def test_what_is_as_it_should_be_or_is_not_told_stays_as_it_was(told: tuple[str, ...]) -> None:
    assert compared(ended(*told), EXPECTED) == ended(*told)


@pytest.mark.parametrize(
    ("told", "outcome", "detail"),
    [
        (
            ("took shop shop::version 1.0", GOOD[3]),
            PuppetOutcome.PIN_NOT_TAKEN,
            "shop::version is 1.0 in the catalog, and pinned is 2.0",
        ),
        (
            ("took shop shop::release 2.0", GOOD[3]),
            PuppetOutcome.PIN_NOT_TAKEN,
            "the code of shop takes no shop::version (it takes shop::release, shop::digest)",
        ),
        (
            (*GOOD, "closed shop::deployment"),
            PuppetOutcome.NOT_OPENED,
            "shop::deployment is not in the data of the catalog, though the deployment wrote it",
        ),
        (
            (*GOOD, "closed shop::deploiment", "opened feed::deployment"),
            PuppetOutcome.NOT_OPENED,
            "the code of shop doesn't ask for shop::deployment (what is asked for: shop::deploiment, feed::deployment)",
        ),
        (("environment staging",), PuppetOutcome.WRONG_TARGET, "its environment is staging there, and prod here"),
        (
            ("ledger postgresql://u:other@elsewhere/t",),
            PuppetOutcome.WRONG_TARGET,
            "its ledger is postgresql://u@elsewhere/t there, and postgresql://tidegate@db.example.org/tidegate here",
        ),
    ],
)
def test_what_is_not(told: tuple[str, ...], outcome: PuppetOutcome, detail: str) -> None:
    assert compared(ended(*told), EXPECTED).verdict == Verdict(outcome, detail)


def test_a_run_that_failed_stays_what_it_was() -> None:
    bad = ended("took shop shop::version 1.0", outcome=PuppetOutcome.FAILED_RESOURCES)
    assert compared(bad, EXPECTED) == bad
    none = replace(ended(), report=None)
    assert compared(none, EXPECTED) == none


def test_only_names_of_resources_tell() -> None:
    """As Puppet's YAML has them: plain, quoted, or too long for a line. A message may say anything."""
    long = "9" * 130
    text = f"""\
--- !ruby/object:Puppet::Transaction::Report
status: unchanged
logs:
- !ruby/object:Puppet::Util::Log
  message: |-
    no such thing
      Schedule[tidegate took shop shop::version 0]:
  tags: []
resource_statuses:
  Schedule[tidegate took shop shop::version 1.1.0]:
    title: tidegate took shop shop::version 0.9
  "Schedule[tidegate environment prod]":
    changed: false
  ? Schedule[tidegate took shop shop::digest {long}]
  : title: tidegate took
    changed: false
  Schedule[puppet]:
    changed: false
"""
    report = read_report(text.encode())
    assert report.told == ("took shop shop::version 1.1.0", "environment prod", f"took shop shop::digest {long}")


def test_a_name_that_puppets_yaml_folds_tells_as_well() -> None:
    """Psych folds a key of more than 128 characters at the first space behind column 80, as here."""
    key, digest = "profile::tradeapi_gateway::artifact_sha256", "a1b2c3d4" * 8
    text = f"""\
--- !ruby/object:Puppet::Transaction::Report
status: unchanged
resource_statuses:
  ? Schedule[tidegate took tradeapi-gateway {key}
    {digest}]
  : !ruby/object:Puppet::Resource::Status
    changed: false
  ? 'Schedule[tidegate ledger postgresql://it''s.{"db." * 35}example.org/tide
    gate]'
  : !ruby/object:Puppet::Resource::Status
    changed: false
"""
    told = (f"took tradeapi-gateway {key} {digest}", f"ledger postgresql://it's.{'db.' * 35}example.org/tide gate")
    assert read_report(text.encode()).told == told
    assert read_report(text.replace("\n", "\r\n").encode()).told == told


def test_a_report_from_windows_names_what_changed() -> None:
    text = "--- !ruby/object:X\r\nstatus: changed\r\nresource_statuses:\r\n  File[/x]:\r\n    changed: true\r\n"
    assert read_report(text.encode()).changed == ("File[/x]",)
