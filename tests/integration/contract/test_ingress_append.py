"""IngressStreams.append and its script: all events or none, and a comment is readable at once."""

from datetime import UTC, datetime

import pytest
import redis
from sqlalchemy import Engine

from app.domain.errors import Unavailable
from app.domain.event_codec import event_from_stream_fields
from app.domain.events import Event, Kind
from app.domain.routing import CRITICAL_SHARD, ingress_shard_of_object
from app.ingest.comments import Comment, Comments
from app.ingest.event_builders import build_object_event, comment_object
from app.ingest.ingress import IngressStreams
from app.ingest.memberships import IngressLimits
from tests.support.fixtures import (
    SampleUsers,
    comment_event,
    follow_event,
    like_event,
    new_id,
    otp_event,
    unsaved_sample_users,
)
from tests.support.ingress_harness import stream_entries
from tests.support.post_counts import count_comments_in_redis

SHARDS = 4
SAMPLE_USERS = unsaved_sample_users()


def new_ingress_streams(
    redis_connection: redis.Redis, max_length: int = 1000, deadline_seconds: float = 5.0
) -> IngressStreams:
    return IngressStreams(redis_connection, IngressLimits(SHARDS, max_length, deadline_seconds))


@pytest.fixture
def ingress_streams(redis_connection: redis.Redis) -> IngressStreams:
    return new_ingress_streams(redis_connection)


@pytest.fixture
def comment_store(redis_connection: redis.Redis, unreachable_engine: Engine) -> Comments:
    return Comments(redis_connection, unreachable_engine)


def comment_of(event: Event, sample_users: SampleUsers) -> Comment:
    return Comment(
        event.window_entry_key,
        sample_users.post_id,
        str(event.actor_id),
        str(event.metadata["content"]),
        None,
        datetime(2026, 6, 1, tzinfo=UTC),
    )


def total_length(ingress_streams: IngressStreams) -> int:
    return sum(ingress_streams.length_by_shard().values())


def test_event_is_appended_to_the_shard_of_its_object(
    redis_connection: redis.Redis, ingress_streams: IngressStreams
) -> None:
    like, follow, code = (
        like_event(SAMPLE_USERS.bob_id, SAMPLE_USERS, 1),
        follow_event(SAMPLE_USERS.bob_id, SAMPLE_USERS, 2),
        otp_event(SAMPLE_USERS, 3),
    )

    for event, shard in [
        (like, ingress_shard_of_object(SAMPLE_USERS.post_id, SHARDS)),
        (follow, ingress_shard_of_object(SAMPLE_USERS.alice_id, SHARDS)),
        (code, CRITICAL_SHARD),
    ]:
        assert ingress_streams.append_events([event])
        event_ids = [fields["eventId"] for _, fields in stream_entries(redis_connection, shard)]
        assert event.event_id in event_ids


def test_comment_and_mention_are_appended_to_the_shard_of_the_post(
    redis_connection: redis.Redis, ingress_streams: IngressStreams
) -> None:
    comment = comment_event(SAMPLE_USERS.bob_id, SAMPLE_USERS, 1)
    mention = build_object_event(
        new_id(),
        Kind.MENTION,
        SAMPLE_USERS.bob_id,
        SAMPLE_USERS.carol_id,
        comment_object(comment_of(comment, SAMPLE_USERS)),
        None,
    )

    ingress_streams.append_events([comment, mention])

    entries = stream_entries(redis_connection, ingress_shard_of_object(SAMPLE_USERS.post_id, SHARDS))
    assert [fields["type"] for _, fields in entries] == ["COMMENT", "MENTION"]


def test_events_of_two_shards_are_not_appended_together(ingress_streams: IngressStreams) -> None:
    like, code = like_event(SAMPLE_USERS.bob_id, SAMPLE_USERS, 1), otp_event(SAMPLE_USERS, 2)

    with pytest.raises(ValueError, match="several shards"):
        ingress_streams.append_events([like, code])

    assert total_length(ingress_streams) == 0


def test_event_is_read_as_it_was_appended(
    redis_connection: redis.Redis, ingress_streams: IngressStreams
) -> None:
    event = comment_event(SAMPLE_USERS.bob_id, SAMPLE_USERS, 1, 'He said "ça va?"\n')

    ingress_streams.append_events([event])

    [(stream_id, fields)] = stream_entries(
        redis_connection, ingress_shard_of_object(SAMPLE_USERS.post_id, SHARDS)
    )
    read_event = event_from_stream_fields(stream_id, fields)
    assert read_event.to_stream_fields() == event.to_stream_fields()


def test_comment_is_readable_and_counted_once_accepted(
    redis_connection: redis.Redis,
    ingress_streams: IngressStreams,
    comment_store: Comments,
    unreachable_engine: Engine,
) -> None:
    event = comment_event(SAMPLE_USERS.bob_id, SAMPLE_USERS, 1)
    comment_store.cache_zero_count(SAMPLE_USERS.post_id)
    comment_store.cache_post_and_author_ids(comment_of(event, SAMPLE_USERS))

    ingress_streams.append_events([event], comment_of(event, SAMPLE_USERS))

    assert comment_store.find_or_raise(event.window_entry_key) == comment_of(event, SAMPLE_USERS)
    assert count_comments_in_redis(redis_connection, unreachable_engine, SAMPLE_USERS.post_id) == 1
    assert total_length(ingress_streams) == 1


def test_comment_appended_twice_counts_once(
    redis_connection: redis.Redis,
    ingress_streams: IngressStreams,
    comment_store: Comments,
    unreachable_engine: Engine,
) -> None:
    event = comment_event(SAMPLE_USERS.bob_id, SAMPLE_USERS, 1)
    comment_store.cache_zero_count(SAMPLE_USERS.post_id)

    for _ in range(2):
        assert ingress_streams.append_events([event], comment_of(event, SAMPLE_USERS))

    assert count_comments_in_redis(redis_connection, unreachable_engine, SAMPLE_USERS.post_id) == 1
    assert total_length(ingress_streams) == 1


def test_comment_on_a_post_without_cached_count_is_not_appended(
    ingress_streams: IngressStreams, redis_connection: redis.Redis
) -> None:
    event = comment_event(SAMPLE_USERS.bob_id, SAMPLE_USERS, 1)

    accepted = ingress_streams.append_events([event], comment_of(event, SAMPLE_USERS))

    assert not accepted
    assert (total_length(ingress_streams), redis_connection.keys("comment:*")) == (0, [])


@pytest.mark.parametrize(
    ("max_length", "deadline_seconds", "error_code"),
    [
        pytest.param(SHARDS, 5.0, "ingress_full", id="full"),
        pytest.param(1000, -0.5, "ingress_deadline_exceeded", id="late"),
    ],
)
def test_refused_event_has_no_effect(
    redis_connection: redis.Redis,
    comment_store: Comments,
    unreachable_engine: Engine,
    max_length: int,
    deadline_seconds: float,
    error_code: str,
) -> None:
    comment_store.cache_zero_count(SAMPLE_USERS.post_id)
    new_ingress_streams(redis_connection).append_events([like_event(SAMPLE_USERS.bob_id, SAMPLE_USERS, 1)])
    refusing_streams = new_ingress_streams(redis_connection, max_length, deadline_seconds)
    event = comment_event(SAMPLE_USERS.bob_id, SAMPLE_USERS, 2)

    with pytest.raises(Unavailable) as error:
        refusing_streams.append_events(
            [event, like_event(SAMPLE_USERS.bob_id, SAMPLE_USERS, 3)], comment_of(event, SAMPLE_USERS)
        )

    assert error.value.code == error_code
    assert total_length(refusing_streams) == 1
    assert count_comments_in_redis(redis_connection, unreachable_engine, SAMPLE_USERS.post_id) == 0


def test_written_comment_is_removed_from_the_pending_comments(
    redis_connection: redis.Redis, ingress_streams: IngressStreams, comment_store: Comments
) -> None:
    event = comment_event(SAMPLE_USERS.bob_id, SAMPLE_USERS, 1)
    comment_store.cache_zero_count(SAMPLE_USERS.post_id)
    comment_store.cache_post_and_author_ids(comment_of(event, SAMPLE_USERS))
    ingress_streams.append_events([event], comment_of(event, SAMPLE_USERS))

    comment_store.remove_written_from_pending([(SAMPLE_USERS.post_id, event.window_entry_key)])

    assert redis_connection.exists(f"comment:pending:{SAMPLE_USERS.post_id}") == 0
    assert redis_connection.exists(f"comment:index:{event.window_entry_key}") == 0
    assert redis_connection.get(f"comment:count:{SAMPLE_USERS.post_id}") == "1"
