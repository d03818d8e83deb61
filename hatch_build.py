"""Puts the collection into the wheel, where Ansible finds it as site-packages/ansible_collections/tidegate/delivery."""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PARTS = ("galaxy.yml", "meta", "playbooks", "plugins", "roles")


class CollectionInWheel(BuildHookInterface):  # type: ignore[type-arg]
    """Not `force-include` in pyproject.toml: an editable installation would get a copy too, and hide later edits."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it builds; `version` is `standard` or `editable`."""
        if version == "standard":
            build_data["force_include"] |= {part: f"ansible_collections/tidegate/delivery/{part}" for part in PARTS}
