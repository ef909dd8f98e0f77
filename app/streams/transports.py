"""Transports: e-mail by SMTP, text messages by a webhook, or files where neither is named.

In    workers/mailer.py
Out   SMTP_URL, SMS_WEBHOOK_URL, or DATA_DIR/outbox/

How an attempt ends says whose fault it was. Unavailable: the server as a whole does not work; the
channel's breaker counts it, and the message is as good as untried. Deferred: the server refuses
this message for now. Rejected: for good. When a connection ends after the text was sent, nobody
knows whether it was accepted; that counts as Deferred, because a message twice is better than none.
Both copies are the same to the byte, Message-ID (or Idempotency-Key) included.
"""

import os
import re
import smtplib
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import gevent

from app import breakers
from app.domain.errors import Rejected, Unavailable
from app.domain.mail import Sender
from app.streams.mail_message import Message, email_bytes, mailbox, text_message_bytes

EMAIL, SMS = "EMAIL", "SMS"
RETRIABLE = frozenset({408, 425, 429})
_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}\b")
MAX_REPLY = 200


class Deferred(Unavailable):
    """This message is refused for now; others are not concerned."""


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds: to connect and log in, for one answer after that, for the whole attempt."""

    connect: float = 5.0
    answer: float = 20.0
    attempt: float = 30.0


class Transport(Protocol):
    """send() returns when the message was accepted.

    Raises Unavailable, Deferred, Rejected, Poisoned.
    """

    def send(self, message: Message) -> None: ...


class EmailFiles:
    def __init__(self, folder: Path, sender: Sender) -> None:
        self._folder = folder
        self._sender = sender

    def send(self, message: Message) -> None:
        content = email_bytes(message, self._sender, eight_bit=True)
        with breakers.EMAIL.passage(_is_away):
            _write_once(self._folder / f"{message.id}.eml", content)


class SmsFiles:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, message: Message) -> None:
        with breakers.SMS.passage(_is_away):
            _write_once(self._folder / f"{message.id}.json", text_message_bytes(message))


class Smtp:
    """smtp://user:password@host:port or smtps://...

    A connection per message: they are few, and one that is kept would have to be watched.
    """

    def __init__(self, url: str, sender: Sender, waits: Waits | None = None) -> None:
        self._url = urlsplit(url)
        self._sender = sender
        self._waits = waits or Waits()

    def send(self, message: Message) -> None:
        to, content = mailbox(message.to), email_bytes(message, self._sender)
        with gevent.Timeout(self._waits.attempt, Deferred("no end of the attempt in time")):
            with breakers.EMAIL.passage(_is_away):
                server = self._opened(ascii_only=to.isascii())
            try:
                _transfer(server, to, content)
            except BaseException:
                server.close()
                raise
            with suppress(OSError):  # accepted is accepted, however the connection ends
                server.quit()
            server.close()

    def _opened(self, ascii_only: bool) -> smtplib.SMTP:
        """Connected, logged in, and told the sender. Nothing of a recipient or a text is said
        until here, so what fails until here fails for every message."""
        try:
            server = self._connect()
            try:
                self._introduce(server, ascii_only)
            except BaseException:
                server.close()
                raise
        except OSError as fault:  # smtplib's own are among them
            code = getattr(fault, "smtp_code", None)
            said = f"refuses connections: {code}" if code else f"is away: {type(fault).__name__}"
            raise Unavailable(f"The mail server {said}", "smtp_unavailable") from fault
        return server

    def _connect(self) -> smtplib.SMTP:
        host, wait = self._url.hostname or "localhost", self._waits.connect
        if self._url.scheme == "smtps":
            return smtplib.SMTP_SSL(host, self._url.port or 465, timeout=wait)
        return smtplib.SMTP(host, self._url.port or 25, timeout=wait)

    def _introduce(self, server: smtplib.SMTP, ascii_only: bool) -> None:
        server.ehlo_or_helo_if_needed()
        if self._url.scheme != "smtps" and server.has_extn("starttls"):
            server.starttls()
            server.ehlo_or_helo_if_needed()
        if self._url.username:
            server.login(unquote(self._url.username), unquote(self._url.password or ""))
        if not ascii_only and not server.has_extn("smtputf8"):
            raise Rejected("the mail server takes ASCII addresses only", "refused")
        if server.sock is not None:
            server.sock.settimeout(self._waits.answer)
        options = () if ascii_only else ("SMTPUTF8", "BODY=8BITMIME")
        code, _ = server.mail(self._sender.address, options)
        if not 200 <= code < 300:
            raise Unavailable(f"The mail server refuses the sender: {code}", "smtp_unavailable")


class Webhook:
    """POSTs {id, to, type, text} as JSON. 4xx but 408, 425 and 429 are for good."""

    def __init__(self, url: str, waits: Waits | None = None) -> None:
        self._url = url
        self._waits = waits or Waits()
        # Without the handler of redirects, which would turn a POST into a GET.
        self._opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.ProxyHandler(),
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(),
            urllib.request.HTTPErrorProcessor(),
            urllib.request.HTTPDefaultErrorHandler(),
        ):
            self._opener.add_handler(handler)

    def send(self, message: Message) -> None:
        request = urllib.request.Request(  # noqa: S310 - settings.py lets in http(s) alone
            self._url,
            data=text_message_bytes(message),
            headers={"Content-Type": "application/json", "Idempotency-Key": message.id},
            method="POST",
        )
        with gevent.Timeout(self._waits.attempt, Deferred("no end of the attempt in time")):
            self._post(request)

    def _post(self, request: urllib.request.Request) -> None:
        with breakers.SMS.passage(_is_away):
            code = self._answered(request)
        if code in RETRIABLE or code >= 500:
            raise Deferred(f"the webhook answered {code}")
        if not 200 <= code < 300:
            raise Rejected(f"the webhook answered {code}", "refused")

    def _answered(self, request: urllib.request.Request) -> int:
        """The status."""
        try:
            with self._opener.open(request, timeout=self._waits.answer) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as fault:
            with fault:
                return fault.code
        except urllib.error.URLError as fault:  # before the request was sent, and only then
            cause = type(fault.reason).__name__
            raise Unavailable(f"The SMS webhook is away: {cause}", "sms_unavailable") from fault
        except (OSError, HTTPException) as fault:
            said = f"the webhook gave no answer: {type(fault).__name__}"
            raise Deferred(said) from fault


def transports(
    data_dir: Path, smtp_url: str | None, webhook_url: str | None, sender: Sender
) -> dict[str, Transport]:
    """By channel."""
    folder = data_dir / "outbox"
    return {
        EMAIL: Smtp(smtp_url, sender) if smtp_url else EmailFiles(folder, sender),
        SMS: Webhook(webhook_url) if webhook_url else SmsFiles(folder),
    }


def _is_away(fault: BaseException) -> bool:
    return isinstance(fault, Unavailable) and not isinstance(fault, Deferred)


def _transfer(server: smtplib.SMTP, to: str, content: bytes) -> None:
    with _stage("RCPT"):
        code, reply = server.rcpt(to)
    _check("RCPT", code, reply.decode("utf-8", "replace").replace(to, "<recipient>"))
    with _stage("DATA"):
        code, reply = server.data(content)
    # Of what the server says after it has read the text, only the codes: it may quote the text.
    enhanced = _ENHANCED.match(reply.decode("utf-8", "replace"))
    _check("DATA", code, enhanced[0] if enhanced else "")


@contextmanager
def _stage(name: str) -> Iterator[None]:
    try:
        yield
    except smtplib.SMTPDataError as fault:
        _check(name, fault.smtp_code, "")
        raise
    except OSError as fault:
        known = "; whether the message was accepted is not known" if name == "DATA" else ""
        raise Deferred(f"the connection ended at {name}{known}") from fault


def _check(stage: str, code: int, reply: str) -> None:
    """Raises what a reply means for this message."""
    if 200 <= code < 300:
        return
    shown = " ".join("".join(c if c.isprintable() else " " for c in reply).split())[:MAX_REPLY]
    said = f"{code} {shown}".rstrip() + f" at {stage}"
    if 500 <= code < 600:
        raise Rejected(said, "refused")
    raise Deferred(said)


def _write_once(path: Path, content: bytes) -> None:
    """Whole or not at all, and for our own eyes: it may hold a code."""
    try:
        if path.exists():
            return
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_bytes(content)
        draft.replace(path)
    except OSError as fault:
        raise Unavailable("The outbox folder takes no file", "outbox_unavailable") from fault
