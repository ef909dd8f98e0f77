"""S2: time to write 10,000 likes of one post, compared with other ways to write the same rows.

The window is filled by the product's script, then Flusher.step() is timed: claim, likes, counter, group
with its 10,000 actors, outbox, settle. The baselines write only the likes, into the same table.
"""

import gc
import time
from collections.abc import Callable
from itertools import count

from sqlalchemy import text

from app.aggregation.windows import OfferedEvent
from app.bootstrap import new_id
from app.domain.events import SEQ_PER_MS, Event, Kind
from app.domain.grouping import AnnounceWhen
from app.domain.windows import WindowDecision
from app.ingest.membership_kinds import POST_LIKES, USER_FOLLOWS
from app.persistence.event_writer import EventBatch, EventToWrite
from app.persistence.written_memberships import WrittenMemberships
from bench import write_baselines
from bench.harness import BenchHarness, without_autovacuum
from bench.results import (
    BenchmarkResult,
    Goal,
    Measurement,
    MeasurementsByVariant,
    Spread,
    measure_alternately,
    spread,
    throughput_ratio,
)
from bench.write_baselines import CONNECTION_COUNT, Likers
from harness.fixtures import create_posts, create_users
from workers.flusher import Flusher

LIKE_COUNT = 10_000
SMALL_LIKE_COUNT = 1_000
PRELOADED_LIKE_COUNT = 500_000
PARTITION = "bench:0"
MAX_TRANSACTIONS = 5
(
    FLUSHER_VARIANT,
    COPY_VARIANT,
    ONE_BY_ONE_VARIANT,
    CONCURRENT_VARIANT,
) = (
    "flusher: likes, group, client events",
    "COPY to a temporary table, INSERT",
    f"INSERT + UPDATE + commit, {SMALL_LIKE_COUNT:,} rows",
    f"the same from {CONNECTION_COUNT} connections",
)
_INSERT_PRELOADED_LIKES = """
    set session_replication_role = replica;
    insert into likes (post_id, user_id, seq)
    select p, u, 1 from unnest(%s::uuid[]) p, unnest(%s::uuid[]) u;
    set session_replication_role = default;
"""


def run_benchmark(harness: BenchHarness, rounds: int) -> BenchmarkResult:
    likers = _prepare_likers(harness)
    with without_autovacuum(harness.worker_services.services.engine):
        return _run_variants(likers, rounds)


def _run_variants(likers: Likers, rounds: int) -> BenchmarkResult:
    measure_by_variant: dict[str, Callable[[], Measurement]] = {
        FLUSHER_VARIANT: _flusher_measurement(likers),
        COPY_VARIANT: lambda: write_baselines.measure_write(
            likers, LIKE_COUNT, write_baselines.write_with_copy
        ),
        ONE_BY_ONE_VARIANT: lambda: write_baselines.measure_write(
            likers, SMALL_LIKE_COUNT, write_baselines.write_one_by_one
        ),
        CONCURRENT_VARIANT: lambda: write_baselines.measure_write(
            likers, SMALL_LIKE_COUNT, write_baselines.write_concurrently, use_gevent=True
        ),
    }
    for measure in measure_by_variant.values():
        measure()  # warm-up
    measurements = measure_alternately(measure_by_variant, rounds)
    benchmark_result = BenchmarkResult(
        "S2",
        f"{LIKE_COUNT:,} likes on one post into the tables",
        "rows/s",
        measurements,
        COPY_VARIANT,
    )
    flush_ms = spread([measurement.elapsed_seconds * 1000 for measurement in measurements[FLUSHER_VARIANT]])
    benchmark_result.goals = _goals(measurements, flush_ms)
    benchmark_result.notes = [
        f"{PRELOADED_LIKE_COUNT:,} likes in the table before the first round; a new post per measurement.",
        f"{SMALL_LIKE_COUNT:,} rows where each has its own statement; rates are comparable all the same.",
        "Transactions counted by PostgreSQL's ids; the flusher's include that of the instant likes.",
        "The flusher writes a like twice (its row, its actor in the group); the others once.",
    ]
    max_transactions = max(
        measurement.write_transactions or 0 for measurement in measurements[FLUSHER_VARIANT]
    )
    if max_transactions > MAX_TRANSACTIONS:
        benchmark_result.violations.append(
            f"{LIKE_COUNT:,} likes took {max_transactions} transactions, more than {MAX_TRANSACTIONS}"
        )
    return benchmark_result


def _goals(measurements: MeasurementsByVariant, flush_ms: Spread) -> list[Goal]:
    def ratio(baseline: str) -> Spread:
        return throughput_ratio(measurements[FLUSHER_VARIANT], measurements[baseline])

    return [
        Goal(f"flush of {LIKE_COUNT:,} in ms", flush_ms, 500, is_upper_bound=True),
        Goal("flusher / COPY", ratio(COPY_VARIANT), 0.5),
        Goal("flusher / one by one", ratio(ONE_BY_ONE_VARIANT), 20),
        Goal(
            f"flusher / {CONNECTION_COUNT} connections on the hot post",
            ratio(CONCURRENT_VARIANT),
            80,
        ),
    ]


def _prepare_likers(harness: BenchHarness) -> Likers:
    engine = harness.worker_services.services.engine
    user_ids = create_users(engine, LIKE_COUNT)
    [owner_id] = create_users(engine, 1)
    harness.worker_services.services.memberships.cache_loader.cache_as_empty(USER_FOLLOWS, owner_id, owner_id)
    preloaded_post_ids = create_posts(engine, owner_id, PRELOADED_LIKE_COUNT // LIKE_COUNT)
    likers = Likers(harness.environment["DATABASE_URL"], harness.worker_services, owner_id, user_ids)
    with write_baselines.connect(likers) as conn, conn.cursor() as cursor:
        cursor.execute(_INSERT_PRELOADED_LIKES, (preloaded_post_ids, user_ids))
    with write_baselines.connect(likers) as conn:
        conn.autocommit = True
        with conn.cursor() as cursor:
            cursor.execute("vacuum analyze")
            cursor.execute("checkpoint")
    return likers


def _flusher_measurement(likers: Likers) -> Callable[[], Measurement]:
    worker_services, services = likers.worker_services, likers.worker_services.services
    window_store = services.windows
    max_rows = services.settings.window_rules.flush_max_rows
    flusher = Flusher(
        window_store,
        worker_services.event_writer,
        services.comments,
        WrittenMemberships(services.redis),
        worker_services.dead_letters,
        max_rows,
        time.time,
    )
    gc.freeze()  # as workers/__main__.py does
    epoch, offsets = window_store.get_or_set_epoch(new_id()), count()

    def measure() -> Measurement:
        post_id, first_transaction_id = likers.create_post(), likers.next_transaction_id()
        offers = [_build_offer(likers, post_id, user_id, next(offsets)) for user_id in likers.user_ids]
        instant_events = []
        for start in range(0, LIKE_COUNT, 500):
            batch = offers[start : start + 500]
            decisions = window_store.gather_events(epoch, PARTITION, max_rows, batch)
            pairs = zip(batch, decisions, strict=True)
            instant_events += [
                EventToWrite(offer.event, AnnounceWhen.NOW)
                for offer, decision in pairs
                if decision is WindowDecision.INSTANT
            ]
        worker_services.event_writer.write(EventBatch(tuple(instant_events)))
        services.redis.hset(
            POST_LIKES.unwritten_key(post_id),
            mapping={str(offer.event.actor_id): f"{offer.event.seq} 1" for offer in offers},
        )
        started_at = time.perf_counter()
        closed_count = flusher.step()
        seconds = time.perf_counter() - started_at
        transactions = likers.next_transaction_id() - first_transaction_id
        if closed_count != 1:
            raise RuntimeError(f"the flusher closed {closed_count} windows instead of one")
        _require_complete_flush(likers, post_id)
        return Measurement(LIKE_COUNT - len(instant_events), seconds, write_transactions=transactions)

    return measure


def _build_offer(likers: Likers, post_id: str, user_id: str, offset: int) -> OfferedEvent:
    now_ms = int(time.time() * 1000)
    event = Event(
        event_id=new_id(),
        kind=Kind.LIKE,
        recipient_id=likers.owner_id,
        actor_id=user_id,
        object_type="POST",
        object_id=post_id,
        seq=now_ms * SEQ_PER_MS + offset % SEQ_PER_MS,
    )
    instant_quota = likers.worker_services.services.settings.window_rules.instant_likes
    return OfferedEvent(event, offset, instant_quota, now_ms)


def _require_complete_flush(likers: Likers, post_id: str) -> None:
    """Raises RuntimeError unless all rows, the counter and the actors were written."""
    query = text(
        "select (select count(*) from active_likes where post_id = :post), p.like_count, "
        "n.actor_count from posts p join notifications n on n.object_id = p.id where p.id = :post"
    )
    with likers.worker_services.services.engine.connect() as conn:
        counts = tuple(conn.execute(query, {"post": post_id}).one())
    if counts != (LIKE_COUNT, LIKE_COUNT, LIKE_COUNT):
        raise RuntimeError(f"after the flush rows, counter, actors are {counts}")
