"""The client of Redis: what was sent once is done at most once, however long the answer takes."""

from threading import Thread

import pytest
import redis

from app.stores.redis import COMMAND_SECONDS, client

# By processor time: since Redis 7 a script that asks for TIME gets the moment at which it began.
BUSY = """
local till = os.clock() + ARGV[1] / 1000
while os.clock() < till do end
"""


@pytest.mark.service
def test_a_call_that_redis_answers_too_late_was_made_once(
    environment: dict[str, str], real_redis: redis.Redis
) -> None:
    impatient, calls, late = client(environment["REDIS_URL"]), 0, 0
    impatient.ping()
    busy = Thread(target=real_redis.eval, args=(BUSY, 0, int(COMMAND_SECONDS * 1000) + 1500))
    busy.start()

    while busy.is_alive():
        calls += 1
        try:
            impatient.incr("calls")
        except redis.TimeoutError:
            late += 1

    busy.join()
    assert late
    assert int(str(real_redis.get("calls"))) <= calls
