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


def test_transactions_for_one_recipient_are_serialized(writer: EventWriterHarness, engine: Engine) -> None:
    users = writer.sample_users
    actors = insert_users(engine, *(f"P{n}" for n in range(24)))

    def write(index: int) -> None:
        writer.write(like_event(actors[index], users, index + 1))
        writer.write(follow_event(actors[index], users, index + 1))
        # Shares update no counter of a post or user, so only the recipient lock serializes them.
        writer.write(replace(like_event(actors[index], users, index + 1), kind=Kind.POST_SHARE))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(len(actors))))

    seqs = [client_event["seq"] for client_event in writer.client_events()]
    assert seqs == list(range(1, 3 * 24 + 1))
    assert writer.like_count == 24
    assert writer.query("select actor_count from notifications") == [(24,)] * 3


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32 - 1))
def test_any_order_of_the_same_events_leaves_the_same_tables(writer: EventWriterHarness, seed: int) -> None:
    random_source = Random(seed)
    steps = [
        (random_source.randrange(3), random_source.random() < 0.6, random_source.choice(list(AnnounceWhen)))
        for _ in range(random_source.randint(1, 8))
    ]
    # Each example likes a post of its own.
    users = replace(writer.sample_users, post_id=new_id())
    writer.execute(
        "insert into posts (id, user_id) values (:post, :alice)",
        post=users.post_id,
        alice=users.alice_id,
    )
    actors = [users.bob_id, users.carol_id, insert_users(writer.engine, "Eva")[0]]
    events = [
        (like_event(actors[actor_index], users, seq, active), announce_when)
        for seq, (actor_index, active, announce_when) in enumerate(steps, 1)
    ]
    last_state = {actors[actor_index]: active for actor_index, active, _ in steps}
    deliveries = events + random_source.choices(events, k=3)
    random_source.shuffle(deliveries)

    for start in range(0, len(deliveries), 3):
        batch = tuple(
            EventToWrite(event, announce_when) for event, announce_when in deliveries[start : start + 3]
        )
        writer.event_writer.write(EventBatch(batch))

    likers = {actor_id for actor_id, active in last_state.items() if active}
    tables = {
        "likes": {row[0] for row in writer.query(_LIKERS, post=users.post_id)},
        "actors": {row[0] for row in writer.query(_ACTORS, post=users.post_id)},
        "like_count": writer.query("select like_count from posts where id = :post", post=users.post_id),
    }
    assert tables == {"likes": likers, "actors": likers, "like_count": [(len(likers),)]}
    count_rows = writer.query(_COUNTS, post=users.post_id)
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
