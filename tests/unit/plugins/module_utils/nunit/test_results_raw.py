from __future__ import annotations

import hashlib

from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.results_raw import RawResults


def test_what_passes_is_kept_with_its_digest() -> None:
    raw = RawResults()
    pieces = [b"a" * 700_000, b"", b"b" * 700_000]
    assert list(raw.passing(pieces)) == pieces
    whole = b"".join(pieces)
    assert (raw.size, raw.sha256) == (len(whole), hashlib.sha256(whole).hexdigest())
    # More than once: for the deployment's folder, and for whoever wants it besides.
    assert [b"".join(raw.chunks()) for _ in range(2)] == [whole, whole]
