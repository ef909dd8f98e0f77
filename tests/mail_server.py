"""A real SMTP server (aiosmtpd) that treats some recipients badly.

with MailServer() as server:
    server.rules["x@example.org"] = "550 5.1.1 No such user"
    server.subjects("ann@example.org")
"""

import asyncio
import email
import socket
from collections import defaultdict
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from types import TracebackType
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

HANG, HANG_AFTER_DATA, DROP_AFTER_DATA = "hang", "hang after DATA", "drop after DATA"


@dataclass
class MailServer:
    """`rules`: by recipient, the answer to RCPT, or one of the words above."""

    rules: dict[str, str] = field(default_factory=dict)
    mail_answer: str = "250 OK"
    data_answer: str = "250 OK"
    tries: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """By recipient, how often it was named."""
    raw: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    """By recipient, all texts that came, accepted or not."""
    accepted: dict[str, list[EmailMessage]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def __enter__(self) -> "MailServer":
        self._controller = Controller(
            self, hostname="127.0.0.1", port=self.port, enable_SMTPUTF8=True
        )
        self._controller.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, _: TracebackType | None
    ) -> None:
        self._controller.stop()

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        return self.mail_answer

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.tries[address] += 1
        rule = self.rules.get(address, "")
        if rule == HANG:
            await asyncio.sleep(3600)
        if rule[:1].isdigit():
            return rule
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        (to,) = envelope.rcpt_tos
        self.raw[to].append(content)
        rule = self.rules.get(to, "")
        if rule == HANG_AFTER_DATA:
            await asyncio.sleep(3600)
        if rule == DROP_AFTER_DATA:
            server.transport.abort()
            return "421 gone"
        if self.data_answer.startswith("250"):
            mail = email.message_from_bytes(content, policy=default)
            assert isinstance(mail, EmailMessage)
            self.accepted[to].append(mail)
        return self.data_answer
