"""The codes of the errors that allow a failover write."""

from app.domain.errors import RedisFailoverActive, RedisUnavailable


def test_errors_that_allow_a_failover_write_have_their_own_codes() -> None:
    assert (RedisUnavailable("Timed out").code, RedisFailoverActive().code) == (
        "redis_unavailable",
        "redis_failover",
    )
