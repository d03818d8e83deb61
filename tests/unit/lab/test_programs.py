from __future__ import annotations

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from lab import programs


def test_missing_programs_name_their_packages_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        programs, "find", lambda name: None if name in ("runsvdir", "sv", "haproxy") else f"/usr/bin/{name}"
    )
    with pytest.raises(BadInput) as caught:
        programs.require_all()
    assert "lacks haproxy, runsvdir, sv" in str(caught.value)
    assert str(caught.value).endswith("apt-get install -y haproxy runit")


def test_one_missing_program_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "find", lambda name: None)
    with pytest.raises(BadInput, match=r"lacks sshd.*apt-get install -y openssh-server"):
        programs.program("sshd")


def test_programs_in_sbin_and_files_are_found() -> None:
    assert programs.program("haproxy").endswith("/haproxy")
    assert programs.find("/etc/hostname") == "/etc/hostname"
    assert programs.find("/no/such/file") is None
    assert programs.find("no-such-program") is None
