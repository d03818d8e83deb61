from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.connections import WINRM
from ansible_collections.tidegate.delivery.plugins.plugin_utils.options.puppet_options import settings_cache, state_dir


def call(variables: dict[str, str], *, check: bool = False) -> Any:
    def hostvar(_host: str, name: str, default: str = "") -> str:
        return variables.get(name, default)

    return SimpleNamespace(host="n1", args={}, check=check, hostvar=hostvar)


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({}, "/var/lib/tidegate"),
        # Not in C:\ProgramData itself: there any user could have made it before us.
        ({"ansible_connection": WINRM}, r"C:\ProgramData\PuppetLabs\Tidegate"),
        ({"ansible_connection": WINRM, "tidegate_state_dir": "D:\\Tidegate\\"}, r"D:\Tidegate"),
    ],
)
def test_our_own_files_are_where_only_administrators_write(variables: dict[str, str], folder: str) -> None:
    assert state_dir(call(variables)) == folder
    assert settings_cache(call(variables)).removeprefix(folder)[1:].startswith("puppet-settings-")
    assert settings_cache(call(variables, check=True)) == ""
