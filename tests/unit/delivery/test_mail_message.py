"""Rendered e-mails and text messages: headers, line breaks, encodings, addresses."""

import email
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.delivery.mail_message import OutboundEmailOrSms, render_email, render_sms_json
from app.domain.errors import Poisoned, Rejected
from app.domain.events import CRITICAL_KINDS, Kind

SENDER = Address("Chime, notifications", addr_spec="hello@chime.example.org")
AT = datetime(2026, 5, 28, 20, 26, 40, tzinfo=UTC)
UNSUBSCRIBE_URL = "https://chime.example.org/unsubscribe/" + "t" * 150
HEADERS = {
    "Date",
    "From",
    "To",
    "Subject",
    "Message-ID",
    "Auto-Submitted",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "X-Notification-Type",
    "Content-Type",
    "Content-Transfer-Encoding",
    "MIME-Version",
}


def message(**changes: Any) -> OutboundEmailOrSms:
    fields: dict[str, Any] = {
        "id": "0190-1",
        "recipient_address": "ann@example.org",
        "kind": Kind.LIKE,
        "title": "New like",
        "text": "Ben liked your post",
        "created_at": AT,
        "link_url": "https://chime.example.org/posts/1",
        "unsubscribe_url": UNSUBSCRIBE_URL,
    }
    return OutboundEmailOrSms(**fields | changes)


def parse(content: bytes) -> EmailMessage:
    mail = email.message_from_bytes(content, policy=default)
    assert isinstance(mail, EmailMessage)
    assert not mail.defects
    return mail


def body(mail: EmailMessage) -> str:
    return str(mail.get_content()).replace("\r\n", "\n")


def test_message_has_the_standard_headers() -> None:
    mail = parse(render_email(message(), SENDER))

    assert set(mail.keys()) == HEADERS
    assert mail["Date"].datetime == AT
    (sender,) = mail["From"].addresses
    assert sender == SENDER
    assert mail["Message-ID"] == "<0190-1@chime.example.org>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert body(mail).split("\n\n") == [
        "Ben liked your post",
        "https://chime.example.org/posts/1",
        f"No more e-mails of this kind: {UNSUBSCRIBE_URL}\n",
    ]


def test_unsubscribe_link_is_not_folded() -> None:
    assert f"\r\nList-Unsubscribe: <{UNSUBSCRIBE_URL}>\r\n".encode() in render_email(message(), SENDER)


@pytest.mark.parametrize("kind", sorted(CRITICAL_KINDS))
def test_critical_mail_has_no_unsubscribe_link(kind: Kind) -> None:
    mail = parse(render_email(message(kind=kind), SENDER))
    assert set(mail.keys()) == HEADERS - {"List-Unsubscribe", "List-Unsubscribe-Post"}
    assert "unsubscribe" not in body(mail)


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=3000)


@settings(deadline=None)
@given(ANY_TEXT, ANY_TEXT, st.sampled_from([Kind.LIKE, Kind.MARKETING, Kind.OTP]), st.booleans())
def test_text_cannot_add_a_header_or_an_overlong_line(
    title: str, text: str, kind: Kind, eight_bit: bool
) -> None:
    unsafe_message = message(kind=kind, title=title, text=text)
    content = render_email(unsafe_message, SENDER, eight_bit)

    mail = parse(content)
    assert set(mail.keys()) <= HEADERS
    assert all(len(line) <= 998 for line in content.split(b"\r\n"))
    assert b"\r" not in content.replace(b"\r\n", b"")
    assert b"\n" not in content.replace(b"\r\n", b"")
    if kind is Kind.LIKE:
        assert body(mail).count("\n") == 5  # three paragraphs, whatever the text


@pytest.mark.parametrize("name", ["Ann\nBcc: eve@example.org", "Ann\r\n\r\nHello", "A\u2028B\x85C"])
def test_name_with_line_break_adds_neither_line_nor_header(name: str) -> None:
    mail = parse(render_email(message(title=name, text=f"{name} liked your post"), SENDER))
    assert set(mail.keys()) == HEADERS
    first_line, *_ = body(mail).splitlines()
    assert first_line.startswith("A")
    assert first_line.endswith("liked your post")
    assert mail["To"] == "ann@example.org"


def test_bidi_isolates_around_names_are_kept() -> None:
    text = "\u2068آن\u2069 liked your post"
    mail = parse(render_email(message(title=text, text=text), SENDER))
    assert mail["Subject"] == text
    assert body(mail).startswith(text)


def test_external_texts_keep_their_line_breaks() -> None:
    mail = parse(render_email(message(kind=Kind.DIGEST, text="One\r\nTwo\rThree\x07"), SENDER))
    assert body(mail).startswith("One\nTwo\nThree \n")


@pytest.mark.parametrize("eight_bit", [False, True])
def test_token_is_not_broken_by_the_transfer_encoding(eight_bit: bool) -> None:
    text = f"Go on with token={'a' * 43} " + "It is good for 30 minutes. " * 20
    content = render_email(message(kind=Kind.PASSWORD_RESET, text=text), SENDER, eight_bit)
    assert f"token={'a' * 43} ".encode() in content


def test_message_is_seven_bit_ascii() -> None:
    assert render_email(message(title="Ünï", text="Ünï" * 400), SENDER).isascii()


@pytest.mark.parametrize(
    "address",
    ["a,b@example.org", "no address", "<x@y.z>", "a\r\nBcc: c@d.e", "", "@example.org", "é,b@c.de"],
)
def test_address_that_is_not_one_recipient_is_rejected(address: str) -> None:
    with pytest.raises(Rejected):
        render_email(message(recipient_address=address), SENDER)


def test_internationalized_domain_is_sent_as_ascii() -> None:
    mail = parse(render_email(message(recipient_address="ann@exämple.org"), SENDER))
    assert mail["To"] == "ann@xn--exmple-cua.org"


def test_internationalized_address_is_sent_as_utf_8() -> None:
    assert "To: änn@example.org".encode() in render_email(
        message(recipient_address="änn@example.org"), SENDER
    )


def test_message_that_cannot_be_encoded_is_poisoned() -> None:
    with pytest.raises(Poisoned, match="cannot be rendered as an e-mail: UnicodeEncodeError"):
        render_email(message(text="\ud800"), SENDER)


def test_text_message_of_a_grouped_kind_is_one_line() -> None:
    content = render_sms_json(message(text="Ann\nBob liked your post"))
    assert content == (
        b'{"id":"0190-1","to":"ann@example.org","type":"LIKE","text":"Ann Bob liked your post"}'
    )
