"""Health: checks each stage of the pipeline. Reads only; no probe event enters a stream or a topic.

Input: Redis, PostgreSQL, Kafka, DynamoDB and the web process, whichever respond. Output: results made by
app/operations/health_checks.py, shown by app/operations/diagnose.py.
"""

import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis
from alembic.script import ScriptDirectory
from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from app.aggregation.windows import DUE_INDEX_KEY
from app.clients import postgres
from app.clients import redis as redis_store
from app.domain.errors import Unavailable
from app.domain.events import SEQ_PER_MS, seq_from_stream_id
from app.domain.routing import Topic
from app.ingest.ingress import ingress_key
from app.messaging.fallback_queue import FallbackQueue
from app.operations import health_checks
from app.operations.consumer_lag import (
    open_kafka_admin_client,
    read_consumer_group_states,
    read_partition_offsets,
)
from app.operations.health_checks import CheckLevel, CheckResult
from app.operations.heartbeats import Heartbeats
from app.operations.retention_categories import RETENTION_CATEGORIES
from app.operations.retention_progress import RetentionProgress
from app.persistence.delivery_log import TABLE_NAME, create_dynamodb_client
from app.settings import ToolSettings

MIGRATIONS_DIR = Path(__file__).resolve().parents[2] / "migrations"
MAX_WINDOWS = 10_000
RESTART_HINTS = {
    name: f"Embedded: python -m infra start {name}. Otherwise check its address in the settings."
    for name in ("redis", "postgres", "kafka", "dynamodb")
}
_OUTBOX_BACKLOG_QUERY = text(
    "select count(*), extract(epoch from now() - min(created_at)) from outbox where published_at is null"
)
_FALLBACK_AGE_QUERY = text(
    "select extract(epoch from now() - min(created_at)) from kafka_fallback_queue where not processed"
)
_FAILOVER_STATE_QUERY = text(
    "select state, extract(epoch from now() - changed_at), reason from redis_failover_state where "
    "name = 'ingress'"
)
# Only the oldest message of each recipient is due: later ones are sent after it.
_MAIL_BACKLOG_QUERY = text("""
    select count(*), extract(epoch from now() - min(h.due_at)),
        count(*) filter (where m.last_error is not null),
        (array_agg(m.last_error order by m.id) filter (where m.last_error is not null))[1]
    from outgoing_messages m left join (
        select distinct on (user_id, channel, critical) id, due_at from outgoing_messages
        where status = 'waiting' order by user_id, channel, critical, id
    ) h on h.id = m.id
    where m.status = 'waiting'
""")
_DEAD_LETTERS_QUERY = text(
    "select count(*) over (), reason from dead_letters where status = 'waiting' "
    "order by created_at desc limit 1"
)


def checks_by_service(settings: ToolSettings) -> dict[str, Callable[[], list[CheckResult]]]:
    """One check per service, so that one that hangs does not affect the others."""
    return {
        "web": lambda: check_web(settings.host, settings.port),
        "redis": lambda: _run_check_catching_errors("redis", check_redis, settings),
        "postgres": lambda: _run_check_catching_errors("postgres", check_postgres, settings),
        "kafka": lambda: _run_check_catching_errors("kafka", check_kafka, settings),
        "dynamodb": lambda: _run_check_catching_errors("dynamodb", check_dynamodb, settings),
    }


def _run_check_catching_errors(
    service: str, check: Callable[[ToolSettings], list[CheckResult]], settings: ToolSettings
) -> list[CheckResult]:
    try:
        return check(settings)
    except (Unavailable, redis.RedisError, SQLAlchemyError, BotoCoreError, ClientError) as exc:
        cause_name = type(exc.__cause__ or exc).__name__
        return [
            health_checks.unreachable_result(
                service, f"{exc} ({cause_name})".partition("\n")[0], RESTART_HINTS[service]
            )
        ]


def check_web(host: str, port: int) -> list[CheckResult]:
    host = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - compared, not bound
    netloc = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        with urllib.request.urlopen(f"http://{netloc}/ready", timeout=3) as response:
            return [CheckResult("web", "ready", f"{response.status} on {netloc}")]
    except urllib.error.HTTPError as exc:
        value = f"{exc.code} on {netloc}"
        return [CheckResult("web", "ready", value, CheckLevel.ERROR, "Its dependencies are checked below.")]
    except OSError as exc:
        hint = f"Start it: make run. On another port: make diagnose PORT={port + 1}."
        return [health_checks.unreachable_result("web", f"nothing on {netloc} ({type(exc).__name__})", hint)]


def check_redis(settings: ToolSettings) -> list[CheckResult]:
    connection = redis_store.create_redis_client(settings.service_urls.redis_url, max_connections=2)
    with redis_store.translate_errors("respond"):
        config = _read_required_config(connection)
        aof_write_status = str(connection.info("persistence").get("aof_last_write_status", "?"))
        seconds, micros = connection.time()
        now_ms = seconds * 1000 + micros // 1000
        shard_results = [
            _check_ingress_shard(connection, shard, now_ms)
            for shard in range(settings.limits.ingress_shards + 1)
        ]
        due_windows: Any = connection.zrange(DUE_INDEX_KEY, 0, MAX_WINDOWS - 1, withscores=True)
        return [
            health_checks.evaluate_redis_version(connection.info("server")),
            *health_checks.evaluate_redis_config(config),
            health_checks.evaluate_redis_disk_write(aof_write_status),
            *shard_results,
            health_checks.evaluate_windows(
                [(str(name), int(due_ms)) for name, due_ms in due_windows], now_ms
            ),
            *health_checks.evaluate_heartbeats(Heartbeats(connection).ages_seconds()),
        ]


def _read_required_config(connection: redis.Redis) -> dict[str, str]:
    config: dict[str, str] = {}
    for name in health_checks.REQUIRED_REDIS_CONFIG:  # one by one: Redis 6 accepts a single name
        reply: Any = connection.config_get(name)
        config |= reply
    return config


def _check_ingress_shard(connection: redis.Redis, shard: int, now_ms: int) -> CheckResult:
    stream_key = ingress_key(shard)
    first_entries: Any = connection.xrange(stream_key, count=1)
    oldest_seconds = (
        (now_ms - seq_from_stream_id(first_entries[0][0]) // SEQ_PER_MS) / 1000 if first_entries else None
    )
    result = CheckResult("ingress", stream_key, "", hint=health_checks.worker_start_hint("bridge"))
    return health_checks.evaluate_backlog(
        result,
        int(connection.xlen(stream_key)),
        oldest_seconds,
        health_checks.INGRESS_MAX_AGE_SECONDS,
    )


def check_postgres(settings: ToolSettings) -> list[CheckResult]:
    db_engine = postgres.create_pg_engine(settings.service_urls.database_url, application="diagnose")
    head_revision = ScriptDirectory(str(MIGRATIONS_DIR)).get_current_head()
    with postgres.translate_errors("respond"):
        with db_engine.connect() as conn:
            if conn.execute(text("select to_regclass('alembic_version')")).scalar() is None:
                return [health_checks.evaluate_migration(None, head_revision)]
            current_revision = conn.execute(text("select version_num from alembic_version")).scalar()
            if current_revision != head_revision:
                return [health_checks.evaluate_migration(current_revision, head_revision)]
            unpublished_count, oldest_outbox_seconds = conn.execute(_OUTBOX_BACKLOG_QUERY).one()
            oldest_fallback_seconds = conn.execute(_FALLBACK_AGE_QUERY).scalar()
            failover_row = conn.execute(_FAILOVER_STATE_QUERY).one_or_none() or (None, 0, "")
            mail_row = conn.execute(_MAIL_BACKLOG_QUERY).one()
            dead_letters_row = conn.execute(_DEAD_LETTERS_QUERY).one_or_none() or (0, None)
        pending_count, failed_count = FallbackQueue(
            db_engine, settings.limits.fallback_max_retries
        ).count_pending_and_failed()
    retention_result = _check_retention(RetentionProgress(db_engine))
    outbox_result = CheckResult("outbox", "unpublished", "", hint=health_checks.worker_start_hint("flusher"))
    fallback_result = CheckResult(
        "fallback", "backlog", "", hint="Kafka or the bridge is unavailable; see those."
    )
    return [
        health_checks.evaluate_migration(current_revision, head_revision),
        health_checks.evaluate_backlog(
            fallback_result,
            pending_count,
            _float_or_none(oldest_fallback_seconds),
            health_checks.FALLBACK_MAX_AGE_SECONDS,
        ),
        health_checks.evaluate_fallback_failures(failed_count),
        health_checks.evaluate_backlog(
            outbox_result,
            unpublished_count,
            _float_or_none(oldest_outbox_seconds),
            health_checks.OUTBOX_MAX_AGE_SECONDS,
        ),
        health_checks.evaluate_mail_backlog(
            mail_row[0], _float_or_none(mail_row[1]) or 0.0, mail_row[2], mail_row[3]
        ),
        health_checks.evaluate_redis_failover(failover_row[0], float(failover_row[1]), failover_row[2]),
        health_checks.evaluate_dead_letters(dead_letters_row[0], dead_letters_row[1]),
        retention_result,
    ]


def _check_retention(progress: RetentionProgress) -> CheckResult:
    progress_by_category = progress.read_by_category()
    ages = [
        category_progress.completed_seconds_ago
        for name in RETENTION_CATEGORIES
        if (category_progress := progress_by_category.get(name)) is not None
        and category_progress.completed_seconds_ago is not None
    ]
    return health_checks.evaluate_retention(
        sum(category_progress.deleted_count for category_progress in progress_by_category.values()),
        max(ages) if len(ages) == len(RETENTION_CATEGORIES) else None,
    )


def _float_or_none(value: Any) -> float | None:
    return None if value is None else float(value)


def check_kafka(settings: ToolSettings) -> list[CheckResult]:
    with open_kafka_admin_client(settings.service_urls.kafka_connection) as admin:
        groups = read_consumer_group_states(admin)
        partition_offsets = read_partition_offsets(admin, groups)
        results = [health_checks.evaluate_topics(admin.list_topics(), [topic.value for topic in Topic])]
    for name, (state, members) in groups.items():
        lag = sum(offset.lag for offset in partition_offsets if offset.group == name)
        results.append(health_checks.evaluate_consumer_group(name, state, members, lag))
    return results


def check_dynamodb(settings: ToolSettings) -> list[CheckResult]:
    service_urls = settings.service_urls
    client = create_dynamodb_client(service_urls.dynamodb_endpoint_url, service_urls.aws_region)
    try:
        table_status = client.describe_table(TableName=TABLE_NAME)["Table"]["TableStatus"]
    except client.exceptions.ResourceNotFoundException:
        hint = "The delivery log loop creates it. " + health_checks.worker_start_hint("deliverer")
        return [CheckResult("dynamodb", TABLE_NAME, "missing", CheckLevel.ERROR, hint)]
    return [CheckResult("dynamodb", TABLE_NAME, str(table_status).lower())]
