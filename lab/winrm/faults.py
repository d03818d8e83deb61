"""The faults that the endpoint answers with.

DSP0226 (WS-Management) 1.2, section 14.6 has SOAP's codes and subcodes; MS-WSMV section 2.2.4.43 has WSManFault, whose
numbers are those of the Windows SDK's wsmerror.h. Which fault Windows chooses for which request isn't written
down anywhere in full: a test that depends on it says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

WSA = "a"
WSMAN = "w"
WXF = "x"
SOAP = "s"


@dataclass(frozen=True, slots=True)
class Kind:
    """A fault's code and subcode (prefix and name), its Windows number and text."""

    code: str
    subcode: tuple[str, str] | None
    number: int
    text: str


def _sender(prefix: str, name: str, number: int, text: str) -> Kind:
    return Kind("Sender", (prefix, name), number, text)


class Fault(Enum):
    """Every fault of the endpoint."""

    VERSION_MISMATCH = Kind(
        "VersionMismatch",
        None,
        0x8033800D,
        "The SOAP version of the request is not supported.",
    )
    INVALID_HEADER = _sender(
        WSA,
        "InvalidMessageInformationHeader",
        0x8033800F,
        "The request has a SOAP header that is not valid.",
    )
    MUST_UNDERSTAND = Kind(
        "MustUnderstand",
        None,
        0x80338010,
        "A SOAP header is marked as mustUnderstand and is not understood.",
    )
    HEADER_REQUIRED = _sender(
        WSA,
        "MessageInformationHeaderRequired",
        0x80338011,
        "The request lacks a SOAP header.",
    )
    ACTION_NOT_SUPPORTED = _sender(
        WSA,
        "ActionNotSupported",
        0x80338013,
        "The action of the request is not supported.",
    )
    UNKNOWN_RESOURCE = _sender(
        WSA,
        "DestinationUnreachable",
        0x8033803B,
        "The resource URI is missing or not known.",
    )
    INVALID_TIMEOUT = _sender(
        WSMAN,
        "InvalidTimeout",
        0x8033800C,
        "The time-out is not supported.",
    )
    TIMED_OUT = Kind(
        "Receiver",
        (WSMAN, "TimedOut"),
        0x80338029,
        "The operation was not complete within its OperationTimeout.",
    )
    ENCODING_LIMIT = _sender(
        WSMAN,
        "EncodingLimit",
        0x80338035,
        "The request exceeds a limit of the encoding.",
    )
    UNSUPPORTED_ENCODING = _sender(
        WSMAN,
        "EncodingLimit",
        0x8033802C,
        "The request's encoding is not supported: it must be SOAP in UTF-8.",
    )
    INVALID_OPTIONS = _sender(
        WSMAN,
        "InvalidOptions",
        0x80338039,
        "An option is not valid.",
    )
    INVALID_PARAMETER = _sender(
        WSMAN,
        "InvalidParameter",
        0x8033803A,
        "A parameter of the operation is not valid.",
    )
    QUOTA_LIMIT = _sender(
        WSMAN,
        "QuotaLimit",
        0x8033803F,
        "A quota is used up.",
    )
    TOO_MANY_COMMANDS = Kind(
        "Receiver",
        (WSMAN, "QuotaLimit"),
        0x803381A6,
        "The shell had as many commands as it may have.",
    )
    SCHEMA_VALIDATION = _sender(
        WSMAN,
        "SchemaValidationError",
        0x80338041,
        "The XML of the message does not match its schema.",
    )
    SELECTORS_REQUIRED = _sender(
        WSMAN,
        "InvalidSelectors",
        0x8033805A,
        "The request lacks a selector.",
    )
    UNKNOWN_SHELL = _sender(
        WSMAN,
        "InvalidSelectors",
        0x8033805B,
        "The selectors of the request fit nothing.",
    )
    FILE_NOT_FOUND = Kind(
        "Receiver",
        (WSMAN, "InternalError"),
        2,
        "The system cannot find the file specified.",
    )
    NAME_TOO_LONG = Kind(
        "Receiver",
        (WSMAN, "InternalError"),
        206,
        "The filename or extension is too long.",
    )
    ABORTED = Kind(
        "Receiver",
        (WSMAN, "InternalError"),
        995,
        "The I/O operation has been aborted because of either a thread exit or an application request.",
    )
    BAD_EXE_FORMAT = Kind(
        "Receiver",
        (WSMAN, "InternalError"),
        193,
        "%1 is not a valid Win32 application.",
    )


class WsmanFault(Exception):
    """Answer the request with this fault. `detail` is said behind the fault's own text."""

    def __init__(self, fault: Fault, detail: str = "") -> None:
        super().__init__(f"{fault.value.text} {detail}".strip())
        self.fault = fault
