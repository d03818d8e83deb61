"""Every reason has its row in the documentation, word by word, and is told by the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.haproxy.refusal_kinds import RefusalKind

HOUSE = Path(__file__).resolve().parents[5]
PAGE = HOUSE / "docs" / "load-balancers.md"
DOMAIN = HOUSE / "plugins" / "module_utils"


def shown(text: str) -> str:
    """A kind's text as the page has it: places for names in capitals."""
    return re.sub(r"\{(\w+)\}", lambda place: place[1].upper(), text)


def row(kind: RefusalKind) -> str:
    return f"| {shown(kind.text)} | {shown(kind.remedy)} |"


def test_the_page_has_a_row_for_each_reason_in_their_order() -> None:
    section = PAGE.read_text().partition("## What is refused\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][1:]
    assert rows == [row(kind) for kind in RefusalKind]


@pytest.mark.parametrize("kind", list(RefusalKind))
def test_each_reason_is_told_somewhere(kind: RefusalKind) -> None:
    files = [file for file in DOMAIN.rglob("*.py") if file.name != "refusal_kinds.py"]
    assert any(re.search(rf"RefusalKind\.{kind.name}\b", file.read_text()) for file in files)


@pytest.mark.parametrize("name", ["pools/checks.py", "pools/floors.py", "pools/state_machine.py", "pools/around.py"])
def test_what_is_refused_before_anything_moves_is_of_a_kind(name: str) -> None:
    calls = [node for node in ast.walk(ast.parse((DOMAIN / name).read_text())) if isinstance(node, ast.Call)]
    bare = [node for node in calls if isinstance(node.func, ast.Name) and node.func.id == "Refuse"]
    assert [node.lineno for node in bare if not any(word.arg == "kind" for word in node.keywords)] == []


def test_names_are_filled_in_in_both_texts() -> None:
    assert RefusalKind.NO_SERVER.told(host="lb1", node="n1", backend="b") == (
        "load balancer lb1: n1 is missing in b",
        "Add `server n1 …` to backend b",
    )
