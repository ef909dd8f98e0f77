"""A post or account is deleted while events about it are written: no event is rejected, no row remains."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from sqlalchemy import Engine, text

from app.domain.clock import TimeAndIdSource
from app.domain.events import Event
from app.domain.grouping import AnnounceWhen
from app.persistence.event_writer import BatchOutcome, EventBatch, EventToWrite, EventWriter
from app.social.removals import PostAndAccountRemoval
from tests.support.fakes import ManualClock
from tests.support.fixtures import (
    SampleUsers,
    comment_event,
    follow_event,
    insert_sample_users,
    insert_users,
    like_event,
    new_id,
)

pytestmark = pytest.mark.service
WRITERS = 4
CLOCK = TimeAndIdSource(ManualClock().now, new_id)


def write_batches(engine: Engine, batches: list[list[Event]]) -> list[BatchOutcome]:
    event_writer = EventWriter(engine, 12, CLOCK)
    return [
        event_writer.write(EventBatch(tuple(EventToWrite(event, AnnounceWhen.NOW) for event in batch)))
        for batch in batches
    ]


@pytest.mark.parametrize("deleted", ["post", "account"])
def test_removal_is_complete_while_others_write(
    engine: Engine, real_redis: redis.Redis, deleted: str
) -> None:
    sample_users = insert_sample_users(engine)
    user_ids = insert_users(engine, *(f"P{n}" for n in range(40)))
    event_factories: list[Callable[[str, SampleUsers, int], Event]] = [
        like_event,
        comment_event,
        follow_event,
    ]
    batches_by_writer = [
        [
            [
                event_factories[(round_number + n) % 3](user_id, sample_users, 1 + round_number * 100 + n)
                for n, user_id in enumerate(user_ids)
            ]
            + [
                like_event(
                    sample_users.carol_id, sample_users, 90 + round_number, active=round_number % 2 == 0
                )
            ]
            for round_number in range(writer, 24, WRITERS)
        ]
        for writer in range(WRITERS)
    ]
    removals = PostAndAccountRemoval(engine, real_redis, CLOCK)

    with ThreadPoolExecutor(WRITERS + 1) as pool:
        futures = [pool.submit(write_batches, engine, batches) for batches in batches_by_writer]
        if deleted == "post":
            pool.submit(removals.delete_post, sample_users.alice_id, sample_users.post_id).result()
        else:
            pool.submit(removals.delete_account, user_ids[0]).result()
        batch_outcomes = [batch_outcome for future in futures for batch_outcome in future.result()]

    assert [event for batch_outcome in batch_outcomes for event in batch_outcome.rejected_events] == []
    statement = {
        "post": "select count(*) from notifications where type <> 'FOLLOW'",
        "account": f"select count(*) from notification_actors where actor_id = '{user_ids[0]}'",  # noqa: S608
    }[deleted]
    with engine.connect() as conn:
        assert conn.execute(text(statement)).scalar() == 0
        counts = conn.execute(
            text(
                "select follower_count = (select count(*) from follows f where f.active and "
                "f.following_id = u.id) from users u where id = :alice"
            ),
            {"alice": sample_users.alice_id},
        )
        assert counts.scalar()
