from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.catalog import load_catalog
from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.service import Service
from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.quarantine import ending

SERVICE = load_catalog(str(Path(__file__).resolve().parents[5] / "services"), "lab")["tradeapi"]
TODAY = date(2026, 1, 31)


def excusing(*days: str) -> Service:
    described = SERVICE.model_dump(mode="json")
    entries = [{"test": f"S.T{number}", "until": day, "reason": "TRADE-117"} for number, day in enumerate(days)]
    described["verify"]["nunit"]["quarantine"] = entries
    return Service.model_validate(described)


@pytest.mark.parametrize(
    ("day", "told"),
    [
        ("2026-01-30", "is over since 2026-01-30: the test counts again"),
        ("2026-01-31", "ends today, on 2026-01-31"),
        ("2026-02-01", "ends in 1 day, on 2026-02-01"),
        ("2026-02-14", "ends in 14 days, on 2026-02-14"),
        ("2026-02-15", ""),
    ],
)
def test_what_is_over_or_ends_soon_is_told(day: str, told: str) -> None:
    expected = [f"tradeapi: quarantine of S.T0 {told} (TRADE-117)"] if told else []
    assert ending(excusing(day), TODAY) == expected


def test_the_first_to_end_comes_first() -> None:
    lines = ending(excusing("2026-02-02", "2026-01-01", "2027-01-01"), TODAY)
    assert [line.split()[3] for line in lines] == ["S.T1", "S.T0"]


def test_a_service_without_tests_has_none() -> None:
    verify = SERVICE.verify.model_copy(update={"nunit": None})
    assert ending(SERVICE.model_copy(update={"verify": verify}), TODAY) == []
