from __future__ import annotations

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.values import Share
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.options import file_path, seconds, share

ARGS = {"timeout": "2m", "drain": {"soft": "500ms", "hard": "20"}}


def test_durations_are_read_in_seconds_suboptions_included() -> None:
    assert seconds(ARGS, "timeout") == 120.0
    assert seconds(ARGS, "drain.soft") == 0.5


def test_a_duration_without_unit_is_refused_with_its_full_name() -> None:
    with pytest.raises(BadInput, match=r"'20' is not a duration.*\(drain\.hard\)\. Write it like 500ms, 5s or 2m"):
        seconds(ARGS, "drain.hard")


def test_shares_of_nodes() -> None:
    assert share({"min_online": "60%"}, "min_online", where="pools") == Share(60, percent=True)
    with pytest.raises(BadInput, match=r"'most' is neither .* \(pools\.min_online\)\. Write it like 60% or 4"):
        share({"min_online": "most"}, "min_online", where="pools.min_online")


@pytest.mark.parametrize("path", ["r.xml", "/a b/ü", "x" * 4095])
def test_a_path_is_taken_as_it_is(path: str) -> None:
    assert file_path(path, "files") == path


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("", r"the path has 0 bytes; it must have 1 to 4095 \(files: \)"),
        ("a\0b", r"the path has a NUL in it \(files: a\\x00b\)\. Give the path of a file"),
        ("x" * 4096, r"the path has 4096 bytes; it must have 1 to 4095 \(files: x{100}…\)"),
        ("ü" * 2048, r"the path has 4096 bytes"),
        ("\ud800", r"the path has a character that no path can have \(files: \\ud800\)"),
    ],
)
def test_what_the_system_takes_for_no_path_is_refused(path: str, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        file_path(path, "files")
