from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible.utils.display import Display

from ansible_collections.tidegate.delivery.plugins.module_utils.redaction import Redactor
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.shown import redacted
from tests.waiting import PATIENCE_S

REDACT: Callable[[str], str] = Redactor(["canary-4711"]).text


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Ansible's own, as talkative as it gets."""
    shown = Display()
    monkeypatch.setattr(shown, "verbosity", 5)
    yield shown


@pytest.mark.parametrize("way", ["display", "v", "vv", "vvv", "vvvv", "vvvvv", "verbose", "warning"])
def test_every_way_to_show_is_redacted(display: Any, capfd: pytest.CaptureFixture[str], way: str) -> None:
    with redacted(REDACT):
        getattr(display, way)(f"{way} shows canary-4711")
    out, err = capfd.readouterr()
    assert f"{way} shows ***" in " ".join((out + err).split())
    assert "canary" not in out + err


def test_what_a_terminal_would_obey_is_shown_escaped(display: Any, capfd: pytest.CaptureFixture[str]) -> None:
    with redacted(REDACT):
        display.display("n1 said \x1b[2Jcanary-4711\rn2")
    assert capfd.readouterr().out == "n1 said \\x1b[2J***\\rn2\n"


def test_afterwards_all_is_as_it_was(display: Any, capfd: pytest.CaptureFixture[str]) -> None:
    before = dict(vars(display))
    with pytest.raises(RuntimeError), redacted(REDACT):
        raise RuntimeError
    assert vars(display).keys() == before.keys()
    display.display("canary-4711")
    assert "canary-4711" in capfd.readouterr().out


def test_what_finding_the_secrets_shows_does_not_run_in_circles(
    display: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    def talkative(text: str) -> str:
        display.display("looking for secrets")
        return REDACT(text)

    with redacted(talkative):
        display.display("canary-4711")
    assert capfd.readouterr().out.splitlines() == ["looking for secrets", "***"]


def test_one_threads_redaction_leaves_no_gap_for_anothers_text(display: Any, capfd: pytest.CaptureFixture[str]) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def slow(text: str) -> str:
        if text == "first":
            inside.set()
            go_on.wait(PATIENCE_S)
        return REDACT(text)

    with redacted(slow):
        first = threading.Thread(target=display.display, args=("first",))
        first.start()
        inside.wait(PATIENCE_S)
        display.display("canary-4711")
        go_on.set()
        first.join(PATIENCE_S)
    assert sorted(capfd.readouterr().out.split()) == ["***", "first"]
