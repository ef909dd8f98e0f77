"""Redaction of codes and tokens before a record is displayed or stored."""

import pytest

from app.domain.redaction import (
    ENCRYPTED_BODY_KEY,
    ENCRYPTED_CODE_KEY,
    MASK,
    REDACTED,
    get_encrypted_body,
    mask_code_in_title,
    redact_for_display,
    redact_for_storage,
    with_encrypted_login_code,
)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param('{"type": "OTP", "message": "Your code is 123456."}', id="whole"),
        pytest.param('{"message":"say \\"123456\\"","type":"OTP"}', id="with quotes inside"),
        pytest.param('{"type": "OTP", "message": "Your code is 123456', id="cut off"),
        pytest.param('{"type": "otp", "title": "123456"}', id="an unknown spelling of the kind"),
        pytest.param('{"text": "token=123456"}', id="a token of any kind"),
    ],
)
def test_secret_is_redacted(payload: str) -> None:
    assert "123456" not in redact_for_display(payload)
    assert REDACTED in redact_for_display(payload)


def test_records_without_secret_are_unchanged() -> None:
    payload = '{"type": "LIKE", "message": "hello 123456"}'
    assert redact_for_display(payload) == payload


def test_stored_dead_letter_has_no_code_and_no_token() -> None:
    otp = b'{"type": "OTP", "title": "Your code", "message": "It is \\"123456\\"", "seq": 7}'
    assert redact_for_storage(otp) == b'{"type": "OTP", "title": "", "message": "", "seq": 7}'
    assert b"abc" not in redact_for_storage(b'\xff"PASSWORD_RESET" token=abc')


def test_stored_dead_letter_without_secret_is_unchanged() -> None:
    like = b'{"type": "LIKE", "message": "token=abc", "x": "\xff\x00"}'
    assert redact_for_storage(like) == like


@pytest.mark.parametrize(
    ("metadata", "encrypted_body"),
    [({}, None), ({ENCRYPTED_BODY_KEY: 7}, None), ({ENCRYPTED_BODY_KEY: "x"}, "x")],
)
def test_encrypted_body_is_read_from_metadata(
    metadata: dict[str, object], encrypted_body: str | None
) -> None:
    assert get_encrypted_body(metadata) == encrypted_body


@pytest.mark.parametrize(
    ("title", "masked"),
    [(None, None), ("Your code", "Your code"), ("Code 123456 for you", f"Code {MASK} for you")],
)
def test_title_with_a_code_is_masked(title: str | None, masked: str | None) -> None:
    assert mask_code_in_title(title) == masked


def test_only_a_client_event_with_a_code_gets_the_encrypted_code() -> None:
    otp, reset = {"type": "OTP"}, {"type": "PASSWORD_RESET"}

    assert with_encrypted_login_code(otp, "x") == {"type": "OTP", ENCRYPTED_CODE_KEY: "x"}
    assert with_encrypted_login_code(otp, None) == otp
    assert with_encrypted_login_code(reset, "x") == reset
