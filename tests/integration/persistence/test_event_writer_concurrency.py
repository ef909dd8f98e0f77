"""The event writer with concurrent writers, and with the same events in any order and repeated."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from app.domain.events import Kind
from app.domain.grouping import AnnounceWhen
from app.persistence.event_writer import EventBatch, EventToWrite
from tests.support.event_writer_harness import EventWriterHarness
from tests.support.fixtures import follow_event, insert_users, like_event, new_id

pytestmark = pytest.mark.service


def test_transactions_for_one_recipient_are_serialized(
    event_writer_harness: EventWriterHarness, engine: Engine
) -> None:
    sample_users = event_writer_harness.sample_users
    actors = insert_users(engine, *(f"P{n}" for n in range(24)))

    def write(index: int) -> None:
        event_writer_harness.write(like_event(actors[index], sample_users, index + 1))
        event_writer_harness.write(follow_event(actors[index], sample_users, index + 1))
        # Shares update no counter of a post or user, so only the recipient lock serializes them.
        event_writer_harness.write(
            replace(like_event(actors[index], sample_users, index + 1), kind=Kind.POST_SHARE)
        )

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(len(actors))))

    seqs = [client_event["seq"] for client_event in event_writer_harness.client_events()]
    assert seqs == list(range(1, 3 * 24 + 1))
    assert event_writer_harness.like_count == 24
    assert event_writer_harness.query("select actor_count from notifications") == [(24,)] * 3


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32 - 1))
def test_any_order_of_the_same_events_leaves_the_same_tables(
    event_writer_harness: EventWriterHarness, seed: int
) -> None:
    random_source = Random(seed)
    steps = [
        (random_source.randrange(3), random_source.random() < 0.6, random_source.choice(list(AnnounceWhen)))
        for _ in range(random_source.randint(1, 8))
    ]
    # Each example likes a post of its own.
    sample_users = replace(event_writer_harness.sample_users, post_id=new_id())
    event_writer_harness.execute(
        "insert into posts (id, user_id) values (:post, :alice)",
        post=sample_users.post_id,
        alice=sample_users.alice_id,
    )
    actors = [sample_users.bob_id, sample_users.carol_id, insert_users(event_writer_harness.engine, "Eva")[0]]
    events = [
        (like_event(actors[actor_index], sample_users, seq, active), announce_when)
        for seq, (actor_index, active, announce_when) in enumerate(steps, 1)
    ]
    last_state = {actors[actor_index]: active for actor_index, active, _ in steps}
    deliveries = events + random_source.choices(events, k=3)
    random_source.shuffle(deliveries)

    for start in range(0, len(deliveries), 3):
        batch = tuple(
            EventToWrite(event, announce_when) for event, announce_when in deliveries[start : start + 3]
        )
        event_writer_harness.event_writer.write(EventBatch(batch))

    likers = {actor_id for actor_id, active in last_state.items() if active}
    tables = {
        "likes": {row[0] for row in event_writer_harness.query(_LIKERS, post=sample_users.post_id)},
        "actors": {row[0] for row in event_writer_harness.query(_ACTORS, post=sample_users.post_id)},
        "like_count": event_writer_harness.query(
            "select like_count from posts where id = :post", post=sample_users.post_id
        ),
    }
    assert tables == {"likes": likers, "actors": likers, "like_count": [(len(likers),)]}
    count_rows = event_writer_harness.query(_COUNTS, post=sample_users.post_id)
    assert all(row[0] == row[1] and row[2] == row[3] for row in count_rows)


_LIKERS = "select user_id::text from active_likes where post_id = :post"
_ACTORS = """
    select a.actor_id::text from notification_actors a join notifications n
        on n.id = a.notification_id
    where n.object_id = :post and a.active
"""
_COUNTS = """
    select n.actor_count, count(a.actor_id), n.unannounced_count,
        count(a.actor_id) filter (where not a.announced)
    from notifications n left join notification_actors a on a.notification_id = n.id and a.active
    where n.object_id = :post group by n.id
"""
