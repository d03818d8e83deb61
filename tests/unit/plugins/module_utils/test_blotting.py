from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tidegate.delivery.plugins.module_utils.blotting import blot_out, blot_out_xml, blotter

# They overlap, one is a part of another, and one needs escaping.
SECRETS = ["hunter2", "hunter22", "<a&\"b'c>", "2222"]


def test_secrets_are_blotted_out_longest_first() -> None:
    assert blot_out("hunter22 hunter2", ["hunter2", "hunter22"]) == "******** ********"
    assert blot_out("on", ["on"]) == "on"
    assert blotter(["on"]) is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_secrets_are_blotted_out_of_the_results_file(encoding: str) -> None:
    secret = "<a&\"b'c>"
    xml = f'<m>{secret}</m><m a="&lt;a&amp;&quot;b&apos;c&gt;">&lt;a&amp;"b\'c&gt;</m>'.encode(encoding)
    clean = b"".join(blot_out_xml([xml], [secret]))
    assert clean.decode(encoding) == '<m>********</m><m a="********">********</m>'


@given(st.lists(st.sampled_from([*SECRETS, "x", "hunter", "22", "&amp;", "größe"]), max_size=30), st.data())
def test_no_cut_between_pieces_saves_a_secret(words: list[str], data: st.DataObject) -> None:
    for encoding in ("utf-8", "utf-16-le"):
        xml = "".join(words).encode(encoding)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(xml)), max_size=8)))
        pieces = [xml[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(xml)], strict=True)]
        whole = b"".join(blot_out_xml([xml], SECRETS))
        assert b"".join(blot_out_xml(pieces, SECRETS)) == whole
        assert not any(secret.encode(encoding) in whole for secret in SECRETS)


def test_without_secrets_the_pieces_are_handed_on() -> None:
    assert list(blot_out_xml([b"a", b"b"], ["abc"])) == [b"a", b"b"]
