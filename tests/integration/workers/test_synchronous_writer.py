"""Failover writes in groups: one transaction for many, each with a result of its own (P1, P2, P7)."""

from collections.abc import Callable

import gevent
import pytest

from app.bootstrap import new_id
from app.clients.pg_notify import PgNotifyListener
from app.domain.errors import Rejected, Unavailable
from app.domain.events import Event, Kind
from app.ingest.memberships import DesiredState, MembershipState
from app.persistence.critical_notify import CRITICAL_NOTIFY_CHANNEL
from tests.support.pipeline_harness import PipelineHarness, PipelineUser
from tests.support.redis_failover_harness import RedisFailoverHarness

pytestmark = pytest.mark.service
ON, OFF, TOGGLE = DesiredState.ON, DesiredState.OFF, DesiredState.TOGGLE


def run_at_once(*calls: Callable[[], object]) -> list[object]:
    """The results or errors of calls that are made before the first transaction begins."""
    greenlets = [gevent.spawn(_result_or_error, call) for call in calls]
    gevent.joinall(greenlets, timeout=30)
    return [greenlet.value for greenlet in greenlets]


def _result_or_error(call: Callable[[], object]) -> object:
    try:
        return call()
    except (Rejected, Unavailable) as exc:
        return exc


@pytest.fixture
def failover(failover: RedisFailoverHarness) -> RedisFailoverHarness:
    failover.fail_back()
    failover.redis_failover.start_failover("a test")
    return failover


def like(
    failover: RedisFailoverHarness, user: PipelineUser, state: DesiredState = ON
) -> Callable[[], object]:
    return lambda: failover.writer.write(failover.like_request(user, state)).state


def test_likes_that_arrive_together_are_one_transaction(
    pipeline: PipelineHarness, failover: RedisFailoverHarness
) -> None:
    users = failover.users
    results = run_at_once(*(like(failover, user) for user in users))

    assert results == [MembershipState(True, len(users))] * len(users)
    assert pipeline.query("select count(distinct xmin::text) from likes") == [(1,)]
    assert failover.count_fallback_rows() == len(users)
    failover.fail_back()
    assert failover.violations() == []


@pytest.mark.parametrize(
    ("requests", "states"),
    [
        ([ON, OFF, ON], [True, False, True]),
        ([TOGGLE, TOGGLE, TOGGLE], [True, False, True]),
        ([OFF, TOGGLE, ON], [False, True, True]),
        ([ON, ON, OFF], [True, True, False]),
    ],
)
def test_requests_of_one_user_in_a_group_take_effect_in_their_order(
    pipeline: PipelineHarness,
    failover: RedisFailoverHarness,
    requests: list[DesiredState],
    states: list[bool],
) -> None:
    results = run_at_once(*(like(failover, failover.users[0], state) for state in requests))

    assert [result.active for result in results if isinstance(result, MembershipState)] == states
    assert pipeline.query("select active from likes") == [(states[-1],)]
    assert pipeline.query("select like_count from posts") == [(int(states[-1]),)]


def test_request_that_cannot_be_stored_fails_alone(
    pipeline: PipelineHarness, failover: RedisFailoverHarness
) -> None:
    users, recipient_id = failover.users, pipeline.alice.id
    invalid = Event(
        new_id(), Kind.MENTION, recipient_id, users[4].id, "POST", failover.post_id, message="a\0b"
    )
    unknown_post = failover.like_request(users[5], post_id=new_id())

    results = run_at_once(
        *(like(failover, user) for user in users[:2]),
        lambda: failover.writer.write((invalid,)),
        lambda: failover.writer.write(unknown_post),
        *(like(failover, user) for user in users[2:4]),
    )

    assert [result.status for result in results if isinstance(result, Rejected)] == [400, 404]
    assert pipeline.query("select like_count from posts") == [(4,)]
    assert failover.count_fallback_rows() == 4
    failover.fail_back()
    assert failover.violations() == []


def test_nothing_is_written_by_a_process_that_dies_before_the_commit(
    pipeline: PipelineHarness,
    failover: RedisFailoverHarness,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def die(*_: object) -> None:
        raise Unavailable("The process dies")

    monkeypatch.setattr(failover.writer._failover_events, "read_counts", die)
    [error] = run_at_once(like(failover, failover.users[0]))

    assert isinstance(error, Unavailable)
    for table in ("likes", "kafka_fallback_queue", "failover_affected_objects", "notifications"):
        assert pipeline.query(f"select 1 from {table}") == []  # noqa: S608 - constants


def test_call_that_was_given_up_is_not_written_later(
    pipeline: PipelineHarness,
    failover: RedisFailoverHarness,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.ingest.synchronous_writer.CALL_TIMEOUT_SECONDS", 0.01)
    monkeypatch.setattr(failover.writer, "_write_pending", lambda: gevent.sleep(0.2))
    [given_up] = run_at_once(like(failover, failover.users[0]))
    monkeypatch.undo()
    gevent.sleep(0.3)

    run_at_once(like(failover, failover.users[1]))

    assert isinstance(given_up, Unavailable)
    assert pipeline.query("select user_id::text from likes") == [(failover.users[1].id,)]


def test_client_events_of_failover_writes_reach_web_processes_by_notify(
    pipeline: PipelineHarness,
    failover: RedisFailoverHarness,
    listen: Callable[[str], PgNotifyListener],
) -> None:
    listener = listen(CRITICAL_NOTIFY_CHANNEL)
    like(failover, failover.users[0])()

    assert listener.wait_for_payloads(10) == [f"{pipeline.alice.id} 1"]
