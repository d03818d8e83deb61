"""HTTPS and authentication around the service: basic, and NTLM by way of pyspnego.

MS-WSMV section 2.1 (transport) and 3.1.4.1.30 (authentication); RFC 7617 (basic), RFC 4559 (Negotiate) and RFC 5929
(the certificate's hash that binds an NTLM authentication to this TLS connection). There is no plain HTTP.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import ssl
import struct
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import spnego
from spnego.channel_bindings import GssChannelBindings
from spnego.exceptions import SpnegoError

from lab.https import READ_OF_TOO_MUCH, ConnectionServer, server_context
from lab.winrm.envelope import MAX_ENVELOPE_BYTES, fault_answer, message_id_of, parse
from lab.winrm.faults import Fault, WsmanFault
from lab.winrm.service import Service

PATH = "/wsman"
CONTENT_TYPE = "application/soap+xml;charset=UTF-8"
_TOKEN_LIMIT = 16 * 1024


class Server(ConnectionServer):
    """One node's endpoint. `passwords` has the users of the node."""

    request_queue_size = 64

    def __init__(self, address: tuple[str, int], service: Service, passwords: Mapping[str, str], folder: Path) -> None:
        self.service = service
        self.passwords = passwords
        self.machine = "lab-windows"
        key, certificate = folder / "winrm.key", folder / "winrm.pem"
        der = ssl.PEM_cert_to_DER_cert(certificate.read_text())
        self.bindings = GssChannelBindings(application_data=b"tls-server-end-point:" + hashlib.sha256(der).digest())
        # What pyspnego's acceptor looks users up in.
        users = folder / "ntlm-users"
        users.touch(mode=0o600)
        users.write_text("".join(f":{user}:{password}\n" for user, password in passwords.items()))
        os.environ["NTLM_USER_FILE"] = str(users)
        super().__init__(address, Handler, server_context(certificate, key))


class Handler(BaseHTTPRequestHandler):
    """One connection: NTLM authenticates the connection, basic each request."""

    protocol_version = "HTTP/1.1"
    server_version = "Microsoft-HTTPAPI/2.0"
    sys_version = ""
    server: Server

    def setup(self) -> None:
        super().setup()
        self._context: spnego.ContextProxy | None = None
        self._user: str | None = None

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: requests have passwords and tokens in them."""

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or len(length) > 9:
            self._plain(411)
            return
        if int(length) > MAX_ENVELOPE_BYTES:
            self.close_connection = True
            self._plain(413)
            self.rfile.read(min(int(length), READ_OF_TOO_MUCH))
            return
        data = self.rfile.read(int(length))
        user = self._authenticated()
        if user is None:
            return
        if self.path != PATH:
            self._plain(404)
        elif not data:
            self._plain(200)
        else:
            self._answer(data, user)

    def _answer(self, data: bytes, user: str) -> None:
        try:
            if self.headers.get("Content-Type", "").replace(" ", "").lower() != CONTENT_TYPE.lower():
                raise WsmanFault(Fault.UNSUPPORTED_ENCODING)
            self._soap(200, self.server.service.handle(parse(data), user))
        except WsmanFault as fault:
            # DSP0226 section 14.1: faults come with status 500.
            self._soap(500, fault_answer(fault, message_id_of(data), self.server.machine))

    def _authenticated(self) -> str | None:
        scheme, _, given = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "basic":
            self._user = None
            if user := self._basic(given):
                return user
        elif scheme.lower() in ("negotiate", "ntlm"):
            return self._negotiate(scheme, given)
        elif not scheme and self._user:
            return self._user
        self._unauthorized()
        return None

    def _basic(self, given: str) -> str | None:
        try:
            user, _, password = base64.b64decode(given, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return None
        right = self.server.passwords.get(user)
        return user if right is not None and hmac.compare_digest(right.encode(), password.encode()) else None

    def _negotiate(self, scheme: str, given: str) -> str | None:
        """One step of the conversation. What is answered besides 401 is the caller's to do."""
        token = b"" if len(given) > _TOKEN_LIMIT else _decoded(given)
        if self._context is None or self._context.complete:
            raw = token.startswith(b"NTLMSSP\0")
            # pyspnego's own code: Kerberos needs a domain, which the lab has none of.
            options = spnego.NegotiateOptions.use_ntlm if raw else spnego.NegotiateOptions.use_negotiate
            self._context = spnego.server(
                protocol="ntlm" if raw else "negotiate", channel_bindings=self.server.bindings, options=options
            )
        try:
            answered = self._context.step(token)
        except (SpnegoError, ValueError, LookupError, struct.error):
            # The last three are what its parser makes of tokens that are none.
            self._context = None
            self._unauthorized()
            return None
        said = f"{scheme} {base64.b64encode(answered).decode()}" if answered else ""
        if not self._context.complete:
            self._unauthorized(said)
            return None
        self._user = str(self._context.client_principal).rpartition("\\")[2]
        self._said = said
        return self._user

    def _unauthorized(self, said: str = "") -> None:
        self.send_response(401)
        if said:
            self.send_header("WWW-Authenticate", said)
        else:
            self.send_header("WWW-Authenticate", "Negotiate")
            self.send_header("WWW-Authenticate", 'Basic realm="WSMAN"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _plain(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _soap(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", CONTENT_TYPE)
        if said := getattr(self, "_said", ""):
            self.send_header("WWW-Authenticate", said)
            self._said = ""
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _decoded(given: str) -> bytes:
    try:
        return base64.b64decode(given.strip(), validate=True)
    except ValueError:
        return b""
