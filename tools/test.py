"""Runs the tests in two shares side by side: most of a deployment is waiting. Arguments go to pytest.

The first share has the terminal; the second one's output is shown when it has ended. Ctrl-C ends both, with their
labs. Exit code: 0 when both are good, else pytest's of the first that is not.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from defusedxml import ElementTree

PROJECT = Path(__file__).resolve().parent.parent
FOLDER = PROJECT / "build" / "tests"
NOTHING_SELECTED = 5
_OURS = ("--share", "--lab-net", "--lab-state", "--keep-lab", "--junit-xml", "--junitxml")
# The labs of an interrupted share are ended by it; that takes a quarter of a minute.
_GRACE_S = 150.0


def main(arguments: list[str]) -> int:
    """Run both; the exit code."""
    began = time.monotonic()
    given = [name for name in _OURS if any(word.startswith(name) for word in arguments)]
    if given:
        _say(f"{', '.join(given)}: each share has its own; call pytest itself for one share or one lab")
        return 4
    FOLDER.mkdir(parents=True, exist_ok=True)
    log = FOLDER / "share-2.log"
    with log.open("wb") as output:
        quiet = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
        # In a session of its own: a terminal's Ctrl-C would not wait for its end.
        second = subprocess.Popen(_pytest(2, arguments), cwd=PROJECT, start_new_session=True, **quiet)  # type: ignore[call-overload]
        first = subprocess.Popen(_pytest(1, arguments), cwd=PROJECT)
        with _passing_on(first, second):
            code = first.wait()
            _say("the first share has ended; the second goes on" if second.poll() is None else "both shares have ended")
            codes = [code, second.wait()]
    sys.stdout.flush()
    sys.stdout.buffer.write(log.read_bytes())
    good = [each for each in codes if each == 0]
    bad = [each for each in codes if each not in (0, NOTHING_SELECTED)]
    _say(f"of both shares: {_tally()} in {time.monotonic() - began:.2f}s")
    return bad[0] if bad else 0 if good else NOTHING_SELECTED


def _pytest(share: int, arguments: list[str]) -> list[str]:
    results = _results(share)
    results.unlink(missing_ok=True)
    return [sys.executable, "-m", "pytest", "--share", str(share), f"--junit-xml={results}", *arguments]


def _results(share: int) -> Path:
    return FOLDER / f"share-{share}.xml"


@contextmanager
def _passing_on(first: subprocess.Popen[bytes], second: subprocess.Popen[bytes]) -> Iterator[None]:
    """Whoever ends us ends both; with a terminal's Ctrl-C the first has it already."""

    def pass_on(number: int, _frame: object) -> None:
        if signal.getitimer(signal.ITIMER_REAL)[0]:
            return  # they have been told, and are ending their labs
        if number != signal.SIGINT or not sys.stdin.isatty():
            first.terminate()
        second.terminate()
        signal.alarm(int(_GRACE_S))

    def give_up(_number: int, _frame: object) -> None:
        first.kill()
        os.killpg(second.pid, signal.SIGKILL)

    ends = dict.fromkeys((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), pass_on)
    handlers = {**ends, signal.SIGALRM: give_up}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        signal.alarm(0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _tally() -> str:
    """Both shares' results, worded as pytest words one's."""
    counts = Counter[str]()
    for path in map(_results, (1, 2)):
        if not path.exists():
            return f"no result, since {path.name} is missing"
        for suite in ElementTree.parse(path).getroot().iter("testsuite"):
            told = {name: int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped")}
            counts += Counter(failed=told["failures"], errors=told["errors"], skipped=told["skipped"])
            counts["passed"] += told["tests"] - told["failures"] - told["errors"] - told["skipped"]
    told = [f"{counts[name]} {name}" for name in ("failed", "passed", "skipped", "errors") if counts[name]]
    return ", ".join(told) or "no tests ran"


def _say(text: str) -> None:
    sys.stdout.write(f"{f' {text} ':=^100}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
