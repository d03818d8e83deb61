"""What a collector answers with: every status code that Splunk documents, and the pages that the behaviour is from."""

from __future__ import annotations

from enum import Enum


class Page(Enum):
    """A page of Splunk's documentation (help.splunk.com: Splunk Enterprise, Get data in; docs.splunk.com before)."""

    ENDPOINTS = "HTTP Event Collector REST API endpoints"
    FORMAT = "Format events for HTTP Event Collector"
    ACKNOWLEDGEMENT = "About HTTP Event Collector Indexer Acknowledgment"
    TROUBLESHOOT = "Troubleshoot HTTP Event Collector"
    FIELDS = "Automate indexed field extractions with HTTP Event Collector"
    REFERENCE = "REST API Reference Manual: Input endpoint descriptions (services/collector…)"
    INPUTS = "Admin Manual: inputs.conf ([http] and [http://name])"
    LIMITS = "Admin Manual: limits.conf ([http_input])"
    # Not Splunk's: what maintainers of other clients and receivers measured on Splunk Enterprise 10.4 and wrote down.
    OBSERVED = "observed by others on Splunk Enterprise 10.4"


class Code(Enum):
    """Number, HTTP status and text of an answer (Page.TROUBLESHOOT, «Possible error codes»).

    21 and 22 are what the health endpoint says of a token, which answers 400 (Page.REFERENCE, collector/health).
    """

    SUCCESS = (0, 200, "Success")
    TOKEN_DISABLED = (1, 403, "Token disabled")
    TOKEN_REQUIRED = (2, 401, "Token is required")
    INVALID_AUTHORIZATION = (3, 401, "Invalid authorization")
    INVALID_TOKEN = (4, 403, "Invalid token")
    NO_DATA = (5, 400, "No data")
    INVALID_DATA_FORMAT = (6, 400, "Invalid data format")
    INCORRECT_INDEX = (7, 400, "Incorrect index")
    INTERNAL_ERROR = (8, 500, "Internal server error")
    BUSY = (9, 503, "Server is busy")
    CHANNEL_MISSING = (10, 400, "Data channel is missing")
    INVALID_CHANNEL = (11, 400, "Invalid data channel")
    EVENT_REQUIRED = (12, 400, "Event field is required")
    EVENT_BLANK = (13, 400, "Event field cannot be blank")
    ACK_DISABLED = (14, 400, "ACK is disabled")
    INDEXED_FIELDS = (15, 400, "Error in handling indexed fields")
    NO_QUERY_TOKEN = (16, 400, "Query string authorization is not enabled")
    HEALTHY = (17, 200, "HEC is healthy")
    QUEUES_FULL = (18, 503, "HEC is unhealthy, queues are full")
    ACKS_UNAVAILABLE = (19, 503, "HEC is unhealthy, ack service unavailable")
    QUEUES_FULL_ACKS_UNAVAILABLE = (20, 503, "HEC is unhealthy, queues are full, ack service unavailable")
    HEALTH_INVALID_TOKEN = (21, 400, "Invalid token")
    HEALTH_TOKEN_DISABLED = (22, 400, "Token disabled")
    SHUTTING_DOWN = (23, 503, "Server is shutting down")
    QUEUE_NEARLY_FULL = (24, 200, "HEC queue is approaching its capacity limit")
    ACK_NEARLY_FULL = (25, 200, "HEC ACK is approaching its capacity limit")
    QUEUE_AT_CAPACITY = (26, 429, "HEC queue is at capacity and cannot process any more requests")
    ACK_AT_CAPACITY = (27, 429, "HEC ACK channel is at capacity and cannot process any more requests")

    @property
    def number(self) -> int:
        return self.value[0]

    @property
    def status(self) -> int:
        return self.value[1]

    @property
    def text(self) -> str:
        return self.value[2]


class Refused(Exception):
    """The request, or the event number `event` of it (counted from 0), is answered with this code."""

    def __init__(self, code: Code, event: int | None = None) -> None:
        super().__init__(code.text)
        self.code = code
        self.event = event
