"""Runs the tests in three shares side by side: most of a deployment is waiting. Arguments go to pytest.

The first share has the terminal; the others' output is shown when they have ended. Ctrl-C ends them all, with their
labs. Exit code: 0 when all are good, else pytest's of the first that is not.
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
SHARES = (1, 2, 3)
NOTHING_SELECTED = 5
_OURS = ("--share", "--lab-net", "--lab-state", "--keep-lab", "--junit-xml", "--junitxml")
# The labs of an interrupted share are ended by it; that takes a quarter of a minute.
_GRACE_S = 150.0


def main(arguments: list[str]) -> int:
    """Run them all; the exit code."""
    began = time.monotonic()
    given = [name for name in _OURS if any(word.startswith(name) for word in arguments)]
    if given:
        _say(f"{', '.join(given)}: each share has its own; call pytest itself for one share or one lab")
        return 4
    FOLDER.mkdir(parents=True, exist_ok=True)
    others = [_quiet(share, arguments) for share in SHARES[1:]]
    first = subprocess.Popen(_pytest(SHARES[0], arguments), cwd=PROJECT)
    with _passing_on(first, others):
        codes = [first.wait()]
        going = sum(each.poll() is None for each in others)
        _say(f"the first share has ended; {going} of the others go on" if going else "all shares have ended")
        codes += [each.wait() for each in others]
    sys.stdout.flush()
    for share in SHARES[1:]:
        sys.stdout.buffer.write(_log(share).read_bytes())
    good = [each for each in codes if each == 0]
    bad = [each for each in codes if each not in (0, NOTHING_SELECTED)]
    _say(f"of all shares: {_tally()} in {time.monotonic() - began:.2f}s")
    return bad[0] if bad else 0 if good else NOTHING_SELECTED


def _quiet(share: int, arguments: list[str]) -> subprocess.Popen[bytes]:
    """A share in a session of its own: a terminal's Ctrl-C would not wait for its end."""
    with _log(share).open("wb") as output:
        return subprocess.Popen(
            _pytest(share, arguments),
            cwd=PROJECT,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def _log(share: int) -> Path:
    return FOLDER / f"share-{share}.log"


def _pytest(share: int, arguments: list[str]) -> list[str]:
    results = _results(share)
    results.unlink(missing_ok=True)
    return [sys.executable, "-m", "pytest", "--share", str(share), f"--junit-xml={results}", *arguments]


def _results(share: int) -> Path:
    return FOLDER / f"share-{share}.xml"


@contextmanager
def _passing_on(first: subprocess.Popen[bytes], others: list[subprocess.Popen[bytes]]) -> Iterator[None]:
    """Whoever ends us ends all; with a terminal's Ctrl-C the first has it already."""

    def pass_on(number: int, _frame: object) -> None:
        if signal.getitimer(signal.ITIMER_REAL)[0]:
            return  # they have been told, and are ending their labs
        if number != signal.SIGINT or not sys.stdin.isatty():
            first.terminate()
        for each in others:
            each.terminate()
        signal.alarm(int(_GRACE_S))

    def give_up(_number: int, _frame: object) -> None:
        first.kill()
        for each in others:
            if each.poll() is None:
                os.killpg(each.pid, signal.SIGKILL)

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
    """All shares' results, worded as pytest words one's."""
    counts = Counter[str]()
    for path in map(_results, SHARES):
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
