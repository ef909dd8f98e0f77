"""The error classes and their codes."""

from app.domain.errors import RedisFailoverActive, RedisUnavailable, Rejected, Unavailable


def test_rejected_request_has_a_code_and_a_status() -> None:
    default, not_found = Rejected("Invalid"), Rejected("Not found", "not_found", 404)

    assert (str(default), default.code, default.status) == ("Invalid", "invalid", 400)
    assert (str(not_found), not_found.code, not_found.status) == ("Not found", "not_found", 404)


def test_unavailable_service_has_a_code() -> None:
    assert (Unavailable("Busy").code, Unavailable("Busy", "redis_busy").code) == ("unavailable", "redis_busy")


def test_errors_that_allow_a_failover_write_have_their_own_codes() -> None:
    assert (RedisUnavailable("Timed out").code, RedisFailoverActive().code) == (
        "redis_unavailable",
        "redis_failover",
    )
