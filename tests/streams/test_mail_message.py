"""What an e-mail looks like to the server that takes it and to the person who reads it."""

import email
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.errors import Poisoned, Rejected
from app.domain.events import CRITICAL_KINDS, Kind
from app.domain.mail import Sender
from app.streams.mail_message import Message, email_bytes, text_message_bytes

SENDER = Sender("Chime, notifications", "hello@chime.example.org")
AT = datetime(2026, 5, 28, 20, 26, 40, tzinfo=UTC)
UNSUBSCRIBE = "https://chime.example.org/unsubscribe/" + "t" * 150
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


def message(**changes: Any) -> Message:
    given = {
        "id": "0190-1",
        "to": "ann@example.org",
        "kind": Kind.LIKE,
        "title": "New like",
        "text": "Ben liked your post",
        "created_at": AT,
        "link": "https://chime.example.org/posts/1",
        "unsubscribe": UNSUBSCRIBE,
    }
    return Message(**given | changes)


def read(content: bytes) -> EmailMessage:
    mail = email.message_from_bytes(content, policy=default)
    assert isinstance(mail, EmailMessage)
    assert not mail.defects
    return mail


def body(mail: EmailMessage) -> str:
    return str(mail.get_content()).replace("\r\n", "\n")


def test_it_has_the_headers_that_mail_programs_and_servers_look_for() -> None:
    mail = read(email_bytes(message(), SENDER))

    assert set(mail.keys()) == HEADERS
    assert mail["Date"].datetime == AT
    (sender,) = mail["From"].addresses
    assert (sender.display_name, sender.addr_spec) == (SENDER.name, SENDER.address)
    assert mail["Message-ID"] == "<0190-1@chime.example.org>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert body(mail).split("\n\n") == [
        "Ben liked your post",
        "https://chime.example.org/posts/1",
        f"No more e-mails of this kind: {UNSUBSCRIBE}\n",
    ]


def test_the_unsubscribe_link_stands_in_one_piece() -> None:
    assert f"\r\nList-Unsubscribe: <{UNSUBSCRIBE}>\r\n".encode() in email_bytes(message(), SENDER)


@pytest.mark.parametrize("kind", sorted(CRITICAL_KINDS))
def test_critical_kinds_cannot_be_unsubscribed_from(kind: Kind) -> None:
    mail = read(email_bytes(message(kind=kind), SENDER))
    assert set(mail.keys()) == HEADERS - {"List-Unsubscribe", "List-Unsubscribe-Post"}
    assert "unsubscribe" not in body(mail)


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=3000)


@settings(deadline=None)
@given(ANY_TEXT, ANY_TEXT, st.sampled_from([Kind.LIKE, Kind.MARKETING, Kind.OTP]), st.booleans())
def test_no_text_adds_a_header_or_a_line_that_is_too_long(
    title: str, text: str, kind: Kind, eight_bit: bool
) -> None:
    made = message(kind=kind, title=title, text=text)
    content = email_bytes(made, SENDER, eight_bit)

    mail = read(content)
    assert set(mail.keys()) <= HEADERS
    assert all(len(line) <= 998 for line in content.split(b"\r\n"))
    assert b"\r" not in content.replace(b"\r\n", b"")
    assert b"\n" not in content.replace(b"\r\n", b"")
    if kind is Kind.LIKE:
        assert body(mail).count("\n") == 5  # three paragraphs, whatever the text


@pytest.mark.parametrize(
    "broken", ["Ann\nBcc: eve@example.org", "Ann\r\n\r\nHello", "A\u2028B\x85C"]
)
def test_a_name_with_a_line_break_adds_neither_line_nor_header(broken: str) -> None:
    mail = read(email_bytes(message(title=broken, text=f"{broken} liked your post"), SENDER))
    assert set(mail.keys()) == HEADERS
    first, *_ = body(mail).splitlines()
    assert first.startswith("A")
    assert first.endswith("liked your post")
    assert mail["To"] == "ann@example.org"


def test_isolated_names_stay_isolated() -> None:
    text = "\u2068آن\u2069 liked your post"
    mail = read(email_bytes(message(title=text, text=text), SENDER))
    assert mail["Subject"] == text
    assert body(mail).startswith(text)


def test_texts_of_other_servers_keep_their_lines() -> None:
    mail = read(email_bytes(message(kind=Kind.DIGEST, text="One\r\nTwo\rThree\x07"), SENDER))
    assert body(mail).startswith("One\nTwo\nThree \n")


@pytest.mark.parametrize("eight_bit", [False, True])
def test_a_token_is_readable_as_it_is_written(eight_bit: bool) -> None:
    text = f"Go on with token={'a' * 43} " + "It is good for 30 minutes. " * 20
    content = email_bytes(message(kind=Kind.PASSWORD_RESET, text=text), SENDER, eight_bit)
    assert f"token={'a' * 43} ".encode() in content


def test_seven_bits_are_enough_for_any_server() -> None:
    assert email_bytes(message(title="Ünï", text="Ünï" * 400), SENDER).isascii()


@pytest.mark.parametrize(
    "address",
    ["a,b@example.org", "no address", "<x@y.z>", "a\r\nBcc: c@d.e", "", "@example.org", "é,b@c.de"],
)
def test_an_address_is_one_recipient_or_none(address: str) -> None:
    with pytest.raises(Rejected):
        email_bytes(message(to=address), SENDER)


def test_a_domain_of_another_script_goes_by_its_ascii_form() -> None:
    mail = read(email_bytes(message(to="ann@exämple.org"), SENDER))
    assert mail["To"] == "ann@xn--exmple-cua.org"


def test_an_address_of_another_script_is_written_in_utf_8() -> None:
    assert "To: änn@example.org".encode() in email_bytes(message(to="änn@example.org"), SENDER)


def test_what_cannot_be_written_is_poison() -> None:
    with pytest.raises(Poisoned, match="cannot be written as an e-mail: UnicodeEncodeError"):
        email_bytes(message(text="\ud800"), SENDER)


def test_a_text_message_has_no_more_lines_than_its_sentence() -> None:
    content = text_message_bytes(message(text="Ann\nBob liked your post"))
    assert content == (
        b'{"id":"0190-1","to":"ann@example.org","type":"LIKE","text":"Ann Bob liked your post"}'
    )
