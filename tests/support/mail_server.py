"""A real SMTP server (aiosmtpd) with a configurable reply per recipient.

with MailServer() as server:
    server.rule_by_recipient["x@example.org"] = "550 5.1.1 No such user"
    server.accepted_messages["ann@example.org"]
"""

import asyncio
import email
from collections import defaultdict
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from types import TracebackType
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from harness.network import free_port

HANG, HANG_AFTER_DATA, DROP_AFTER_DATA = "hang", "hang after DATA", "drop after DATA"


@dataclass
class MailServer:
    """`rule_by_recipient`: the reply to RCPT, or one of the constants above."""

    rule_by_recipient: dict[str, str] = field(default_factory=dict)
    mail_reply: str = "250 OK"
    data_reply: str = "250 OK"
    rcpt_count_by_recipient: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Number of RCPT commands by recipient."""
    raw_messages: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    """All received messages by recipient, accepted or not."""
    accepted_messages: dict[str, list[EmailMessage]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def __enter__(self) -> "MailServer":
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, enable_SMTPUTF8=True)
        self._controller.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        _: TracebackType | None,
    ) -> None:
        self._controller.stop()

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        return self.mail_reply

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.rcpt_count_by_recipient[address] += 1
        rule = self.rule_by_recipient.get(address, "")
        if rule == HANG:
            await asyncio.sleep(3600)
        if rule[:1].isdigit():
            return rule
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        (recipient,) = envelope.rcpt_tos
        self.raw_messages[recipient].append(content)
        rule = self.rule_by_recipient.get(recipient, "")
        if rule == HANG_AFTER_DATA:
            await asyncio.sleep(3600)
        if rule == DROP_AFTER_DATA:
            server.transport.abort()
            return "421 closed"
        if self.data_reply.startswith("250"):
            mail = email.message_from_bytes(content, policy=default)
            assert isinstance(mail, EmailMessage)
            self.accepted_messages[recipient].append(mail)
        return self.data_reply
