"""Ansible's plugin loaders find this collection in pytest's process, too."""

from __future__ import annotations

from importlib import import_module

import pytest

from lab.layout import PROJECT


@pytest.fixture(scope="session", autouse=True)
def _collection() -> None:
    """Its packages are namespaces here. Ansible's importer, which comes first in its own programs, names a file."""
    for kind in ("connection", "doc_fragments"):
        package = import_module(f"ansible_collections.tidegate.delivery.plugins.{kind}")
        package.__file__ = str(PROJECT / "plugins" / kind / "__init__.py")
