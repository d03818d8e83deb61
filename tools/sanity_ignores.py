"""Prints what ansible-test's sanity tests shall not look at, and why: the text of a tests/sanity/ignore-*.txt.

Written for each run (tools/sanity.sh) and not kept: what needs a library follows from the imports, and would be out of
date with every new one.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
COLLECTION = "ansible_collections.tidegate.delivery."
# What ansible-test's import test has installed for plugins; for module_utils it has nothing.
GIVEN_TO_PLUGINS = frozenset({"jinja2", "markupsafe", "yaml"})


def imported(tree: ast.Module | ast.With) -> Iterator[str]:
    """The modules that importing this one imports at once, or fails without."""
    for statement in tree.body:
        if isinstance(statement, ast.With):
            yield from imported(statement)
        elif isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.module:
            yield statement.module
            yield from (f"{statement.module}.{alias.name}" for alias in statement.names)


def own_file(module: str) -> Path | None:
    """The file of a module of this collection."""
    if not module.startswith(COLLECTION):
        return None
    path = PROJECT / f"{module.removeprefix(COLLECTION).replace('.', '/')}.py"
    return path if path.is_file() else None


def outside(path: Path, seen: set[Path]) -> set[str]:
    """The packages from outside (neither Python's nor Ansible's) that importing this file needs in the end."""
    if path in seen:
        return set()
    seen.add(path)
    found: set[str] = set()
    for module in imported(ast.parse(path.read_text(encoding="utf-8"))):
        package = module.partition(".")[0]
        if own := own_file(module):
            found |= outside(own, seen)
        elif package not in sys.stdlib_module_names and package not in {"ansible", "ansible_collections"}:
            found.add(package)
    return found


def missing_in_test(path: Path) -> set[str]:
    """The packages that the import test lacks for this file. They are there on a controller, by pyproject.toml."""
    given = frozenset() if "module_utils" in path.relative_to(PROJECT).parts else GIVEN_TO_PLUGINS
    return outside(path, set()) - given


def ignores(python: str) -> str:
    """The text of an ignore file for the import test of that Python version."""
    lines = [
        f"{path.relative_to(PROJECT)} import-{python}!skip # controller-side, needs {', '.join(sorted(packages))}\n"
        for path in sorted((PROJECT / "plugins").rglob("*.py"))
        if (packages := missing_in_test(path))
    ]
    return "".join(lines)


if __name__ == "__main__":
    sys.stdout.write(ignores(".".join(map(str, sys.version_info[:2]))))
