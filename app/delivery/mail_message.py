"""Rendering of e-mails (RFC 5322) and text messages (JSON).

Input: OutboundEmailOrSms. Output: bytes for the transports (app/delivery/message_transport.py).
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

MAX_LINE_BYTES = 998
"""RFC 5322, 2.1.1. A longer line needs a transfer encoding."""
_LOCAL_PART_PATTERN = re.compile(r"[^\x00-\x20\x7f\s\"(),:;<>@\[\\\]]+")
_LINE_BREAK_CATEGORIES = frozenset({"Cc", "Zl", "Zp"})


@dataclass(frozen=True, slots=True)
class OutboundEmailOrSms:
    """`id` is the same for each attempt, so receivers can drop duplicates. `link_url` is the page of the
    object; `unsubscribe_url` is not used for critical kinds."""

    id: str
    recipient_address: str
    kind: Kind
    title: str
    text: str
    created_at: datetime
    link_url: str | None = None
    unsubscribe_url: str | None = None


class _UnfoldedHeader(UnstructuredHeader):
    """A header that is never folded: Python folds a long URL into encoded words, which mail programs do
    not recognize as a link."""

    name: str  # of the class that the registry derives

    def fold(self, *, policy: Policy) -> str:
        return f"{self.name}: {self}{policy.linesep}"


_HEADER_REGISTRY = HeaderRegistry()
_HEADER_REGISTRY.map_to_type("list-unsubscribe", _UnfoldedHeader)  # type: ignore[arg-type]


def parse_recipient_email(address: str) -> str:
    """The single address in the text. Raises Rejected for none or more than one."""
    return _parse_address(address).addr_spec


def _parse_address(address: str) -> Address:
    local_part, _, domain = address.rpartition("@")
    try:
        # An internationalized domain is sent in its ASCII form, which every server accepts.
        domain = domain.encode("idna").decode()
        if local_part.isascii():
            return Address(addr_spec=f"{local_part}@{domain}")
        if not _LOCAL_PART_PATTERN.fullmatch(local_part) or not domain:
            raise ValueError(address)
        return Address(username=local_part, domain=domain)  # addr_spec takes ASCII only
    except (MessageError, ValueError, IndexError) as exc:
        raise Rejected("not a valid e-mail address", "refused") from exc


def render_email(message: OutboundEmailOrSms, sender: Address, allow_eight_bit: bool = False) -> bytes:
    """The e-mail with CRLF line ends, in ASCII unless `allow_eight_bit` or a non-ASCII address.

    Raises Rejected for an invalid address, Poisoned for a message that cannot be rendered.
    """
    recipient = _parse_address(message.recipient_address)
    policy = (SMTP if recipient.addr_spec.isascii() else SMTPUTF8).clone(header_factory=_HEADER_REGISTRY)
    try:
        return _build_email(message, sender, recipient, policy, allow_eight_bit).as_bytes()
    except Exception as exc:  # any error of the library: a retry would fail too
        raise Poisoned(f"cannot be rendered as an e-mail: {type(exc).__name__}") from exc


def render_sms_json(message: OutboundEmailOrSms) -> bytes:
    """The text message as JSON {id, to, type, text}."""
    return orjson.dumps(
        {
            "id": message.id,
            "to": message.recipient_address,
            "type": message.kind.value,
            "text": _body_text(message),
        }
    )


def _build_email(
    message: OutboundEmailOrSms,
    sender: Address,
    recipient: Address,
    policy: Policy,
    allow_eight_bit: bool,
) -> EmailMessage:
    email_message = EmailMessage(policy=policy.clone(cte_type="8bit" if allow_eight_bit else "7bit"))
    email_message["Date"] = message.created_at
    email_message["From"] = sender
    email_message["To"] = recipient  # an Address, because a string could contain two
    email_message["Subject"] = _to_single_line(message.title)
    email_message["Message-ID"] = f"<{message.id}@{sender.domain}>"
    email_message["Auto-Submitted"] = "auto-generated"
    if message.unsubscribe_url and message.kind not in CRITICAL_KINDS:
        email_message["List-Unsubscribe"] = f"<{message.unsubscribe_url}>"
        email_message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    email_message["X-Notification-Type"] = message.kind.value
    body = "\n\n".join(_body_paragraphs(message))
    email_message.set_content(body, cte=_choose_transfer_encoding(body, allow_eight_bit))
    return email_message


def _body_paragraphs(message: OutboundEmailOrSms) -> Iterator[str]:
    yield _body_text(message)
    if message.link_url:
        yield message.link_url
    if message.unsubscribe_url and message.kind not in CRITICAL_KINDS:
        yield f"No more e-mails of this kind: {message.unsubscribe_url}"


def _body_text(message: OutboundEmailOrSms) -> str:
    """Texts of kinds with actors are one line, so that a name cannot add one; texts of other servers
    keep their lines."""
    if message.kind not in UNGROUPED_KINDS:
        return _to_single_line(message.text)
    lines = message.text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(map(_to_single_line, lines))


def _to_single_line(text: str) -> str:
    """Replaces control characters and line breaks of any kind. Bidi isolates stay."""
    return "".join(" " if unicodedata.category(char) in _LINE_BREAK_CATEGORIES else char for char in text)


def _choose_transfer_encoding(body: str, allow_eight_bit: bool) -> str | None:
    """Unencoded where lines are short enough; None leaves the choice between quoted-printable and
    base64 to Python."""
    longest_line_bytes = max(map(len, body.encode().split(b"\n")))
    if longest_line_bytes > MAX_LINE_BYTES:
        return "quoted-printable" if body.isascii() else "base64"
    if body.isascii():
        return "7bit"
    return "8bit" if allow_eight_bit else None
