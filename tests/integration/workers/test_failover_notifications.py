"""NOTIFY on failover: processes stop using cached knowledge of Redis when another process bypasses it."""

from collections.abc import Callable

import pytest
import redis
from sqlalchemy import Engine

from app.clients.pg_notify import PgNotifyListener
from app.clients.redis_health import REDIS_HEALTH
from app.domain.errors import Unavailable
from app.failover.redis_failover import NOTIFY_CHANNEL, RedisFailover
from app.ingest.failover_path import forward_failover_changes_forever
from app.ingest.memberships import DesiredState
from tests.support.pipeline_harness import PipelineHarness
from tests.support.post_counts import read_likes
from tests.support.redis_failover_harness import RedisFailoverHarness


class EndOfScript(BaseException):
    """The scripted results are used up."""


class ScriptedListener:
    """A listener that returns or raises the given results in order."""

    def __init__(self, *results: list[str] | Unavailable) -> None:
        self._results = iter(results)
        self.checks = 0

    def wait_for_payloads(self, _seconds: float) -> list[str]:
        result = next(self._results, None)
        if result is None:
            raise EndOfScript
        if isinstance(result, Unavailable):
            raise result
        return result

    def check_connection(self) -> None:
        self.checks += 1


UNAVAILABLE = Unavailable("PostgreSQL is unavailable")


@pytest.mark.parametrize(
    ("results", "suspect_count"),
    [
        pytest.param([[]], 1, id="connected"),
        pytest.param([[], []], 1, id="no notification"),
        pytest.param([[], [""], []], 2, id="notification"),
        pytest.param([[], UNAVAILABLE, UNAVAILABLE], 1, id="disconnected"),
        pytest.param([[], UNAVAILABLE, []], 2, id="reconnected"),
    ],
)
def test_process_marks_redis_suspect_after_a_missed_notification(
    monkeypatch: pytest.MonkeyPatch, results: list[list[str] | Unavailable], suspect_count: int
) -> None:
    monkeypatch.setattr("app.ingest.failover_path.RETRY_DELAY_SECONDS", 0)
    state_changes: list[bool] = []

    class FakeRedisFailover:
        def on_state_change(self) -> None:
            state_changes.append(True)

    with pytest.raises(EndOfScript):
        forward_failover_changes_forever(ScriptedListener(*results), FakeRedisFailover())  # type: ignore[arg-type]

    assert len(state_changes) == suspect_count


def end_failover(redis_failover: RedisFailover) -> str:
    """Ends a failover like the failback worker; returns the time of the change."""
    redis_failover.start_failover("a test")
    failover_since = redis_failover.read_state().changed_at
    assert redis_failover.pause_failover_writes(failover_since)
    assert redis_failover.end_failover("kept", "token", failover_since)
    return redis_failover.read_state().changed_at


@pytest.mark.service
def test_starting_failover_notifies_once(
    engine: Engine, real_redis: redis.Redis, listen: Callable[[str], PgNotifyListener]
) -> None:
    listener = listen(NOTIFY_CHANNEL)
    redis_failover = RedisFailover(real_redis, engine)
    end_failover(redis_failover)
    assert set(listener.wait_for_payloads(10)) == {""}
    redis_failover.start_failover("writes bypass Redis")
    assert listener.wait_for_payloads(10) == [""]

    redis_failover.start_failover("writes bypass Redis")
    assert listener.wait_for_payloads(0.05) == []


@pytest.mark.service
def test_process_notified_of_a_failover_write_shows_it_before_failback(
    pipeline: PipelineHarness,
) -> None:
    pipeline.alice.create_post("Hello")
    ann, ben = pipeline.create_users("Ann", "Ben")
    failover, post_id = RedisFailoverHarness(pipeline), pipeline.post_id_by_caption["Hello"]
    failover.fail_back()
    ann.like("Hello")

    def is_liked() -> bool:
        return read_likes(pipeline.worker_services.services.memberships, ben.id, post_id)[1]

    assert not is_liked()
    failover.actions.set_like(ben.id, post_id, DesiredState.ON)
    REDIS_HEALTH.require_reverification()

    assert is_liked()
