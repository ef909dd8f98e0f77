"""What a dashboard shows of a record that nobody could process."""

import pytest

from app.domain.secrecy import WITHHELD, shown


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
