"""Transport for e-mail over SMTP (SMTP_URL)."""

import re
import smtplib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.headerregistry import Address
from urllib.parse import unquote, urlsplit

import gevent

from app.clients import circuit_breaker
from app.delivery.mail_message import OutboundEmailOrSms, parse_recipient_email, render_email
from app.delivery.message_transport import DeliveryDeferred, TransportTimeouts, is_server_unavailable_error
from app.domain.errors import Rejected, Unavailable

_ENHANCED_STATUS_CODE = re.compile(r"[245]\.\d{1,3}\.\d{1,3}\b")
MAX_REPLY_CHARS = 200


class SmtpTransport:
    """smtp://user:password@host:port or smtps://...

    One connection per message: messages are few, and a kept connection would need supervision.
    """

    def __init__(self, url: str, sender: Address, timeouts: TransportTimeouts | None = None) -> None:
        self._url = urlsplit(url)
        self._sender = sender
        self._timeouts = timeouts or TransportTimeouts()

    def send(self, message: OutboundEmailOrSms) -> None:
        recipient_address, content = (
            parse_recipient_email(message.recipient_address),
            render_email(message, self._sender),
        )
        with gevent.Timeout(self._timeouts.attempt_seconds, DeliveryDeferred("the attempt timed out")):
            with circuit_breaker.EMAIL.guard_call(is_server_unavailable_error):
                server = self._open_mail_session(ascii_only=recipient_address.isascii())
            try:
                _send_message(server, recipient_address, content)
            except BaseException:
                server.close()
                raise
            with suppress(OSError):  # the message is accepted, however the connection ends
                server.quit()
            server.close()

    def _open_mail_session(self, ascii_only: bool) -> smtplib.SMTP:
        """Connects, logs in and sends MAIL FROM. No recipient or text has been sent then, so a failure
        here affects every message."""
        try:
            server = self._connect()
            try:
                self._log_in_and_send_mail_from(server, ascii_only)
            except BaseException:
                server.close()
                raise
        except OSError as exc:  # includes the exceptions of smtplib
            code = getattr(exc, "smtp_code", None)
            problem = f"refuses connections: {code}" if code else f"is unavailable: {type(exc).__name__}"
            raise Unavailable(f"The mail server {problem}", "smtp_unavailable") from exc
        return server

    def _connect(self) -> smtplib.SMTP:
        host, timeout_seconds = self._url.hostname or "localhost", self._timeouts.connect_seconds
        if self._url.scheme == "smtps":
            return smtplib.SMTP_SSL(host, self._url.port or 465, timeout=timeout_seconds)
        return smtplib.SMTP(host, self._url.port or 25, timeout=timeout_seconds)

    def _log_in_and_send_mail_from(self, server: smtplib.SMTP, ascii_only: bool) -> None:
        server.ehlo_or_helo_if_needed()
        if self._url.scheme != "smtps" and server.has_extn("starttls"):
            server.starttls()
            server.ehlo_or_helo_if_needed()
        if self._url.username:
            server.login(unquote(self._url.username), unquote(self._url.password or ""))
        if not ascii_only and not server.has_extn("smtputf8"):
            raise Rejected("the mail server accepts ASCII addresses only", "refused")
        if server.sock is not None:
            server.sock.settimeout(self._timeouts.response_seconds)
        options = () if ascii_only else ("SMTPUTF8", "BODY=8BITMIME")
        code, _ = server.mail(self._sender.addr_spec, options)
        if not 200 <= code < 300:
            raise Unavailable(f"The mail server refuses the sender: {code}", "smtp_unavailable")


def _send_message(server: smtplib.SMTP, recipient_address: str, content: bytes) -> None:
    with _translate_smtp_errors("RCPT"):
        code, reply = server.rcpt(recipient_address)
    _raise_unless_accepted(
        "RCPT", code, reply.decode("utf-8", "replace").replace(recipient_address, "<recipient>")
    )
    with _translate_smtp_errors("DATA"):
        code, reply = server.data(content)
    # Only the status codes of this reply are kept: its text may quote the message.
    status_code = _ENHANCED_STATUS_CODE.match(reply.decode("utf-8", "replace"))
    _raise_unless_accepted("DATA", code, status_code[0] if status_code else "")


@contextmanager
def _translate_smtp_errors(smtp_command: str) -> Iterator[None]:
    try:
        yield
    except smtplib.SMTPDataError as exc:
        _raise_unless_accepted(smtp_command, exc.smtp_code, "")
        raise
    except OSError as exc:
        outcome_note = "; it is unknown whether the message was accepted" if smtp_command == "DATA" else ""
        raise DeliveryDeferred(f"the connection ended at {smtp_command}{outcome_note}") from exc


def _raise_unless_accepted(smtp_command: str, code: int, reply: str) -> None:
    """Raises Rejected for 5xx and DeliveryDeferred for any other failure."""
    if 200 <= code < 300:
        return
    printable_reply = " ".join("".join(char if char.isprintable() else " " for char in reply).split())[
        :MAX_REPLY_CHARS
    ]
    problem = f"{code} {printable_reply}".rstrip() + f" at {smtp_command}"
    if 500 <= code < 600:
        raise Rejected(problem, "refused")
    raise DeliveryDeferred(problem)
