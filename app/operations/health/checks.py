"""The checks: what measured figures mean, and a hint on what to do. No I/O.

Each function takes what one query measured and returns its results (app/operations/health/report.py calls
them). /ready, /metrics, the dashboard and diagnose only show these.
"""

from collections.abc import Mapping, Sequence

from app.clients.redis_server_check import too_old_message
from app.domain.routing import Topic
from app.domain.worker_loops import LOOP_BY_CONSUMER_GROUP, WORKER_LOOPS, WorkerLoop
from app.operations.consumer_lag import KafkaFigures
from app.operations.health.postgres_figures import FailoverFigures, Migration, TableFigures
from app.operations.health.redis_figures import PipelineFigures, RedisServer
from app.operations.health.results import CheckResult, format_age, worker_start_hint
from app.operations.heartbeats import Heartbeat
from app.operations.open_windows import WindowFigures
from app.operations.retention import CategoryProgress
from app.operations.retention_categories import RETENTION_CATEGORIES
from app.persistence.delivery_log import TABLE_NAME

INGRESS_MAX_AGE_SECONDS = 5.0
OUTBOX_MAX_AGE_SECONDS = 5.0
FALLBACK_MAX_AGE_SECONDS = 60.0
"""Longer than a breaker stays open; the queue drains from its oldest row."""
FAILOVER_MAX_AGE_SECONDS = 60.0
"""A failback takes seconds once all services respond."""
FLUSH_MAX_DELAY_SECONDS = 15.0
"""The claim of a dead flusher expires after 6 s; then another flusher closes the window."""
MAIL_MAX_DELAY_SECONDS = 60.0
"""The claim of a dead mailer has expired by then."""
RETENTION_MAX_AGE_SECONDS = 2 * 24 * 3600.0
"""Longer than a round takes; a nightly purge is often enough."""
LOOPS_STAGE = "workers"
REQUIRED_REDIS_SETTINGS = {
    "maxmemory-policy": ("noeviction", "it may evict likes that are not persisted yet", True),
    "appendonly": ("yes", "a restart loses events that the bridge has not moved", True),
    "appendfsync": ("always", "a crash loses events accepted in the last second", False),
}
"""The required value, what happens otherwise, and whether writes are refused then."""


def check_web(status_and_netloc: tuple[int, str]) -> list[CheckResult]:
    status, netloc = status_and_netloc
    result = CheckResult("web", "ready", f"{status} on {netloc}")
    return [result.error_if(status != 200, "Its dependencies are checked below.")]


def check_redis_server(server: RedisServer) -> list[CheckResult]:
    """Whether Redis is new enough and persists what it acknowledges."""
    info, problem = server.info, too_old_message(server.info)
    name, version = (
        ("Valkey", info["valkey_version"]) if "valkey_version" in info else ("Redis", info["redis_version"])
    )
    results = [
        CheckResult("redis", "version", f"{name} {version}").error_if(
            problem is not None, str(problem), refuses_writes=True
        )
    ]
    for setting, (required, consequence, refuses_writes) in REQUIRED_REDIS_SETTINGS.items():
        value, hint = server.settings.get(setting, "?"), f"Set it to {required}, or {consequence}."
        result = CheckResult("redis", setting, value)
        results.append(result.error_if(value != required, hint, refuses_writes=refuses_writes))
    result = CheckResult("redis", "last write to disk", server.aof_write_status)
    hint = "The append-only file cannot be written: see the log of Redis and the disk."
    return [*results, result.error_if(server.aof_write_status != "ok", hint)]


def check_ingress(figures: PipelineFigures) -> list[CheckResult]:
    results = []
    for shard in figures.ingress:
        value = format_backlog(shard.length, shard.oldest_seconds)
        result = CheckResult("ingress", shard.key, value, pipeline_stage="bridge")
        is_late = (shard.oldest_seconds or 0.0) > INGRESS_MAX_AGE_SECONDS
        results.append(result.error_if(is_late, worker_start_hint("bridge")))
    return results


def format_backlog(count: int, oldest_seconds: float | None) -> str:
    return f"{count:,}" if oldest_seconds is None else f"{count:,}, oldest {format_age(oldest_seconds)}"


def check_windows(figures: WindowFigures) -> list[CheckResult]:
    """Open windows, and whether the first of them is overdue."""
    due_in_seconds = figures.first_due_in_seconds
    if due_in_seconds is None:
        return [CheckResult("windows", "open", "0", pipeline_stage="flusher")]
    is_overdue = due_in_seconds < -FLUSH_MAX_DELAY_SECONDS
    due = f"overdue by {format_age(-due_in_seconds)}"
    if not is_overdue:
        due = f"due in {format_age(max(0.0, due_in_seconds))}"
    value = f"{figures.open_count:,} open, {figures.closing_count:,} closing, the first is {due}"
    result = CheckResult("windows", "open", value, pipeline_stage="flusher")
    return [result.error_if(is_overdue, worker_start_hint("flusher"))]


def check_loops(heartbeats: Sequence[Heartbeat]) -> list[CheckResult]:
    """One result per loop of WORKER_LOOPS."""
    return [
        _check_loop(loop, [heartbeat for heartbeat in heartbeats if heartbeat.loop == loop.name])
        for loop in WORKER_LOOPS.values()
    ]


def _check_loop(loop: WorkerLoop, heartbeats: Sequence[Heartbeat]) -> CheckResult:
    """The last heartbeat of an ended process stays for a minute, so the youngest one counts."""
    alive = [f"pid {item.pid}: {format_age(item.age_seconds)} ago" for item in heartbeats if is_alive(item)]
    last = min((heartbeat.age_seconds for heartbeat in heartbeats), default=None)
    silent = "no heartbeat" if last is None else f"last heartbeat {format_age(last)} ago"
    value = ", ".join(alive) or silent
    result = CheckResult(LOOPS_STAGE, loop.name, value, pipeline_stage=loop.pipeline_stage)
    return result.error_if(not alive, worker_start_hint(loop.process))


def is_alive(heartbeat: Heartbeat) -> bool:
    loop = WORKER_LOOPS.get(heartbeat.loop)
    return loop is not None and heartbeat.age_seconds <= loop.max_heartbeat_age_seconds


def check_migration(migration: Migration) -> list[CheckResult]:
    current, head = migration.current_revision, migration.head_revision
    value = str(current) if current == head else f"{current or 'no tables yet'}, the code needs {head}"
    return [CheckResult("postgres", "migration", value).error_if(current != head, "Run make migrate.")]


def check_failover(failover: FailoverFigures) -> list[CheckResult]:
    """A short failover ends by itself; in a long one some writes are not applied."""
    if failover.status is None or failover.status == "normal":
        value = "through Redis" if failover.status else "never enabled yet"
        return [CheckResult("redis failover", "writes", value)]
    value = f"bypass Redis for {format_age(failover.seconds)}: {failover.reason}"
    hint = "Redis, Kafka, a priority topic or a window delays the failback: see those. "
    result = CheckResult("redis failover", "writes", value).error_if(
        failover.seconds >= FAILOVER_MAX_AGE_SECONDS, hint + worker_start_hint("flusher")
    )
    return [result.warning_if(True, "It ends by itself; check again soon.")]


def check_tables(figures: TableFigures) -> list[CheckResult]:
    """Backlogs that are in PostgreSQL, and the retention."""
    return [
        *_check_fallback(figures),
        _check_outbox(figures),
        _check_mail(figures),
        _check_dead_letters(figures),
        _check_retention(figures.retention),
    ]


def _check_fallback(figures: TableFigures) -> list[CheckResult]:
    value = format_backlog(figures.fallback_pending, figures.fallback_oldest_seconds)
    pending = CheckResult("fallback", "backlog", value, pipeline_stage="fallback")
    failed = CheckResult("fallback", "failed", f"{figures.fallback_failed:,}", pipeline_stage="fallback")
    is_late = (figures.fallback_oldest_seconds or 0.0) > FALLBACK_MAX_AGE_SECONDS
    pending = pending.error_if(is_late, "Kafka or the bridge is unavailable; see those.")
    hint = "They need an administrator: table kafka_fallback_queue, column last_error."
    return [
        pending.warning_if(figures.fallback_pending > 0, "It is in use while Kafka is unavailable."),
        failed.error_if(figures.fallback_failed > 0, hint),
    ]


def _check_outbox(figures: TableFigures) -> CheckResult:
    value = format_backlog(figures.outbox_unpublished, figures.outbox_oldest_seconds)
    result = CheckResult("outbox", "unpublished", value, pipeline_stage="relay")
    is_late = (figures.outbox_oldest_seconds or 0.0) > OUTBOX_MAX_AGE_SECONDS
    return result.error_if(is_late, worker_start_hint("flusher"))


def _check_mail(figures: TableFigures) -> CheckResult:
    value = f"{figures.mail_waiting:,} waiting, {figures.mail_deferred:,} of them deferred or not attempted"
    if figures.mail_oldest_error:
        value += f"; oldest: {figures.mail_oldest_error}"
    is_late = figures.mail_overdue_seconds > MAIL_MAX_DELAY_SECONDS
    if is_late:
        value += f"; one is overdue by {format_age(figures.mail_overdue_seconds)}"
    hint = "If the mail server and the SMS webhook respond, the mailer is not running. "
    result = CheckResult("mail", "outgoing messages", value, pipeline_stage="mail")
    result = result.error_if(is_late, hint + worker_start_hint("deliverer"))
    hint = "The mail server or the SMS webhook defers them; they are retried."
    return result.warning_if(figures.mail_deferred > 0, hint)


def _check_dead_letters(figures: TableFigures) -> CheckResult:
    """A warning only: they delay nothing, but someone should read the reasons."""
    count, newest_reason = figures.dead_letters_waiting, figures.dead_letters_newest_reason
    value = f"{count:,}, newest: {newest_reason}" if count else "0"
    result = CheckResult("dead letters", "waiting", value)
    return result.warning_if(count > 0, "See their reasons: table dead_letters.")


def _check_retention(progress_by_category: Mapping[str, CategoryProgress]) -> CheckResult:
    """The round is as old as the category that was completed first."""
    deleted_count = sum(progress.deleted_count for progress in progress_by_category.values())
    ages = [
        progress.completed_seconds_ago
        for name, progress in progress_by_category.items()
        if name in RETENTION_CATEGORIES and progress.completed_seconds_ago is not None
    ]
    is_complete = len(ages) == len(RETENTION_CATEGORIES)
    age = f"completed {format_age(max(ages))} ago" if is_complete else "not completed yet"
    result = CheckResult("retention", "last round", f"{deleted_count:,} rows deleted, {age}")
    hint = "Start it: python -m workers flusher, with RETENTION_INTERVAL_SECONDS above 0."
    return result.warning_if(is_complete and max(ages) > RETENTION_MAX_AGE_SECONDS, hint)


def check_kafka(figures: KafkaFigures) -> list[CheckResult]:
    """Topics and consumer groups. Lag is no error: in priority topics it includes events in open windows."""
    missing = sorted({topic.value for topic in Topic} - set(figures.topics))
    value = f"missing: {', '.join(missing)}" if missing else "all present"
    hint = "Each worker except the bridge creates them before its first step; see the logs."
    return [
        CheckResult("kafka", "topics", value).error_if(bool(missing), hint),
        *(
            _check_consumer_group(LOOP_BY_CONSUMER_GROUP[name], state, member_count, figures.lag_of(name))
            for name, (state, member_count) in figures.groups.items()
        ),
    ]


def _check_consumer_group(loop: WorkerLoop, state: str, member_count: int, lag: int) -> CheckResult:
    value = f"{state}, {member_count} member{'' if member_count == 1 else 's'}, lag {lag:,}"
    result = CheckResult("kafka", loop.consumer_group, value, pipeline_stage=loop.pipeline_stage)
    result = result.error_if(not member_count, worker_start_hint(loop.process))
    return result.warning_if(state != "Stable", "It is rebalancing; check again soon.")


def check_delivery_log(table_status: str | None) -> list[CheckResult]:
    """`table_status`: None if the table does not exist."""
    hint = "The delivery log loop creates it. " + worker_start_hint("deliverer")
    value = "missing" if table_status is None else table_status.lower()
    return [CheckResult("dynamodb", TABLE_NAME, value).error_if(table_status is None, hint)]
