from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.artifact import find_artifact
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Unreachable


def test_the_digest_stands_beside_the_artifact(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz.sha256").write_text("AB" * 32 + "  a.tar.gz\n")
    found = find_artifact("s", "1.0.0", f"file://{tmp_path}/a.tar.gz")
    assert found.sha256 == "ab" * 32


def test_a_file_without_a_digest_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz.sha256").write_text("<html>login</html>")
    with pytest.raises(BadInput, match=r"no SHA-256 in the digest file .*a\.tar\.gz\.sha256"):
        find_artifact("s", "1.0.0", f"file://{tmp_path}/a.tar.gz")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/a", "not a url", "file:///nowhere/a"])
def test_a_silent_repository_is_no_missing_version(url: str) -> None:
    with pytest.raises(Unreachable, match="did not tell the digest"):
        find_artifact("s", "1.0.0", url)
