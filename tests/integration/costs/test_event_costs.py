"""What an event costs at each store, as counts, which are the same on any machine.

The limits were estimated from the code, and hold. Whoever makes a figure smaller lowers its limit with it.
"""

from collections import Counter
from collections.abc import Sequence

import pytest
import redis

from app.aggregation.windows import OfferedEvent
from app.bootstrap import SharedServices
from app.domain.events import Event, Kind
from app.ingest.memberships import DesiredState
from harness.fixtures import create_posts, create_users
from harness.redis_commands import count_redis_commands
from tests.support.api_user import ApiUser
from tests.support.fixtures import FIRST_TEST_SEQ, new_id
from tests.support.pipeline_harness import WINDOW_AND_JITTER_SECONDS, PipelineHarness, PipelineUser
from tests.support.sql_recorder import SqlRecord, record_sql

pytestmark = pytest.mark.service
LIKE_COUNT = 10_000
MAX_FLUSH_STATEMENTS, MAX_FLUSH_WAL_BYTES_PER_LIKE = 12, 1_000
MAX_FLUSH_REDIS_COMMANDS = 54
"""Of 10,000 likes: 200 in each call that settles memberships, so that Redis serves others in between."""
MAX_TOAST_STATEMENTS, MAX_TOAST_TRANSACTIONS, MAX_TOAST_REDIS_COMMANDS = 18, 6, 30
MAX_REDIS_BYTES_PER_LIKE = {"ingress": 250, "like": 250, "window": 450, "trace": 700}
"""By the first part of the key: the stream entry, the cached post, the entry of the window, the steps."""


def test_like_costs_one_redis_command_and_no_sql_statement(
    isolated_services: SharedServices, environment: dict[str, str], alice: ApiUser, bob: ApiUser
) -> None:
    path = f"/api/posts/{alice.create_post()}/like"
    bob("PUT", path)  # caches the post, its owner and the owner's blocks

    def send_likes() -> None:
        for method in ("DELETE", "PUT") * 25:
            assert bob(method, path)["status"] == 200

    with record_sql(isolated_services.engine) as sql:
        commands = count_redis_commands(environment["REDIS_URL"], send_likes)

    assert commands == {"EVALSHA": 50}
    assert sql.statements == []


def _open_due_windows(pipeline: PipelineHarness, post_count: int, likes_per_post: int) -> None:
    """A window per post, with all of its likes."""
    user_ids = create_users(pipeline.engine, likes_per_post)
    events = [
        Event(new_id(), Kind.LIKE, pipeline.alice.id, user_id, "POST", post_id, FIRST_TEST_SEQ + offset)
        for post_id in create_posts(pipeline.engine, pipeline.alice.id, post_count)
        for offset, user_id in enumerate(user_ids)
    ]
    epoch = pipeline.window_store.get_or_set_epoch(new_id())
    due_ms = int(pipeline.clock.now() * 1000)
    for start in range(0, len(events), 500):
        offers = [OfferedEvent(event, start, 0, due_ms) for event in events[start : start + 500]]
        pipeline.window_store.gather_events(epoch, f"costs-{post_count}:0", LIKE_COUNT + 1, offers)


def _flush(pipeline: PipelineHarness, post_count: int, likes_per_post: int) -> SqlRecord:
    _open_due_windows(pipeline, post_count, likes_per_post)
    with record_sql(pipeline.engine) as sql:
        assert pipeline.flusher.step() == post_count
    return sql


def test_flush_has_one_transaction_and_the_same_statements_for_any_number_of_likes(
    pipeline: PipelineHarness, environment: dict[str, str]
) -> None:
    flush_of_ten = _flush(pipeline, post_count=1, likes_per_post=10)
    flush_of_windows = _flush(pipeline, post_count=100, likes_per_post=2)
    pipeline.execute("create extension if not exists pg_stat_statements")
    _open_due_windows(pipeline, post_count=1, likes_per_post=LIKE_COUNT)
    pipeline.query("select pg_stat_statements_reset()")

    with record_sql(pipeline.engine) as sql:
        commands = count_redis_commands(environment["REDIS_URL"], pipeline.flusher.step)

    # Without images of whole pages, whose number depends on the time of the last checkpoint.
    [(wal_bytes,)] = pipeline.query("select sum(wal_bytes - wal_fpi * 8192)::float8 from pg_stat_statements")
    assert pipeline.count_active_likes() == LIKE_COUNT + 10 + 200
    assert (sql.transaction_count, sql.statements) == (1, flush_of_ten.statements)
    assert flush_of_windows.statements == flush_of_ten.statements
    assert len(sql.statements) <= MAX_FLUSH_STATEMENTS
    assert commands.total() <= MAX_FLUSH_REDIS_COMMANDS
    assert wal_bytes / LIKE_COUNT <= MAX_FLUSH_WAL_BYTES_PER_LIKE


def _deliver_follows(
    pipeline: PipelineHarness, follower: PipelineUser, followed: Sequence[PipelineUser]
) -> tuple[SqlRecord, Counter[str]]:
    """The SQL and the records that the workers need for one follow of each, up to their toasts."""
    for user in followed:
        follower.follow(user)
    record_counts = _count_records(pipeline)
    with record_sql(pipeline.engine) as sql:
        for stage in (pipeline.bridge, pipeline.aggregator, pipeline.outbox_relay, pipeline.deliverer):
            assert stage.step() > 0
    return sql, _count_records(pipeline) - record_counts


def _count_records(pipeline: PipelineHarness) -> Counter[str]:
    logs = pipeline.memory_kafka.log_by_partition.items()
    counts = Counter({topic: 0 for (topic, _), _ in logs})
    for (topic, _), log in logs:
        counts[topic] += len(log)
    return counts


def test_toast_costs_two_messages_per_hop_and_batches_share_their_statements(
    pipeline: PipelineHarness, environment: dict[str, str]
) -> None:
    ann, ben, cem, dan = pipeline.create_users("Ann", "Ben", "Cem", "Dan")
    ann.follow(ben)
    pipeline.run_until_idle()  # takes leases, creates the epoch

    results: list[tuple[SqlRecord, Counter[str]]] = []
    commands = count_redis_commands(
        environment["REDIS_URL"], lambda: results.append(_deliver_follows(pipeline, ann, [cem]))
    )
    [(sql, record_counts)] = results
    assert record_counts == {"high-priority-notifications": 1, "ready-notifications": 2}
    assert [name for name, *_ in pipeline.push_publisher.client_events[-2:]] == [
        "notification",
        "unread_count",
    ]
    assert len(sql.statements) <= MAX_TOAST_STATEMENTS
    assert sql.transaction_count <= MAX_TOAST_TRANSACTIONS
    assert commands.total() <= MAX_TOAST_REDIS_COMMANDS

    recipients = pipeline.create_users(*(f"User {n}" for n in range(40)))
    batch_sql, batch_record_counts = _deliver_follows(pipeline, dan, recipients)
    assert batch_record_counts == {"high-priority-notifications": 40, "ready-notifications": 80}
    assert batch_sql.statements == sql.statements


def _redis_bytes(connection: redis.Redis) -> Counter[str]:
    """By the first part of the key."""
    keys = list(connection.scan_iter(count=1_000))
    pipeline = connection.pipeline(transaction=False)
    for key in keys:
        pipeline.memory_usage(key, samples=0)
    sizes: Counter[str] = Counter()
    for key, size in zip(keys, pipeline.execute(), strict=True):
        sizes[str(key).partition(":")[0]] += size or 0
    return sizes


def test_bytes_and_messages_of_likes_in_redis(pipeline: PipelineHarness) -> None:
    like_count = 1_000
    pipeline.alice.create_post("Hello")
    post_id = pipeline.post_id_by_caption["Hello"]
    for user_id in create_users(pipeline.engine, like_count):
        pipeline.actions.set_like(
            user_id, post_id, DesiredState.ON, "00-" + 32 * "1" + "-" + 16 * "2" + "-01"
        )
    sizes = _redis_bytes(pipeline.redis)
    while pipeline.bridge.step() + pipeline.aggregator.step():
        pass
    sizes |= _redis_bytes(pipeline.redis)  # the larger of both
    bytes_per_like = {name: size / like_count for name, size in sizes.items()}

    limits = dict.fromkeys(sizes, 5) | MAX_REDIS_BYTES_PER_LIKE
    assert {name: size for name, size in bytes_per_like.items() if size > limits[name]} == {}
    names = [name for name, *_ in pipeline.push_publisher.client_events]
    assert 0 < names.count("posts_changed") == len(names) <= 10

    pipeline.clock.advance(WINDOW_AND_JITTER_SECONDS)
    pipeline.run_until_idle()
    names = [name for name, *_ in pipeline.push_publisher.client_events]
    assert names.count("notification") == 4  # the first three likes and the end of the window
    assert names.count("unread_count") <= 4
    assert _redis_bytes(pipeline.redis)["window"] == 0
