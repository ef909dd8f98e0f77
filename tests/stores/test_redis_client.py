"""The client of Redis: what was sent once is done at most once, however long the answer takes."""

import pytest
import redis

from app.stores.redis import COMMAND_SECONDS, client


@pytest.mark.service
def test_a_call_that_redis_answers_too_late_was_made_once(
    environment: dict[str, str], real_redis: redis.Redis
) -> None:
    impatient = client(environment["REDIS_URL"])
    impatient.ping()
    real_redis.client_pause(int(COMMAND_SECONDS * 1000) + 1500)

    with pytest.raises(redis.TimeoutError):
        impatient.incr("once")

    real_redis.client_unpause()
    assert real_redis.get("once") == "1"
