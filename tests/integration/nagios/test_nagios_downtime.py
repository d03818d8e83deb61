"""Downtimes in a real Nagios: opened, found again, prolonged, taken over, closed, and nobody else's touched."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, DeadlineExceeded
from ansible_collections.tidegate.delivery.plugins.module_utils.nagios import server as nagios_module
from ansible_collections.tidegate.delivery.plugins.module_utils.nagios.downtime import (
    Change,
    Covered,
    Owner,
    close_downtimes,
    open_downtimes,
    to_open,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.nagios.server import ask, find_nagios
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import LocalShell, PosixNode
from tests.integration.nagios.nagios_site import NagiosSite, running

HERE = PosixNode("nagios", LocalShell())
OURS = Owner("tradeapi-2", "tradeapi")
SUPERSEDED = Owner("tradeapi-1", "tradeapi")
BESIDE = Owner("pricefeed-7", "pricefeed")
N1, N2 = Covered("n1"), Covered("n2")
HOUR = 3600


def opened(site: NagiosSite, *covered: Covered, owner: Owner = OURS, length_s: int = HOUR) -> dict[str, Change]:
    return open_downtimes(HERE, find_nagios(HERE, str(site.configuration)), covered, owner, length_s, "alice")


def closed(site: NagiosSite, *hosts: str, owner: Owner = OURS) -> dict[str, Change]:
    return close_downtimes(HERE, find_nagios(HERE, str(site.configuration)), hosts, owner)


def of_n1(owner: Owner) -> list[tuple[str, str, str]]:
    return [("n1", service, owner.comment) for service in ("", "disk", "tradeapi")]


def stranger(site: NagiosSite, comment: str = "Ann swaps a disk") -> tuple[str, str, str]:
    now = int(time.time())
    site.tell(f"SCHEDULE_HOST_DOWNTIME;n1;{now};{now + HOUR};1;0;0;ann;{comment}", "SAVE_STATE_INFORMATION")
    return ("n1", "", comment)


def test_a_host_and_its_services_are_in_downtime_from_leave_to_join(site: NagiosSite) -> None:
    theirs = stranger(site)
    changes = opened(site, N1, N2)
    assert all(change.changed and not change.before for change in changes.values())
    assert abs(changes["n1"].until - time.time() - HOUR) < 60
    assert site.shown() == sorted([*of_n1(OURS), theirs, ("n2", "", OURS.comment)])
    assert not any(change.changed for change in opened(site, N1, N2).values()), "again"
    assert len(site.downtimes()) == 5
    assert all(change.changed and not change.after for change in closed(site, "n1", "n2").values())
    assert site.downtimes() == [theirs]
    assert not any(change.changed for change in closed(site, "n1", "n2").values()), "again"
    assert site.downtimes() == [theirs]


def test_only_the_services_that_are_named(site: NagiosSite) -> None:
    opened(site, Covered("n1", ("disk",)))
    assert site.downtimes() == [("n1", "", OURS.comment), ("n1", "disk", OURS.comment)]
    opened(site, N1)
    assert site.downtimes() == of_n1(OURS)


def test_two_services_on_one_node_have_their_own(site: NagiosSite) -> None:
    opened(site, N1)
    opened(site, N1, owner=BESIDE)
    assert site.downtimes() == sorted([*of_n1(OURS), *of_n1(BESIDE)])
    closed(site, "n1")
    assert site.downtimes() == of_n1(BESIDE)


def test_what_a_superseded_deployment_left_is_taken_over_without_a_gap(site: NagiosSite) -> None:
    opened(site, N1, owner=SUPERSEDED)
    change = opened(site, N1)["n1"]
    assert {each.deployment for each in change.before} == {SUPERSEDED.deployment}
    assert {each.deployment for each in change.after} == {OURS.deployment}
    assert site.downtimes() == of_n1(OURS)
    assert "DOWNTIME ALERT: n1;STARTED" in site.log
    assert ";CANCELLED;" not in site.log
    assert "ALERT: n1;STOPPED" not in site.log


def test_one_that_is_near_its_end_is_prolonged(site: NagiosSite) -> None:
    opened(site, N1, length_s=HOUR)
    change = opened(site, N1, length_s=3 * HOUR)["n1"]
    assert change.changed
    assert change.until - change.before[0].until > HOUR
    assert site.downtimes() == of_n1(OURS), "the short ones are gone"
    assert not opened(site, N1, length_s=4 * HOUR)["n1"].changed, "more than half is left"


def test_killed_between_the_command_and_its_reading(site: NagiosSite) -> None:
    found = find_nagios(HERE, str(site.configuration))
    commands = to_open(ask(HERE, found, ["n1"]), N1, OURS, HOUR, "alice")
    site.tell(*(command.partition("] ")[2] for command in commands))
    assert not opened(site, N1)["n1"].changed
    assert site.downtimes() == of_n1(OURS)
    # Told twice, by one that read nothing: the end ends all.
    site.tell(*(command.partition("] ")[2] for command in commands))
    closed(site, "n1")
    assert site.downtimes() == []


def test_what_a_killed_attempt_asked_for_at_the_last_moment_is_closed_as_well(site: NagiosSite) -> None:
    found = find_nagios(HERE, str(site.configuration))
    commands = to_open(ask(HERE, found, ["n1"]), N1, OURS, HOUR, "alice")
    with site.hanging():
        site.tell(*(command.partition("] ")[2] for command in commands))
    closed(site, "n1")
    assert site.downtimes() == []


def test_it_outlives_a_crash_of_nagios(site: NagiosSite) -> None:
    opened(site, N1)
    site.end(signal.SIGKILL)
    site.start()
    assert not opened(site, N1)["n1"].changed
    assert site.downtimes() == of_n1(OURS)


def test_after_a_crash_that_lost_ours_somebody_elses_of_the_same_number_stays(tmp_path: Path) -> None:
    with running(tmp_path) as site:
        opened(site, N1)
        site.end(signal.SIGKILL)
        site.retained.unlink()
        site.start()
        theirs = stranger(site)
        assert not closed(site, "n1")["n1"].changed
        assert "downtime_id=1\n" in site.retained.read_text()
        assert site.downtimes() == [theirs]


def test_a_nagios_that_does_not_run_is_told_at_once(site: NagiosSite) -> None:
    site.end()
    assert site.command_file.exists(), "what makes a plain write wait for ever"
    with pytest.raises(BadInput, match="does not run: nobody reads its command file"):
        opened(site, N1)
    site.command_file.unlink()
    site.command_file.write_text("")
    with pytest.raises(BadInput, match="does not run"):
        opened(site, N1)
    assert site.command_file.read_text() == "", "no command was put into a plain file"
    site.command_file.unlink()


def test_one_that_hangs_is_neither_a_failure_nor_a_success(site: NagiosSite, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(site, N1, owner=BESIDE)
    found = find_nagios(HERE, str(site.configuration))
    commands = to_open(ask(HERE, found, ["n1"]), N1, OURS, HOUR, "alice")
    with monkeypatch.context() as patched, site.hanging():
        patched.setattr(nagios_module, "ANSWER_S", 1.0)
        with pytest.raises(DeadlineExceeded, match="did not write its state within 1 s; it may still act on"):
            ask(HERE, found, ["n1"], commands)
    assert not opened(site, N1)["n1"].changed, "it acted on it when it went on"


def test_what_nagios_does_not_have_is_told_before_it_is_told_anything(site: NagiosSite) -> None:
    with pytest.raises(BadInput, match="Nagios has no host 'n9'"):
        opened(site, N1, Covered("n9"))
    with pytest.raises(BadInput, match=r"no service 'web' on n1.*Nagios has disk, tradeapi"):
        opened(site, Covered("n1", ("web",)))
    assert site.downtimes() == []
    assert not closed(site, "n9")["n9"].changed


def test_without_retention_the_status_file_tells(tmp_path: Path) -> None:
    site = NagiosSite(tmp_path, retention=False)
    site.start()
    try:
        found = find_nagios(HERE, str(site.configuration))
        assert (found.state_file, found.interval_s) == (str(site.status), 1.0)
        assert opened(site, N1)["n1"].changed
        assert site.shown() == of_n1(OURS)
        assert closed(site, "n1")["n1"].changed
        assert site.shown() == []
    finally:
        site.end()


def test_a_batch_that_no_pipe_holds_at_once(tmp_path: Path) -> None:
    services = [f"check number {number:03} of this host" for number in range(200)]
    with running(tmp_path, n1=services, n2=services, n3=services) as site:
        changes = opened(site, N1, N2, Covered("n3"))
        assert [len(change.after) for change in changes.values()] == [201, 201, 201]
        assert len(site.downtimes()) == 603
        closed(site, "n1", "n2", "n3")
        assert site.downtimes() == []
