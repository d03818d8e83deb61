from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tidegate.delivery.plugins.module_utils.nunit.blotting import (
    BLOT,
    blot_out,
    blot_out_xml,
    blotter,
    forms_of,
)

# They overlap, one is a part of another, and one needs escaping.
SECRETS = ["hunter2", "hunter22", "<a&\"b'c>", "2222"]
FORMS = forms_of(SECRETS)


def test_secrets_are_blotted_out_longest_first() -> None:
    assert blot_out("hunter22 hunter2", ["hunter2", "hunter22"]) == "******** ********"
    assert blot_out("on", forms_of(["on"])) == "on"
    assert blotter(forms_of(["on"])) is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_secrets_are_blotted_out_of_the_results_file(encoding: str) -> None:
    secret = "<a&\"b'c>"
    xml = f'<m>{secret}</m><m a="&lt;a&amp;&quot;b&apos;c&gt;">&lt;a&amp;"b\'c&gt;</m>'.encode(encoding)
    clean = b"".join(blot_out_xml([xml], forms_of([secret])))
    assert clean.decode(encoding) == '<m>********</m><m a="********">********</m>'


@pytest.mark.parametrize(
    ("secret", "xml"),
    [
        # As .NET's XmlWriter writes attributes.
        ("s\"cr'et-4711", '<m a="s&quot;cr\'et-4711"/>'),
        ("first-line\nsecond-line", '<m a="first-line&#xA;second-line"/>'),
        ("first-line\nsecond-line", "<m>at second-line</m>"),
        ("a b&c-4711", "<m>http://n1/?password=a%20b%26c-4711</m>"),
        ("größe-4711", '<?xml version="1.0" encoding="iso-8859-1"?><m>größe-4711</m>'),
        ("größe-€711", '<?xml version="1.0" encoding="windows-1252"?><m>größe-€711</m>'),
    ],
)
def test_forms_that_runners_and_tests_write_are_blotted_out(secret: str, xml: str) -> None:
    encoding = xml.partition('encoding="')[2].partition('"')[0] or "utf-8"
    clean = b"".join(blot_out_xml([xml.encode(encoding)], forms_of([secret]))).decode(encoding)
    assert BLOT in clean
    assert not any(part in clean for part in ("4711", "711", "second-line"))


@given(st.lists(st.sampled_from([*SECRETS, "x", "hunter", "22", "&amp;", "größe"]), max_size=30), st.data())
def test_no_cut_between_pieces_saves_a_secret(words: list[str], data: st.DataObject) -> None:
    for encoding in ("utf-8", "utf-16-le"):
        xml = "".join(words).encode(encoding)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(xml)), max_size=8)))
        pieces = [xml[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(xml)], strict=True)]
        whole = b"".join(blot_out_xml([xml], FORMS))
        assert b"".join(blot_out_xml(pieces, FORMS)) == whole
        assert not any(secret.encode(encoding) in whole for secret in SECRETS)


def test_without_secrets_the_pieces_are_handed_on() -> None:
    assert list(blot_out_xml([b"a", b"b"], forms_of(["abc"]))) == [b"a", b"b"]
