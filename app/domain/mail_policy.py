"""E-mail and SMS: the delay before a deferred message is sent again."""

FIRST_RETRY_SECONDS = 30.0
MAX_RETRY_SECONDS = 15 * 60.0
RETRY_JITTER_FRACTION = 0.1
RESET_TOKEN_TTL_MINUTES = 30
"""A link to reset a password is valid for this long, and its e-mail is not sent later."""


def mail_retry_delay_seconds(attempt_count: int, random_unit: float) -> float:
    """Seconds until the next attempt: 30 after the first, doubled after each further one up to 15 minutes.

    Up to a tenth is added by `random_unit` in [0, 1), so that messages that were deferred together are not
    retried together.
    """
    delay_seconds: float = min(MAX_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2.0 ** min(attempt_count - 1, 32))
    return delay_seconds * (1.0 + RETRY_JITTER_FRACTION * random_unit)
