"""What one shipper leaves to another is there once, and never with a password."""

from __future__ import annotations

from pathlib import Path

from tidegate.shipping.handed import hand_over, taken_over

URL = "sqlite:////var/lib/tidegate/ledger.sqlite"


def test_it_is_taken_over_once(tmp_path: Path) -> None:
    for environment in ("prod", "staging", "prod"):
        hand_over(tmp_path, URL, environment)
    assert sorted(taken_over(tmp_path)) == [(URL, "prod"), (URL, "staging")]
    assert taken_over(tmp_path) == []


def test_a_password_is_never_written(tmp_path: Path) -> None:
    hand_over(tmp_path, "postgresql://u:CANARY@db/tidegate", "prod")
    hand_over(tmp_path, "postgresql://[u:CANARY@db", "prod")
    assert not list(tmp_path.rglob("*.json"))


def test_what_is_none_is_passed_and_goes(tmp_path: Path) -> None:
    hand_over(tmp_path, URL, "prod")
    (tmp_path / "ledgers" / "0.json").write_text("no JSON")
    (tmp_path / "ledgers" / "1.json").write_text("[]")
    assert taken_over(tmp_path) == [(URL, "prod")]
    assert not list((tmp_path / "ledgers").iterdir())


def test_without_a_folder_nothing_is_left_and_nothing_breaks(tmp_path: Path) -> None:
    (tmp_path / "ledgers").write_text("no folder")
    hand_over(tmp_path, URL, "prod")
    assert taken_over(tmp_path) == []
