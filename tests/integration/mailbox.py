"""A mail server on loopback."""

from __future__ import annotations

import email
import json
import socket
import ssl
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, Self

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword


class Mailbox:
    """A mail server that wants STARTTLS and a login, and keeps what it gets."""

    def __init__(self, folder: Path) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        authority = trustme.CA()
        certificate = authority.issue_cert("localhost")
        self.ca = folder / "ca.pem"
        authority.cert_pem.write_to_path(self.ca)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        certificate.configure_cert(context)
        self.server = Controller(
            self,
            hostname="localhost",
            port=self.port,
            tls_context=context,
            require_starttls=True,
            auth_required=True,
            authenticator=self._login,
        )

    def _login(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=data == LoginPassword(b"bot", b"mail-password"), handled=False)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep a mail."""
        self.recipients += envelope.rcpt_tos
        self.mails.append(email.message_from_bytes(envelope.content, policy=default))
        return "250 OK"

    def __enter__(self) -> Self:
        self.server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()

    def connection(self) -> dict[str, Any]:
        """The Airflow connection to it."""
        extra = {"disable_ssl": True, "retry_limit": 1, "from_email": "alerts@example.com"}
        return {
            "conn_type": "smtp",
            "host": "localhost",
            "port": self.port,
            "login": "bot",
            "password": "mail-password",
            "extra": json.dumps(extra),
        }
