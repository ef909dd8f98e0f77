"""Mail messages: the one place where an e-mail or a text message gets its form.

In    workers/mailer.py: Message
Out   bytes for streams/transports.py
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8, Policy

import orjson

from app.domain.errors import Poisoned, Rejected
from app.domain.events import CRITICAL_KINDS, UNGROUPED_KINDS, Kind
from app.domain.mail import Sender

MAX_LINE_BYTES = 998
"""RFC 5322, 2.1.1. A longer line needs a transfer encoding."""
_LOCAL_PART = re.compile(r"[^\x00-\x20\x7f\s\"(),:;<>@\[\\\]]+")
_BREAKS = frozenset({"Cc", "Zl", "Zp"})


@dataclass(frozen=True, slots=True)
class Message:
    """`id` is the same for each attempt: receivers know a copy by it. `link` leads to what it is
    about, `unsubscribe` ends e-mails of its kind; critical kinds have no such end."""

    id: str
    to: str
    kind: Kind
    title: str
    text: str
    created_at: datetime
    link: str | None = None
    unsubscribe: str | None = None


class _Unfolded(UnstructuredHeader):
    """One line as it is: Python folds a long URL by making encoded words of it, which no mail
    program takes for a link."""

    name: str  # of the class that the registry derives

    def fold(self, *, policy: Policy) -> str:
        return f"{self.name}: {self}{policy.linesep}"


_HEADERS = HeaderRegistry()
_HEADERS.map_to_type("list-unsubscribe", _Unfolded)  # type: ignore[arg-type]


def mailbox(address: str) -> str:
    """The one address that mail goes to. Raises Rejected for what is none, or more than one."""
    return _recipient(address).addr_spec


def _recipient(address: str) -> Address:
    local, _, domain = address.rpartition("@")
    try:
        # A domain of other scripts goes by its ASCII form, which every server takes.
        domain = domain.encode("idna").decode()
        if local.isascii():
            return Address(addr_spec=f"{local}@{domain}")
        if not _LOCAL_PART.fullmatch(local) or not domain:
            raise ValueError(address)
        return Address(username=local, domain=domain)  # addr_spec takes ASCII only
    except (MessageError, ValueError, IndexError) as fault:
        raise Rejected("not an address that mail can go to", "refused") from fault


def email_bytes(message: Message, sender: Sender, eight_bit: bool = False) -> bytes:
    """The e-mail with CRLF line ends, ASCII unless `eight_bit` or its address needs more.

    Raises Rejected for an address that mail cannot go to, Poisoned for what cannot be written.
    """
    to = _recipient(message.to)
    policy = (SMTP if to.addr_spec.isascii() else SMTPUTF8).clone(header_factory=_HEADERS)
    try:
        return _email(message, sender, to, policy, eight_bit).as_bytes()
    except Exception as fault:  # whatever the library makes of it: it will again
        raise Poisoned(f"cannot be written as an e-mail: {type(fault).__name__}") from fault


def text_message_bytes(message: Message) -> bytes:
    """The text message as JSON {id, to, type, text}."""
    return orjson.dumps(
        {"id": message.id, "to": message.to, "type": message.kind.value, "text": _text(message)}
    )


def _email(
    message: Message, sender: Sender, to: Address, policy: Policy, eight_bit: bool
) -> EmailMessage:
    mail = EmailMessage(policy=policy.clone(cte_type="8bit" if eight_bit else "7bit"))
    mail["Date"] = message.created_at
    mail["From"] = Address(sender.name, addr_spec=sender.address)
    mail["To"] = to  # an Address: a text could name two
    mail["Subject"] = _one_line(message.title)
    mail["Message-ID"] = f"<{message.id}@{sender.domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    if message.unsubscribe and message.kind not in CRITICAL_KINDS:
        mail["List-Unsubscribe"] = f"<{message.unsubscribe}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mail["X-Notification-Type"] = message.kind.value
    body = "\n\n".join(_paragraphs(message))
    mail.set_content(body, cte=_transfer_encoding(body, eight_bit))
    return mail


def _paragraphs(message: Message) -> Iterator[str]:
    yield _text(message)
    if message.link:
        yield message.link
    if message.unsubscribe and message.kind not in CRITICAL_KINDS:
        yield f"No more e-mails of this kind: {message.unsubscribe}"


def _text(message: Message) -> str:
    """Kinds with actors are one sentence, so a name cannot add a line; texts of other servers keep
    their lines."""
    if message.kind not in UNGROUPED_KINDS:
        return _one_line(message.text)
    lines = message.text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(map(_one_line, lines))


def _one_line(text: str) -> str:
    """Without control characters and line breaks of any kind. Bidi isolates stay."""
    return "".join(" " if unicodedata.category(one) in _BREAKS else one for one in text)


def _transfer_encoding(body: str, eight_bit: bool) -> str | None:
    """Readable as it is where its lines are short enough; None leaves the choice between
    quoted-printable and base64 to Python."""
    longest = max(map(len, body.encode().split(b"\n")))
    if longest > MAX_LINE_BYTES:
        return "quoted-printable" if body.isascii() else "base64"
    if body.isascii():
        return "7bit"
    return "8bit" if eight_bit else None
