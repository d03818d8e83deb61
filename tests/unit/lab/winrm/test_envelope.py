from __future__ import annotations

import pytest

from lab.winrm.envelope import (
    MAX_ENVELOPE_BYTES,
    MAX_TIMEOUT_S,
    NAMESPACES,
    Option,
    boolean,
    duration,
    fault_answer,
    message_id_of,
    parse,
)
from lab.winrm.faults import Fault, WsmanFault

ID = "uuid:4496D52C-6BAF-4989-B327-97BD97B40672"
DECLARED = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())
HEADERS = {
    "id": f"<a:MessageID>{ID}</a:MessageID>",
    "action": "<a:Action>urn:act</a:Action>",
    "resource": "<w:ResourceURI>urn:thing</w:ResourceURI>",
}


def envelope(extra: str = "", body: str = "", **headers: str) -> bytes:
    said = "".join({**HEADERS, **headers}.values())
    return f"<s:Envelope {DECLARED}><s:Header>{said}{extra}</s:Header><s:Body>{body}</s:Body></s:Envelope>".encode()


def fault_of(data: bytes) -> Fault:
    with pytest.raises(WsmanFault) as raised:
        parse(data)
    return raised.value.fault


def test_a_request_is_read() -> None:
    request = parse(
        envelope(
            '<w:SelectorSet><w:Selector Name="ShellId">S</w:Selector></w:SelectorSet>'
            '<w:OptionSet s:mustUnderstand="true"><w:Option Name="a" MustComply="true">1</w:Option></w:OptionSet>'
            "<w:OperationTimeout>PT2.5S</w:OperationTimeout><w:MaxEnvelopeSize>9000</w:MaxEnvelopeSize>",
            "<rsp:Shell/>",
        )
    )
    assert (request.message_id, request.action, request.resource) == (ID, "urn:act", "urn:thing")
    assert (request.selectors, request.options) == ({"SHELLID": "S"}, {"A": Option("1", True)})
    assert (request.timeout_s, request.max_envelope_bytes) == (2.5, 9000)
    assert request.only_child("rsp:Shell").tag.endswith("}Shell")


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", Fault.SCHEMA_VALIDATION),
        (b"<a", Fault.SCHEMA_VALIDATION),
        (b"\xff\xfe<", Fault.SCHEMA_VALIDATION),
        (b'<?xml version="1.0" encoding="no-such"?><a/>', Fault.SCHEMA_VALIDATION),
        (b"<!DOCTYPE a><a/>", Fault.SCHEMA_VALIDATION),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', Fault.SCHEMA_VALIDATION),
        (b"<a/>", Fault.VERSION_MISMATCH),
        (b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"/>', Fault.VERSION_MISMATCH),
        (envelope().replace(b"s:Body", b"s:Other"), Fault.SCHEMA_VALIDATION),
        (envelope(id=""), Fault.HEADER_REQUIRED),
        (envelope(action=""), Fault.HEADER_REQUIRED),
        (envelope(resource=""), Fault.UNKNOWN_RESOURCE),
        (envelope(id="<a:MessageID>1</a:MessageID>"), Fault.INVALID_HEADER),
        (envelope(HEADERS["action"]), Fault.INVALID_HEADER),
        (envelope('<p:New s:mustUnderstand="true"/>'), Fault.MUST_UNDERSTAND),
        (envelope('<p:New s:mustUnderstand="1"/>'), Fault.MUST_UNDERSTAND),
        (envelope("<w:MaxEnvelopeSize>8191</w:MaxEnvelopeSize>"), Fault.ENCODING_LIMIT),
        (envelope("<w:MaxEnvelopeSize>-1</w:MaxEnvelopeSize>"), Fault.INVALID_HEADER),
        (envelope("<w:OperationTimeout>60</w:OperationTimeout>"), Fault.INVALID_TIMEOUT),
        (envelope("<w:OperationTimeout>PT</w:OperationTimeout>"), Fault.INVALID_TIMEOUT),
        (envelope("<w:OptionSet><w:Option>1</w:Option></w:OptionSet>"), Fault.SCHEMA_VALIDATION),
        (envelope('<w:OptionSet><w:Option Name="a"/><w:Option Name="A"/></w:OptionSet>'), Fault.SCHEMA_VALIDATION),
        (envelope("<w:SelectorSet><w:Option Name='a'/></w:SelectorSet>"), Fault.SCHEMA_VALIDATION),
    ],
)
def test_what_is_malformed_gets_its_fault(data: bytes, fault: Fault) -> None:
    assert fault_of(data) is fault


def test_headers_that_need_not_be_understood_are_ignored() -> None:
    assert parse(envelope('<p:New s:mustUnderstand="false"/><p:Newer/>')).action == "urn:act"


def test_limits_of_the_request_end_at_those_of_the_service() -> None:
    request = parse(
        envelope("<w:MaxEnvelopeSize>99999999</w:MaxEnvelopeSize><w:OperationTimeout>PT2H</w:OperationTimeout>")
    )
    assert (request.max_envelope_bytes, request.timeout_s) == (MAX_ENVELOPE_BYTES, MAX_TIMEOUT_S)


@pytest.mark.parametrize(("text", "seconds"), [("PT1S", 1), ("PT1M", 60), ("PT1H1M1.5S", 3661.5), ("PT0.000S", 0)])
def test_durations_are_read_in_seconds(text: str, seconds: float) -> None:
    assert duration(text) == seconds


def test_options_are_true_or_false() -> None:
    assert (boolean("TRUE"), boolean("False")) == (True, False)
    with pytest.raises(WsmanFault):
        boolean("1")


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.name)
def test_a_fault_declares_each_prefix_that_its_codes_use(fault: Fault) -> None:
    text = fault_answer(WsmanFault(fault, "It is <that>."), ID, "node").decode()
    kind = fault.value
    assert f"<s:Value>s:{kind.code}</s:Value>" in text
    if kind.subcode:
        prefix, local = kind.subcode
        assert f"<s:Value>{prefix}:{local}</s:Value>" in text
        assert text.count(f'xmlns:{prefix}="{NAMESPACES[prefix]}"') == 1
    assert f'Code="{kind.number}"' in text
    assert f"<a:RelatesTo>{ID}</a:RelatesTo>" in text


def test_the_message_id_of_a_request_that_was_refused_is_found_if_it_can_be() -> None:
    assert message_id_of(envelope(action="")) == ID
    assert [message_id_of(data) for data in (b"", b"<a/>", envelope(id=""))] == ["", "", ""]


def test_no_two_faults_are_the_same() -> None:
    assert len({fault.value for fault in Fault}) == len(Fault)
