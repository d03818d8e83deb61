"""For all tests: their order, the session's lab, and that nothing is skipped silently."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from lab.layout import MARKER_VARIABLE, NET_VARIABLE, STATE_VARIABLE, Layout
from tests.session_lab import LABS, SessionLab

UNIT = Path(__file__).parent / "unit"
# Folders of tests that deploy to the lab and leave another release there.
DEPLOYING = ("flow", "command", "molecule", "chaos")
# Folders whose tests on the lab are in the second share, where the unit tests are, too, and whose tests without one are
# in the first: so all three take about as long.
SECOND = ("chaos", "command", "molecule")
FIRST = ("checks", "nagios", "nunit", "windows")
SHARES = (1, 2, 3)
NOT_RUN = ("skipped", "xfailed", "xpassed")
SESSION_LAB = pytest.StashKey[SessionLab]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tidegate")
    group.addoption("--keep-lab", action="store_true", help="go on with the test lab if it runs, and leave it running")
    group.addoption("--share", type=int, choices=SHARES, help="one of those that `make test` runs at once")
    group.addoption("--lab-net", help="the test lab's network prefix (default: 127.21, of share 2: 127.23)")
    group.addoption("--lab-state", help="the test lab's folder (default: build/test-lab, of share 2: build/test-lab-2)")


def pytest_configure(config: pytest.Config) -> None:
    # A lab that the caller works with is not ours to test on.
    for name in (NET_VARIABLE, STATE_VARIABLE, MARKER_VARIABLE):
        os.environ.pop(name, None)
    # Whoever ends us politely gets what Ctrl-C gets: fixtures are torn down, so that the lab ends with us.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Started by nohup, all that we start would ignore a closed terminal, which tests of it can't have.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    # The third share needs none.
    net, state = LABS.get(config.getoption("--share"), LABS[1])
    layout = Layout.of(config.getoption("--lab-net") or net, config.getoption("--lab-state") or str(state))
    config.stash[SESSION_LAB] = SessionLab(layout, keep=config.getoption("--keep-lab"))


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> Iterator[Layout]:
    """A running lab, started once for the session; playbooks run against `inventories/lab` mean this one.

    Its state is whatever the test before left.
    """
    session_lab = request.config.stash[SESSION_LAB]
    try:
        session_lab.start()
        yield session_lab.layout
    finally:
        session_lab.stop()


def _uses_lab(item: pytest.Item) -> bool:
    return "lab" in getattr(item, "fixturenames", ())


def _rank(item: pytest.Item) -> int:
    """What fails fast comes first; the lab's processes must not slow down what needs no lab.

    Whole deployments come last of all: before them the lab is as it was started.
    """
    if item.get_closest_marker("lab"):
        return 3 if item.path.parent.name in DEPLOYING else 2
    return 0 if item.path.is_relative_to(UNIT) else 1


def _share(item: pytest.Item) -> int:
    folder = item.path.parent.name
    if item.get_closest_marker("lab"):
        return 2 if folder in SECOND else 1
    if item.path.is_relative_to(UNIT):
        return 2
    return 1 if folder in FIRST else 3


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if _uses_lab(item):
            item.add_marker("lab")
    items.sort(key=_rank)
    if share := config.getoption("--share"):
        others = [item for item in items if _share(item) != share]
        items[:] = [item for item in items if _share(item) == share]
        config.hook.pytest_deselected(items=others)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that failed in a broken lab says so."""
    report = yield
    session_lab = item.config.stash[SESSION_LAB]
    if report.failed and session_lab.running and _uses_lab(item) and (troubles := session_lab.troubles()):
        report.sections.append((f"the lab in {session_lab.layout.state}", troubles))
    return report


def _not_run(config: pytest.Config) -> list[str]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return []
    return [f"{kind}: {report.nodeid}" for kind in NOT_RUN for report in reporter.stats.get(kind, [])]


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A test that did not run proves nothing: the session fails. Deselecting with -m or -k is deliberate, and fine."""
    if session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED} and _not_run(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not_run := _not_run(config):
        terminalreporter.section("not run, which counts as failed", red=True, bold=True)
        for line in not_run:
            terminalreporter.line(line)
