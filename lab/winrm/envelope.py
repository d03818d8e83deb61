"""SOAP envelopes of WS-Management: requests read strictly, answers written.

DSP0226 sections 5 (addressing), 6 (timeouts, envelope size, options) and 13 (SOAP); MS-WSMV section 2.2.1 (namespaces).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError, SubElement, register_namespace, tostring

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from lab.winrm.faults import SOAP, WSA, WSMAN, WXF, Fault, WsmanFault

NAMESPACES: Mapping[str, str] = {
    SOAP: "http://www.w3.org/2003/05/soap-envelope",
    WSA: "http://schemas.xmlsoap.org/ws/2004/08/addressing",
    WSMAN: "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd",
    WXF: "http://schemas.xmlsoap.org/ws/2004/09/transfer",
    "p": "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd",
    "f": "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault",
    "rsp": "http://schemas.microsoft.com/wbem/wsman/1/windows/shell",
}
ANONYMOUS = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous"
WSMAN_FAULT_ACTION = "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault"
WSA_FAULT_ACTION = "http://schemas.xmlsoap.org/ws/2004/08/addressing/fault"
# winrm/config's MaxEnvelopeSizekb, 500 by default since Windows 8; DSP0226 R13.1-3 wants 8192 bytes at least.
MAX_ENVELOPE_BYTES = 500 * 1024
SMALLEST_ENVELOPE_BYTES = 8192
DEFAULT_ENVELOPE_BYTES = 150 * 1024
# winrm/config's MaxTimeoutms.
MAX_TIMEOUT_S = 60.0
_LIMIT_OF_SET = 64
_DURATION = re.compile(r"PT(?:(\d{1,4})H)?(?:(\d{1,5})M)?(?:(\d{1,7}(?:\.\d{1,6})?)S)?")
_MESSAGE_ID = re.compile(r"(uuid:|urn:uuid:)[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")

for _prefix, _uri in NAMESPACES.items():
    register_namespace(_prefix, _uri)


def name(prefixed: str) -> str:
    """ElementTree's form of `prefix:name`."""
    prefix, _, local = prefixed.partition(":")
    return f"{{{NAMESPACES[prefix]}}}{local}"


_UNDERSTOOD = {
    *(name(f"a:{header}") for header in ("To", "Action", "MessageID", "ReplyTo")),
    *(name(f"w:{header}") for header in ("ResourceURI", "SelectorSet", "OptionSet")),
    *(name(f"w:{header}") for header in ("MaxEnvelopeSize", "OperationTimeout", "Locale")),
    *(name(f"p:{header}") for header in ("DataLocale", "SessionId", "OperationID", "SequenceId", "ActivityId")),
}


@dataclass(frozen=True, slots=True)
class Option:
    """An option's value, and whether the request must fail if the service doesn't know it."""

    value: str
    must_comply: bool


@dataclass(frozen=True, slots=True)
class Request:
    """What one envelope asks for."""

    message_id: str
    action: str
    resource: str
    selectors: Mapping[str, str]
    options: Mapping[str, Option]
    timeout_s: float
    max_envelope_bytes: int
    body: Element

    def only_child(self, prefixed: str) -> Element:
        """The body's one element. Raises a schema fault for another one, or several."""
        if [child.tag for child in self.body] != [name(prefixed)]:
            raise WsmanFault(Fault.SCHEMA_VALIDATION, f"The body must be one {prefixed}.")
        return self.body[0]

    def empty_body(self) -> None:
        """Raises a schema fault for a body that isn't empty."""
        if len(self.body):
            raise WsmanFault(Fault.SCHEMA_VALIDATION, "The body must be empty.")


def parse(data: bytes) -> Request:
    """Read one request. Raises WsmanFault; its `request_id` isn't known then."""
    envelope = _document(data)
    if envelope.tag != name("s:Envelope"):
        raise WsmanFault(Fault.VERSION_MISMATCH)
    if [child.tag for child in envelope] != [name("s:Header"), name("s:Body")]:
        raise WsmanFault(Fault.SCHEMA_VALIDATION, "An envelope has a header and a body.")
    header, body = envelope
    _understand(header)
    return Request(
        message_id=_message_id(header),
        action=_required(header, "a:Action"),
        resource=_required(header, "w:ResourceURI", Fault.UNKNOWN_RESOURCE),
        selectors={key: item.text or "" for key, item in _set(header, "w:SelectorSet", "w:Selector").items()},
        options={key: _option(item) for key, item in _set(header, "w:OptionSet", "w:Option").items()},
        timeout_s=_timeout(header),
        max_envelope_bytes=_envelope_limit(header),
        body=body,
    )


def duration(text: str) -> float:
    """Seconds of an xs:duration in hours, minutes and seconds. Raises WsmanFault."""
    found = _DURATION.fullmatch(text.strip())
    if not found or not any(found.groups()):
        raise WsmanFault(Fault.INVALID_TIMEOUT, f"{text!r} is no duration such as PT60S.")
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds


def boolean(text: str) -> bool:
    """An option's TRUE or FALSE. Raises WsmanFault for anything else."""
    if text.upper() not in ("TRUE", "FALSE"):
        raise WsmanFault(Fault.INVALID_OPTIONS, f"{text!r} is neither TRUE nor FALSE.")
    return text.upper() == "TRUE"


def answer(action: str, relates_to: str, content: Sequence[Element]) -> bytes:
    """An answering envelope (DSP0226 section 5.4.4)."""
    envelope = Element(name("s:Envelope"), {"xml:lang": "en-US"})
    header = SubElement(envelope, name("s:Header"))
    SubElement(header, name("a:Action")).text = action
    SubElement(header, name("a:MessageID")).text = f"uuid:{uuid.uuid4()}".upper().replace("UUID", "uuid")
    SubElement(header, name("a:To")).text = ANONYMOUS
    if relates_to:
        SubElement(header, name("a:RelatesTo")).text = relates_to
    body = SubElement(envelope, name("s:Body"))
    body.extend(content)
    data: bytes = tostring(envelope, encoding="utf-8")
    return data


def fault_answer(fault: WsmanFault, relates_to: str, machine: str) -> bytes:
    """The envelope of a fault (DSP0226 section 14.3, MS-WSMV section 2.2.4.43)."""
    kind = fault.fault.value
    element = Element(name("s:Fault"))
    code = SubElement(element, name("s:Code"))
    SubElement(code, name("s:Value")).text = f"{SOAP}:{kind.code}"
    if kind.subcode:
        prefix, local = kind.subcode
        value = SubElement(SubElement(code, name("s:Subcode")), name("s:Value"))
        value.text = f"{prefix}:{local}"
    reason = SubElement(element, name("s:Reason"))
    SubElement(reason, name("s:Text"), {"xml:lang": "en-US"}).text = str(fault)
    detail = SubElement(element, name("s:Detail"))
    told = SubElement(detail, name("f:WSManFault"), {"Code": str(kind.number), "Machine": machine})
    SubElement(told, name("f:Message")).text = str(fault)
    addressing = kind.subcode is not None and kind.subcode[0] == WSA
    action = WSA_FAULT_ACTION if addressing else WSMAN_FAULT_ACTION
    text = answer(action, relates_to, [element]).decode()
    # QNames in text use prefixes that ElementTree declares only if an element has them.
    missing = [f'xmlns:{p}="{NAMESPACES[p]}"' for p in (WSA, WSMAN, WXF) if f"xmlns:{p}=" not in text]
    return text.replace("<s:Envelope ", f"<s:Envelope {' '.join(missing)} ", 1).encode()


def message_id_of(data: bytes) -> str:
    """The message id of a request that `parse` refused, to relate the fault to it; empty if there is none."""
    try:
        return _message_id(_document(data)[0])
    except (WsmanFault, IndexError):
        return ""


def _document(data: bytes) -> Element:
    try:
        document: Element = fromstring(data, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise WsmanFault(Fault.SCHEMA_VALIDATION, f"The request is not XML that is accepted: {error}.") from None
    return document


def _understand(header: Element) -> None:
    """SOAP 1.2 section 5.2.3: what must be understood and isn't, ends it. A header must not be there twice."""
    seen = set()
    for item in header:
        if item.tag not in _UNDERSTOOD and item.get(name("s:mustUnderstand"), "false") in ("true", "1"):
            raise WsmanFault(Fault.MUST_UNDERSTAND, f"It is {item.tag}.")
        if item.tag in seen and item.tag in _UNDERSTOOD:
            raise WsmanFault(Fault.INVALID_HEADER, f"{item.tag} is there twice.")
        seen.add(item.tag)


def _required(header: Element, prefixed: str, fault: Fault = Fault.HEADER_REQUIRED) -> str:
    text = (header.findtext(name(prefixed)) or "").strip()
    if not text:
        raise WsmanFault(fault, f"It is {prefixed}.")
    return text


def _message_id(header: Element) -> str:
    text = _required(header, "a:MessageID")
    if not _MESSAGE_ID.fullmatch(text):
        raise WsmanFault(Fault.INVALID_HEADER, "The message id must be uuid:…")
    return text


def _set(header: Element, outer: str, inner: str) -> dict[str, Element]:
    found: dict[str, Element] = {}
    holder = header.find(name(outer))
    for item in holder if holder is not None else ():
        key = item.get("Name", "")
        # DSP0226 R6.4-2 (options) and 5.1.2.2 (selectors): names are not repeated; case matters to neither.
        if item.tag != name(inner) or not key or key.upper() in found or len(found) >= _LIMIT_OF_SET:
            raise WsmanFault(Fault.SCHEMA_VALIDATION, f"{outer} must have {inner} with names of their own.")
        found[key.upper()] = item
    return found


def _option(item: Element) -> Option:
    return Option(item.text or "", item.get("MustComply", "false").lower() == "true")


def _timeout(header: Element) -> float:
    """DSP0226 section 6.1; Windows' longest is winrm/config's MaxTimeoutms."""
    text = header.findtext(name("w:OperationTimeout"))
    return min(MAX_TIMEOUT_S if text is None else duration(text), MAX_TIMEOUT_S)


def _envelope_limit(header: Element) -> int:
    """DSP0226 section 6.2: at least 8192 bytes, else a fault."""
    text = header.findtext(name("w:MaxEnvelopeSize"))
    if text is None:
        return DEFAULT_ENVELOPE_BYTES
    if not text.strip().isdecimal() or len(text) > 12:
        raise WsmanFault(Fault.INVALID_HEADER, "MaxEnvelopeSize must be a number.")
    if int(text) < SMALLEST_ENVELOPE_BYTES:
        raise WsmanFault(Fault.ENCODING_LIMIT, f"MaxEnvelopeSize must be {SMALLEST_ENVELOPE_BYTES} at least.")
    return min(int(text), MAX_ENVELOPE_BYTES)
