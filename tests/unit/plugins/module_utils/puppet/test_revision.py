from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import Refused
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import LocalShell, PosixNode
from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.revision import (
    Configuration,
    agreed,
    ask_revision,
    compiled_from,
    names,
    revision_of,
    short,
    whichever,
    with_configuration,
)

COMMIT = "3f1c2ab4d5e60718293a4b5c6d7e8f9001122334"
# Counts how often it was asked: that takes a second, of a real one.
PUPPET = """#!/bin/sh
echo asked >>{home}/asked
echo "config = {home}/puppet.conf"
echo "config_version = $(cat {home}/command)"
echo "environmentpath = {home}/none:{home}/code"
"""


@pytest.mark.parametrize(
    ("told", "revision"),
    [
        (COMMIT, COMMIT),
        (f"{COMMIT}\n", COMMIT),
        ("puppet1-production-3f1c2ab4d5e", "3f1c2ab4d5e"),
        ("deadbeef1-production-3f1c2ab4d5e", "3f1c2ab4d5e"),
        ("puppet1-production-12345678901", "12345678901"),
        ("puppet1-staging-3f1c2ab4d5e", "puppet1-staging-3f1c2ab4d5e"),
        # Two that end alike are two: builds of a day, or code and data of repositories of their own.
        ("2026.11.29-1000001", "2026.11.29-1000001"),
        ("release-7-20261129", "release-7-20261129"),
        ("1111aaa-3f1c2ab", "1111aaa-3f1c2ab"),
        ("3f1c2ab4d5e-dirty", "3f1c2ab4d5e-dirty"),
        ("release 2026-11", "release 2026-11"),
        ("v1.2.3", "v1.2.3"),
        ("x3f1c2ab4d5e", "x3f1c2ab4d5e"),
        ("1795412860", "1795412860"),
        ("", ""),
        ("a" * 200, "a" * 200),
        ("a" * 500, "a" * 172 + "… (SHA-256 69206a472a1f3842)"),
    ],
)
def test_a_revision_is_all_that_is_told_but_for_the_servers_name(told: str, revision: str) -> None:
    assert revision_of(told, "production") == revision


WARNINGS = "warning: unable to access '/root/.config/git/attributes': Permission denied\n" * 5


@pytest.mark.parametrize(
    ("told", "expected", "revision"),
    [
        (COMMIT, COMMIT, COMMIT),
        (f"{WARNINGS}{COMMIT}", COMMIT, COMMIT),
        (f"{COMMIT}\n{WARNINGS}", COMMIT, COMMIT),
        (f"{WARNINGS}ps2-production-3f1c2ab4d5e\n", "3f1c2ab4d5e", "3f1c2ab4d5e"),
        (f"{WARNINGS}v1.2.3", "v1.2.3", "v1.2.3"),
        (f"{WARNINGS}{COMMIT}", "4444444a", COMMIT),
        ("code 1111aaa\ndata 3f1c2ab", "code 1111aaa data 3f1c2ab", "code 1111aaa data 3f1c2ab"),
        ("code 1111aaa\ndata 3f1c2ab", "code 2222bbb data 3f1c2ab", "code 1111aaa data 3f1c2ab"),
        ("1111aaa\n3f1c2ab", "2222bbb 3f1c2ab", "1111aaa 3f1c2ab"),
    ],
)
def test_a_reports_revision_is_not_what_the_command_complained_of(told: str, expected: str, revision: str) -> None:
    assert compiled_from(told, "production", expected) == revision


def test_long_revisions_that_differ_at_their_end_are_two() -> None:
    one, other = (revision_of(f"{WARNINGS}{end}", "production") for end in ("1111aaa", "2222bbb"))
    assert one != other
    assert len(one) == len(other) == 200


def test_a_revision_is_shown_short_and_named_by_its_beginning() -> None:
    assert (short(COMMIT), short("release 2026-11"), short("")) == ("3f1c2ab4d5e6", "release 2026-11", "")
    assert with_configuration("1.1.0", COMMIT) == "1.1.0 (configuration 3f1c2ab4d5e6)"
    assert with_configuration("1.1.0", "") == "1.1.0"
    assert [names(named, COMMIT) for named in (COMMIT, "3f1c2ab", "3f1c2a", "4f1c2ab", "")] == [True, True] + 3 * [
        False
    ]


@pytest.mark.parametrize(
    ("named", "served"),
    [
        ("2026.11.29-1", "2026.11.29-12"),
        ("release 2026", "release 2026-11"),
        ("20261129", "202611291"),
        ("3f1c2ab", "3f1c2ab-dirty"),
        ("3f1c2ab4d5e6", "3f1c2ab"),
    ],
)
def test_only_a_commit_is_named_by_its_beginning(named: str, served: str) -> None:
    assert not names(named, served)
    assert names(served, served)


def test_times_and_numbers_are_shown_whole() -> None:
    assert [short(each) for each in ("20261129140501", "20261129140502")] == ["20261129140501", "20261129140502"]
    assert short("1" * 40) == "1" * 12


def test_compile_servers_agree_or_nothing_begins() -> None:
    one, other, none = Configuration("a" * 40), Configuration("b" * 40), Configuration(why="not set")
    assert agreed({"ps1": {"production": one}, "ps2": {"production": one}}) == one
    assert agreed({"ps1": {"production": none}}) == none
    assert agreed({"ps1": {"production": one, "staging": one}}) == one
    apart = agreed({"ps1": {"production": one, "staging": other}})
    assert apart == Configuration(
        why="its nodes use Puppet environments with revisions of their own: production aaaaaaaaaaaa, staging "
        "bbbbbbbbbbbb"
    )
    for second, told in ((other, "ps2 bbbbbbbbbbbb"), (none, r"ps2 none \(not set\)")):
        with pytest.raises(Refused, match=rf"serve different configurations: ps1 aaaaaaaaaaaa, {told}"):
            agreed({"ps1": {"production": one}, "ps2": {"production": second}})
    assert agreed({}).why


def test_a_rollback_takes_what_is_served_where_the_servers_differ_too() -> None:
    one, other = Configuration("a" * 40), Configuration("b" * 40)
    assert whichever({"ps1": {"production": one}, "ps2": {"production": one}}) == one
    apart = whichever({"ps1": {"production": one}, "ps2": {"production": other}})
    assert not apart.revision
    assert apart.why == "the compile servers serve different configurations: ps1 aaaaaaaaaaaa, ps2 bbbbbbbbbbbb"


@pytest.fixture
def server(tmp_path: Path) -> PosixNode:
    program = tmp_path / "bin" / "puppet"
    program.parent.mkdir()
    program.write_text(PUPPET.format(home=tmp_path))
    program.chmod(0o755)
    (tmp_path / "code" / "production").mkdir(parents=True)
    set_command(tmp_path, f"echo {COMMIT}")
    return PosixNode("ps1", LocalShell({**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}))


def set_command(home: Path, command: str) -> None:
    (home / "command").write_text(command)
    (home / "code" / "production" / "environment.conf").write_text(f"config_version = {command}\n")


def test_a_server_is_asked_as_puppet_does_it(server: PosixNode, tmp_path: Path) -> None:
    assert ask_revision(server, "production") == Configuration(COMMIT)
    assert ask_revision(server, "nosuch") == Configuration(why="ps1 has no environment nosuch")
    set_command(tmp_path, "")
    why = f"config_version is not set in {tmp_path}/code/production/environment.conf on ps1"
    assert ask_revision(server, "production") == Configuration(why=why)
    set_command(tmp_path, "echo puppet1-production-$(printf 3f1c2ab4d5e)")
    assert ask_revision(server, "production") == Configuration("3f1c2ab4d5e")
    set_command(tmp_path, f"yes 'warning: a file of git can not be read' | head -n 20 >&2; echo {COMMIT}")
    assert ask_revision(server, "production") == Configuration(COMMIT)


@pytest.mark.parametrize(
    ("command", "told"), [("echo no such commit >&2; exit 3", "failed: no such commit"), ("true", "said nothing")]
)
def test_a_command_that_fails_is_refused_since_nothing_compiles(
    server: PosixNode, tmp_path: Path, command: str, told: str
) -> None:
    set_command(tmp_path, command)
    with pytest.raises(Refused, match=f"config_version of production {told}") as refused:
        ask_revision(server, "production")
    assert refused.value.where == "ps1"


def test_puppet_is_asked_once_until_its_settings_change(server: PosixNode, tmp_path: Path) -> None:
    cache = tmp_path / "state" / "cache"
    assert ask_revision(server, "production", settings_cache=str(cache), keep=False) == Configuration(COMMIT)
    assert not cache.exists()
    for _ in range(3):
        assert ask_revision(server, "production", settings_cache=str(cache)) == Configuration(COMMIT)
    asked = (tmp_path / "asked").read_text().split()
    assert len(asked) == 2
    set_command(tmp_path, "echo 1234567")
    assert ask_revision(server, "production", settings_cache=str(cache)) == Configuration("1234567")
    (tmp_path / "puppet.conf").write_text("[server]\n")
    assert ask_revision(server, "production", settings_cache=str(cache)) == Configuration("1234567")
    assert len((tmp_path / "asked").read_text().split()) == len(asked) + 2


def test_a_folder_that_can_not_be_written_only_costs_time(server: PosixNode, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("no folder")
    for _ in range(2):
        found = ask_revision(server, "production", settings_cache=str(tmp_path / "state" / "cache"))
        assert found == Configuration(COMMIT)
    assert len((tmp_path / "asked").read_text().split()) == 2


def test_a_server_without_puppet_tells_none(tmp_path: Path) -> None:
    for name in ("sh", "timeout"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    server = PosixNode("ps1", LocalShell({"PATH": str(tmp_path)}))
    assert "no puppet on the PATH" in ask_revision(server, "production").why
