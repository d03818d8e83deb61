from __future__ import annotations

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.values import Share
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.options import seconds, share

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
