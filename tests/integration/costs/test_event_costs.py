"""What an event costs at each store, as counts, which are the same on any machine.

The figures were measured with these tests on the embedded services. Counts were the same in all runs and are
compared exactly; bytes may be 15 % more. Whoever makes a figure smaller lowers it here.
"""

from collections import Counter
from collections.abc import Iterable

import pytest
import redis
from flask import Flask

from app.aggregation.windows import OfferedEvent
from app.bootstrap import SharedServices
from app.delivery.live_post_counts import LivePostCounts
from app.domain.events import Event, Kind
from app.ingest.memberships import DesiredState
from app.messaging.socket_push import SocketPush, SocketPushPublisher
from app.web_services import build_local_sockets
from harness.fixtures import create_posts, create_users
from harness.redis_commands import count_redis_commands
from tests.support.api_user import ApiUser
from tests.support.fixtures import FIRST_TEST_SEQ, new_id
from tests.support.pipeline_harness import WINDOW_AND_JITTER_SECONDS, PipelineHarness
from tests.support.sql_recorder import SqlRecord, record_sql

pytestmark = pytest.mark.service
LIKE_COUNT = 10_000
BYTES_ALLOWANCE = 1.15
FLUSH_ROUND_TRIPS, FLUSH_STATEMENTS = 11, 14
"""Some round trips have two statements."""
FLUSH_REDIS_COMMANDS = {"EVALSHA": 53, "SCRIPT": 1}
"""Of 10,000 likes: 200 in each call that settles memberships, so that Redis serves others in between."""
FLUSH_WAL_BYTES_PER_LIKE = 882
TOAST_ROUND_TRIPS, TOAST_TRANSACTIONS, TOAST_REDIS_COMMANDS = 16, 5, 22
"""Of one follow, with the reads of each worker that find nothing more."""
TOAST_RECORDS = {"high-priority-notifications": 1, "ready-notifications": 2}
PIPELINE_TRANSACTIONS = 30
"""Of 10,000 likes: the bridge looks up followers for each 500, the aggregator and the flusher write once,
relay and deliverer twice. Ten of them have no more than a few rows."""
PIPELINE_RECORDS = {"low-priority-notifications": LIKE_COUNT, "ready-notifications": 6}
PIPELINE_BATCHES = 20
BYTES_PER_LIKE = {"ingress": 243, "like": 158, "window": 325, "trace": 549, "Kafka": 684}
"""In Redis by the first part of the key: the stream entry, the cached post, the entry of the window, the
steps. In Kafka the record."""
MAX_OTHER_BYTES_PER_LIKE = 5
"""Of keys whose number does not depend on that of the likes: at most 2 KB for 1,000 likes."""
LIVE_COUNT_REDIS_COMMANDS = 1
TRACEPARENT = "00-" + 32 * "1" + "-" + 16 * "2" + "-01"


def test_like_costs_one_redis_command_and_no_sql_statement(
    isolated_services: SharedServices, environment: dict[str, str], alice: ApiUser, bob: ApiUser
) -> None:
    path = f"/api/posts/{alice.create_post()}/like"
    bob("PUT", path)  # caches the post, its owner and the owner's blocks

    def send_likes() -> None:
        for method in ("DELETE", "PUT") * 25:
            assert bob(method, path)["status"] == 200

    with record_sql(isolated_services.engine, isolated_services.critical_engine) as sql:
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
    # What earlier tests left in pages and indexes changes the WAL of new rows.
    pipeline.execute("truncate likes, notifications, notification_actors, outbox")
    pipeline.query("select pg_stat_statements_reset()")

    with record_sql(pipeline.engine) as sql:
        commands = count_redis_commands(environment["REDIS_URL"], pipeline.flusher.step)

    # Without images of whole pages, whose number depends on the time of the last checkpoint.
    [(statement_count, wal_bytes)] = pipeline.query(
        "select (sum(calls) filter (where query ~* '^\\s*(select|with|insert|update|delete)'))::int, "
        "sum(wal_bytes - wal_fpi * 8192)::float8 "
        "from pg_stat_statements where query not like '%pg_stat_statements%'"
    )
    assert pipeline.count_active_likes() == LIKE_COUNT
    assert (sql.transaction_count, sql.statements) == (1, flush_of_ten.statements)
    assert flush_of_windows.statements == flush_of_ten.statements
    assert (len(sql.statements), statement_count) == (FLUSH_ROUND_TRIPS, FLUSH_STATEMENTS)
    assert commands == FLUSH_REDIS_COMMANDS
    assert wal_bytes / LIKE_COUNT <= FLUSH_WAL_BYTES_PER_LIKE * BYTES_ALLOWANCE


def _run_workers(pipeline: PipelineHarness) -> SqlRecord:
    """Moves what is in the ingress to the sockets. The flusher closes the windows that are due."""
    with record_sql(pipeline.engine) as sql:
        for stage in (
            pipeline.bridge,
            pipeline.aggregator,
            pipeline.flusher,
            pipeline.outbox_relay,
            pipeline.deliverer,
        ):
            while stage.step():
                pass
    return sql


def _count_records(pipeline: PipelineHarness) -> Counter[str]:
    logs = pipeline.memory_kafka.log_by_partition.items()
    counts = Counter({topic: 0 for (topic, _), _ in logs})
    for (topic, _), log in logs:
        counts[topic] += len(log)
    return counts


def _publish_pushes(pipeline: PipelineHarness, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Client events are published in Redis as well as recorded."""
    publisher, record_push = SocketPushPublisher(redis_url), pipeline.push_publisher.emit_all

    def emit_all(client_events: Iterable[SocketPush]) -> None:
        events = list(client_events)
        record_push(events)
        publisher.emit_all(events)

    monkeypatch.setattr(pipeline.push_publisher, "emit_all", emit_all)


def test_toast_costs_two_messages_per_hop_and_batches_share_their_statements(
    pipeline: PipelineHarness, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.bridge.LEASE_RENEW_INTERVAL_SECONDS", 3600)
    _publish_pushes(pipeline, environment["REDIS_URL"], monkeypatch)
    ann, ben, cem, dan = pipeline.create_users("Ann", "Ben", "Cem", "Dan")
    ann.follow(ben)
    pipeline.run_until_idle()  # takes leases, creates the epoch, loads scripts

    ann.follow(cem)
    results: list[SqlRecord] = []
    records_before = _count_records(pipeline)
    commands = count_redis_commands(environment["REDIS_URL"], lambda: results.append(_run_workers(pipeline)))
    [sql] = results
    assert _count_records(pipeline) - records_before == TOAST_RECORDS
    assert [name for name, *_ in pipeline.push_publisher.client_events[-2:]] == [
        "notification",
        "unread_count",
    ]
    assert (len(sql.statements), sql.transaction_count) == (TOAST_ROUND_TRIPS, TOAST_TRANSACTIONS)
    assert commands["PUBLISH"] == 2
    assert commands.total() == TOAST_REDIS_COMMANDS

    for user in pipeline.create_users(*(f"User {n}" for n in range(40))):
        dan.follow(user)
    records_before = _count_records(pipeline)
    batch_sql = _run_workers(pipeline)
    assert _count_records(pipeline) - records_before == {name: 40 * n for name, n in TOAST_RECORDS.items()}
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


def _like_post(pipeline: PipelineHarness, like_count: int) -> None:
    pipeline.alice.create_post("Hello")
    post_id = pipeline.post_id_by_caption["Hello"]
    for user_id in create_users(pipeline.engine, like_count):
        pipeline.actions.set_like(user_id, post_id, DesiredState.ON, TRACEPARENT)


def test_bytes_of_likes_in_redis_and_kafka(pipeline: PipelineHarness) -> None:
    like_count = 1_000
    _like_post(pipeline, like_count)
    sizes = _redis_bytes(pipeline.redis)
    while pipeline.bridge.step() + pipeline.aggregator.step():
        pass
    sizes |= _redis_bytes(pipeline.redis)  # the larger of both
    records = pipeline.memory_kafka.records("low-priority-notifications")
    sizes["Kafka"] = sum(
        len(record.key) + len(record.value) + sum(len(name + value) for name, value in record.headers)
        for record in records
    )
    too_large = {
        name: size / like_count
        for name, size in sizes.items()
        if size / like_count > BYTES_PER_LIKE.get(name, MAX_OTHER_BYTES_PER_LIKE) * BYTES_ALLOWANCE
    }
    assert len(records) == like_count
    assert too_large == {}

    pipeline.clock.advance(WINDOW_AND_JITTER_SECONDS)
    pipeline.run_until_idle()
    assert _redis_bytes(pipeline.redis)["window"] == 0


def test_transactions_and_messages_of_ten_thousand_likes_of_a_post(pipeline: PipelineHarness) -> None:
    """From the ingress to the toasts of its owner."""
    _like_post(pipeline, LIKE_COUNT)
    instant_sql = _run_workers(pipeline)
    pipeline.clock.advance(WINDOW_AND_JITTER_SECONDS)
    closing_sql = _run_workers(pipeline)
    names = Counter(name for name, *_ in pipeline.push_publisher.client_events)
    assert pipeline.count_active_likes() == LIKE_COUNT
    assert instant_sql.transaction_count + closing_sql.transaction_count == PIPELINE_TRANSACTIONS
    assert +_count_records(pipeline) == PIPELINE_RECORDS
    assert names["notification"] == 4  # the first three likes and the end of the window
    assert names["unread_count"] == 2
    assert 0 < names["posts_changed"] <= PIPELINE_BATCHES


def test_live_count_is_one_message_and_one_encoded_packet_for_all_sockets(
    isolated_services: SharedServices,
    pipeline: PipelineHarness,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    local_sockets = build_local_sockets(isolated_services.settings, isolated_services.engine)
    local_sockets.socketio.init_app(Flask(__name__), async_mode="threading")
    server = local_sockets.socketio.server
    packets: list[tuple[str, object]] = []
    monkeypatch.setattr(server.eio, "send_packet", lambda *sent: packets.append(sent))
    live_counts = LivePostCounts(
        isolated_services.memberships,
        local_sockets.post_watchers,
        local_sockets.emit,
        lambda: 0.0,
        new_id,
    )
    pipeline.alice.create_post("Hello")
    connections = [f"connection-{n}" for n in range(100)]
    for connection in connections:
        sid = server.manager.connect(connection, "/")
        local_sockets.post_watchers.replace_list(sid, [pipeline.post_id_by_caption["Hello"]])
    for user in pipeline.create_users("Ann", "Ben", "Cem"):
        user.like("Hello")
    pipeline.bridge.step()
    pipeline.aggregator.step()
    isolated_services.memberships.read_post_counts(
        None, list(pipeline.post_id_by_caption.values())
    )  # connects

    [(name, payload, _)] = pipeline.push_publisher.client_events
    assert name == "posts_changed"
    live_counts.record_changes(payload)
    commands = count_redis_commands(environment["REDIS_URL"], live_counts.emit_due_counts)

    assert sorted(connection for connection, _ in packets) == sorted(connections)
    assert len({id(packet) for _, packet in packets}) == 1
    assert commands.total() == LIVE_COUNT_REDIS_COMMANDS
