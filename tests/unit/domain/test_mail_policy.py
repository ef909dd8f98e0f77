"""The delay before a deferred message is sent again."""

import pytest

from app.domain.mail_policy import mail_retry_delay_seconds


@pytest.mark.parametrize(
    ("attempt_count", "random_unit", "delay_seconds"),
    [
        pytest.param(1, 0.0, 30, id="first"),
        pytest.param(2, 0.0, 60, id="doubled"),
        pytest.param(5, 0.0, 480, id="fifth"),
        pytest.param(6, 0.0, 900, id="maximum"),
        pytest.param(10**6, 0.0, 900, id="after a million attempts"),
        pytest.param(1, 0.5, 31.5, id="with jitter"),
    ],
)
def test_retry_delay(attempt_count: int, random_unit: float, delay_seconds: float) -> None:
    assert mail_retry_delay_seconds(attempt_count, random_unit) == pytest.approx(delay_seconds)
