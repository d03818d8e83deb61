"""Ansible's plugin loaders in a process that isn't one of Ansible's own programs."""

from __future__ import annotations

from importlib import import_module

from lab.layout import PROJECT


def make_findable() -> None:
    """Have this collection's plugins found.

    Its packages are namespaces here. Ansible's importer, which comes first in its own programs, names a file.
    """
    for kind in ("connection", "doc_fragments"):
        package = import_module(f"ansible_collections.tidegate.delivery.plugins.{kind}")
        package.__file__ = str(PROJECT / "plugins" / kind / "__init__.py")
