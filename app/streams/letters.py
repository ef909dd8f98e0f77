"""Letters: e-mail and text messages, by a server or a webhook, or as files where none is named.

In    workers/postman.py
Out   SMTP_URL, SMS_WEBHOOK_URL, or DATA_DIR/outbox/

A letter has an id of its own: a file of that name is written once, a mail carries it as its
Message-ID, a webhook is told it, so that each can know a letter that comes twice.
"""

import os
import smtplib
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTPUTF8
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, unquote, urlsplit

import orjson

from app.domain.errors import Rejected, Unavailable

WAIT_SECONDS = 5.0
SENDER = "notifications@localhost"


@dataclass(frozen=True, slots=True)
class Letter:
    id: str
    to: str
    kind: str
    title: str
    text: str


class Carries(Protocol):
    """send() returns when it has gone. Raises Unavailable (try again) or Rejected (never will)."""

    def send(self, letter: Letter) -> None: ...


class MailFiles:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, letter: Letter) -> None:
        _write_once(self._folder / f"{letter.id}.eml", _mail(letter, SENDER).as_bytes())


class TextFiles:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, letter: Letter) -> None:
        _write_once(self._folder / f"{letter.id}.json", _text_message(letter))


class Smtp:
    """smtp://user:password@host:port or smtps://...; `?from=` names the sender.

    A connection per letter: they are few, and one that is kept would have to be watched.
    """

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self._sender = parse_qs(self._url.query).get("from", [SENDER])[0]

    def send(self, letter: Letter) -> None:
        mail = _mail(letter, self._sender)
        try:
            with self._connect() as server:
                server.send_message(mail, self._sender, [letter.to])
        except smtplib.SMTPRecipientsRefused as fault:
            codes = [code for code, _ in fault.recipients.values()]
            _refused(max(codes, default=550))
        except smtplib.SMTPNotSupportedError:
            _refused(550)  # an address that this server cannot write to
        except smtplib.SMTPResponseException as fault:
            _refused(fault.smtp_code)
        except (OSError, smtplib.SMTPException) as fault:
            raise Unavailable("The mail server does not answer", "smtp_unavailable") from fault

    def _connect(self) -> smtplib.SMTP:
        url, host = self._url, self._url.hostname or "localhost"
        if url.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, url.port or 465, timeout=WAIT_SECONDS)
        else:
            server = smtplib.SMTP(host, url.port or 25, timeout=WAIT_SECONDS)
        server.ehlo_or_helo_if_needed()
        if url.scheme != "smtps" and server.has_extn("starttls"):
            server.starttls()
        if url.username:
            server.login(unquote(url.username), unquote(url.password or ""))
        return server


class Webhook:
    """POSTs {id, to, type, text} as JSON."""

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, letter: Letter) -> None:
        request = urllib.request.Request(  # noqa: S310 - settings.py lets in http(s) alone
            self._url,
            data=_text_message(letter),
            headers={"Content-Type": "application/json", "Idempotency-Key": letter.id},
            method="POST",
        )
        try:
            with urllib.request.urlopen(request, timeout=WAIT_SECONDS):  # noqa: S310 - likewise
                return
        except urllib.error.HTTPError as fault:
            # 4xx but too many: our letter is at fault, and will be tomorrow.
            if 400 <= fault.code < 500 and fault.code not in (408, 425, 429):
                _refused(550)
            raise Unavailable("The SMS webhook refuses for now", "sms_unavailable") from None
        except OSError as fault:
            raise Unavailable("The SMS webhook does not answer", "sms_unavailable") from fault


def carriers(data_dir: Path, smtp_url: str | None, webhook_url: str | None) -> dict[str, Carries]:
    """By channel."""
    folder = data_dir / "outbox"
    return {
        "EMAIL": Smtp(smtp_url) if smtp_url else MailFiles(folder),
        "SMS": Webhook(webhook_url) if webhook_url else TextFiles(folder),
    }


def _refused(code: int) -> None:
    if 400 <= code < 500:
        raise Unavailable("The mail server refuses for now", "smtp_unavailable")
    raise Rejected("The letter was refused for good", "refused")


def _mail(letter: Letter, sender: str) -> EmailMessage:
    mail = EmailMessage(policy=SMTPUTF8)
    try:
        # An Address, not a text: a comma in it must not make two recipients.
        mail["To"] = Address(addr_spec=letter.to)
    except (MessageError, ValueError, IndexError) as fault:
        raise Rejected("Not an address that mail can go to", "refused") from fault
    mail["From"] = sender
    mail["Subject"] = "".join(one if one.isprintable() else " " for one in letter.title)
    mail["Message-ID"] = f"<{letter.id}@notifications>"
    mail["X-Notification-Type"] = letter.kind
    mail.set_content(letter.text, cte="8bit")
    return mail


def _text_message(letter: Letter) -> bytes:
    return orjson.dumps(
        {"id": letter.id, "to": letter.to, "type": letter.kind, "text": letter.text}
    )


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
