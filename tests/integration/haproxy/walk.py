"""Random walks through moves, deaths, reloads, crashes, killed controllers and lost answers, on real HAProxy."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.errors import Flaky
from hypothesis.stateful import run_state_machine_as_test

from lab.layout import PROJECT
from tests.integration.haproxy.crossing import Crossing
from tests.integration.haproxy.walk_faults import Faults
from tests.integration.haproxy.walk_moves import Moves
from tests.integration.haproxy.walk_surroundings import Around
from tests.integration.haproxy.walker import Effects, Enough, Walker

NETS = ("127.47", "127.49")


_SETTINGS = settings(
    max_examples=1000,
    stateful_step_count=30,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate,),
    print_blob=False,
)


def walk(
    program: str, effective: int, net: str = NETS[0], kinds: tuple[type[Walker], ...] = (Moves, Faults, Around)
) -> Effects:
    """Walk until so many steps of these kinds were effective, much the same way each time. Raises Wrong."""
    with tempfile.TemporaryDirectory(prefix="tg") as home, Crossing(program, net, Path(home)).running() as site:
        effects = Effects()
        steps = type("Walk", kinds, {"site": site, "effects": effects, "enough": effective})
        for number in range(effective):
            # Two examples that began alike may go on differently, as real time has it.
            with contextlib.suppress(Enough, Flaky):
                run_state_machine_as_test(seed(number)(steps), settings=_SETTINGS)
            if effects.effective >= effective:
                break
        return effects


def walk_side_by_side(programs: Mapping[str, str], effective: int) -> Mapping[str, Effects]:
    """One walk for each HAProxy, in a process of its own: most of a step is waiting."""
    with contextlib.ExitStack() as ends:
        walks = {
            version: ends.enter_context(_apart(program, effective, net))
            for (version, program), net in zip(programs.items(), NETS, strict=True)
        }
        said = {version: each.communicate() for version, each in walks.items()}
    wrong = [f"HAProxy {version}:\n{said[version][1]}" for version, each in walks.items() if each.returncode != 0]
    assert not wrong, "\n".join(wrong)
    # Hypothesis writes to standard output, too, when real time had an example go on differently.
    return {version: Effects(**json.loads(told.splitlines()[-1])) for version, (told, _noise) in said.items()}


@contextlib.contextmanager
def _apart(program: str, effective: int, net: str) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-m", "tests.integration.haproxy.walk", program, str(effective), net]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


def main(program: str, effective: str, net: str) -> None:
    """A walk by hand: what was done as JSON, or what went wrong and the steps that led there."""
    # Whoever ends us politely gets what Ctrl-C gets: HAProxy ends with us.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.stdout.write(json.dumps(asdict(walk(program, int(effective), net))) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
