"""What a dashboard shows of a record that nobody could process."""

import pytest

from app.domain.secrecy import WITHHELD, kept, shown


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param('{"type": "OTP", "message": "Your code is 123456."}', id="whole"),
        pytest.param('{"message":"say \\"123456\\"","type":"OTP"}', id="with quotes in it"),
        pytest.param('{"type": "OTP", "message": "Your code is 123456', id="cut off"),
        pytest.param('{"type": "otp", "title": "123456"}', id="of a kind nobody knows"),
        pytest.param('{"text": "token=123456"}', id="a token of no kind"),
    ],
)
def test_a_secret_is_withheld(payload: str) -> None:
    assert "123456" not in shown(payload)
    assert WITHHELD in shown(payload)


def test_other_records_are_shown_as_they_are() -> None:
    payload = '{"type": "LIKE", "message": "hello 123456"}'
    assert shown(payload) == payload


def test_what_is_put_aside_holds_no_code_and_no_token() -> None:
    otp = b'{"type": "OTP", "title": "Your code", "message": "It is \\"123456\\"", "seq": 7}'
    assert kept(otp) == b'{"type": "OTP", "title": "", "message": "", "seq": 7}'
    assert b"abc" not in kept(b'\xff"PASSWORD_RESET" token=abc')


def test_what_is_put_aside_of_others_stays_whole() -> None:
    like = b'{"type": "LIKE", "message": "token=abc", "x": "\xff\x00"}'
    assert kept(like) == like
