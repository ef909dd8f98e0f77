"""Encryption of codes and reset tokens: they are readable only with the key."""

import json
from dataclasses import replace
from typing import Any

import pytest

from app.domain.errors import Rejected
from app.domain.events import Event, Kind, Priority
from app.domain.redaction import (
    ENCRYPTED_BODY_KEY,
    LOGIN_CODE_VALID_MINUTES,
    MASK,
    MASKED_CODE_TEXT,
    get_encrypted_body,
    with_encrypted_login_code,
)
from app.messaging.message_encryption import MessageEncryption
from tests.support.fakes import ManualClock
from tests.support.fixtures import new_id

ENCRYPTION = MessageEncryption("a secret of all processes")
TEXT = "Go on with token=abc-123"


def new_event(kind: Kind, message: str | None) -> Event:
    return Event(new_id(), kind, new_id(), message=message, metadata={"a": 1})


def test_encrypted_text_is_readable_only_with_the_key() -> None:
    encrypted = ENCRYPTION.encrypt(TEXT)
    assert "abc-123" not in encrypted
    assert ENCRYPTION.decrypt(encrypted) == TEXT
    for encryption, text in (
        (MessageEncryption("another"), encrypted),
        (ENCRYPTION, encrypted[:-4]),
        (ENCRYPTION, "é"),
    ):
        with pytest.raises(Rejected):
            encryption.decrypt(text)


def test_event_with_encrypted_body_has_it_only_in_metadata() -> None:
    event = ENCRYPTION.encrypt_body(new_event(Kind.PASSWORD_RESET, TEXT), "Look into your e-mail")
    assert event.message == "Look into your e-mail"
    assert event.metadata["a"] == 1
    encrypted = get_encrypted_body(event.metadata)
    assert encrypted is not None
    assert ENCRYPTION.decrypt(encrypted) == TEXT


@pytest.mark.parametrize("kind", [Kind.OTP, Kind.PASSWORD_RESET])
def test_secret_leaves_nothing_but_the_encrypted_text(kind: Kind) -> None:
    event = replace(new_event(kind, "Code 493817"), title="493817 is it", metadata={"code": "493817"})

    encrypted_event = ENCRYPTION.encrypt_secrets(event)

    assert "493817" not in json.dumps(encrypted_event.to_wire(Priority.CRITICAL))
    assert ENCRYPTION.decrypt(get_encrypted_body(encrypted_event.metadata) or "") == "Code 493817"
    assert encrypted_event.title == f"{MASK} is it"
    assert ENCRYPTION.encrypt_secrets(encrypted_event) == encrypted_event


def test_metadata_that_only_looks_encrypted_is_replaced() -> None:
    event = replace(
        new_event(Kind.OTP, "Code 493817"), metadata={ENCRYPTED_BODY_KEY: "not encrypted by this system"}
    )

    encrypted_event = ENCRYPTION.encrypt_secrets(event)

    assert encrypted_event.message == MASKED_CODE_TEXT
    assert ENCRYPTION.decrypt(get_encrypted_body(encrypted_event.metadata) or "") == "Code 493817"


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        pytest.param(Kind.SECURITY_ALERT, TEXT, id="another kind"),
        pytest.param(Kind.OTP, None, id="no text"),
    ],
)
def test_event_without_secret_is_not_encrypted(kind: Kind, message: str | None) -> None:
    assert get_encrypted_body(ENCRYPTION.encrypt_secrets(new_event(kind, message)).metadata) is None


def client_event_of(kind: Kind, encryption: MessageEncryption) -> dict[str, Any]:
    event = encryption.encrypt_secrets(new_event(kind, "Code 493817"))
    client_event = {"type": kind.value, "message": event.message}
    return with_encrypted_login_code(client_event, get_encrypted_body(event.metadata))


def test_code_is_shown_to_its_recipient_while_valid() -> None:
    clock = ManualClock()
    encryption = MessageEncryption("a secret of all processes", clock.now)
    client_event = client_event_of(Kind.OTP, encryption)
    assert "493817" not in json.dumps(client_event)

    clock.advance(LOGIN_CODE_VALID_MINUTES * 60)
    assert encryption.decrypt_login_code(client_event) == {"type": "OTP", "message": "Code 493817"}
    clock.advance(1)
    assert encryption.decrypt_login_code(client_event) == {"type": "OTP", "message": MASKED_CODE_TEXT}


def test_code_encrypted_with_another_key_stays_masked() -> None:
    client_event = client_event_of(Kind.OTP, MessageEncryption("another"))

    assert ENCRYPTION.decrypt_login_code(client_event) == {"type": "OTP", "message": MASKED_CODE_TEXT}


def test_password_reset_token_is_never_in_a_client_event() -> None:
    assert client_event_of(Kind.PASSWORD_RESET, ENCRYPTION) == {"type": "PASSWORD_RESET", "message": None}
