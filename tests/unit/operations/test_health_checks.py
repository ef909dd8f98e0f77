"""What measured figures mean: levels and hints. No services."""

from dataclasses import replace

import pytest

from app.domain.routing import Topic
from app.domain.worker_loops import LOOP_BY_CONSUMER_GROUP, WORKER_LOOPS
from app.operations.consumer_lag import ABSENT_GROUP, KafkaFigures
from app.operations.health.checks import (
    REQUIRED_REDIS_SETTINGS,
    check_failover,
    check_ingress,
    check_kafka,
    check_loops,
    check_redis_server,
    check_tables,
    check_windows,
)
from app.operations.health.postgres_figures import FailoverFigures, TableFigures
from app.operations.health.redis_figures import IngressShard, PipelineFigures, RedisServer
from app.operations.health.results import CheckLevel, CheckResult
from app.operations.heartbeats import Heartbeat
from app.operations.open_windows import WindowFigures
from app.operations.retention import CategoryProgress
from app.operations.retention_categories import RETENTION_CATEGORIES

SUITABLE_SETTINGS = {name: required for name, (required, _, _) in REQUIRED_REDIS_SETTINGS.items()}
EMPTY_TABLES = TableFigures(
    fallback_pending=0,
    fallback_failed=0,
    fallback_oldest_seconds=None,
    outbox_unpublished=0,
    outbox_oldest_seconds=None,
    mail_waiting=0,
    mail_oldest_seconds=None,
    mail_overdue_seconds=0.0,
    mail_deferred=0,
    mail_oldest_error=None,
    fan_outs_unfinished=0,
    fan_out_recipients_remaining=0,
    fan_outs_oldest_seconds=None,
    dead_letters_waiting=0,
    dead_letters_newest_reason=None,
    retention={},
)


def _result(results: list[CheckResult], stage: str, check: str = "") -> CheckResult:
    return next(item for item in results if item.stage == stage and check in item.check)


@pytest.mark.parametrize(
    ("count", "oldest", "level"),
    [
        pytest.param(0, None, CheckLevel.OK, id="empty"),
        pytest.param(9_000, 1.0, CheckLevel.OK, id="many but recent"),
        pytest.param(1, 5.1, CheckLevel.ERROR, id="one old entry"),
    ],
)
def test_backlog_is_judged_by_its_oldest_entry(count: int, oldest: float | None, level: CheckLevel) -> None:
    (shard,) = check_ingress(PipelineFigures({}, [IngressShard(0, "ingress:0", count, oldest)], {}))
    tables = check_tables(replace(EMPTY_TABLES, outbox_unpublished=count, outbox_oldest_seconds=oldest))

    assert (shard.level, _result(tables, "outbox").level) == (level, level)
    assert bool(shard.hint) is (level is CheckLevel.ERROR)


@pytest.mark.parametrize(
    ("pending", "failed", "oldest", "levels"),
    [
        pytest.param(0, 0, None, ("ok", "ok"), id="empty"),
        pytest.param(3, 0, 10.0, ("warning", "ok"), id="in use"),
        pytest.param(3, 0, 61.0, ("error", "ok"), id="not drained"),
        pytest.param(0, 2, None, ("ok", "error"), id="refused by Kafka"),
    ],
)
def test_fallback_queue_in_use_is_a_warning_until_it_is_old(
    pending: int, failed: int, oldest: float | None, levels: tuple[str, str]
) -> None:
    figures = replace(
        EMPTY_TABLES, fallback_pending=pending, fallback_failed=failed, fallback_oldest_seconds=oldest
    )
    results = check_tables(figures)

    assert (
        _result(results, "fallback", "backlog").level,
        _result(results, "fallback", "failed").level,
    ) == levels


@pytest.mark.parametrize(
    ("status", "seconds", "level"),
    [
        pytest.param(None, 0, CheckLevel.OK, id="before the first start"),
        pytest.param("normal", 9_000, CheckLevel.OK, id="normal"),
        pytest.param("failover", 2, CheckLevel.WARNING, id="short failover"),
        pytest.param("switching_back", 61, CheckLevel.ERROR, id="long failover"),
    ],
)
def test_redis_failover_that_lasts_too_long_is_an_error(
    status: str | None, seconds: float, level: CheckLevel
) -> None:
    (result,) = check_failover(FailoverFigures(status, seconds, "a test", None))

    assert result.level is level


@pytest.mark.parametrize(
    ("setting", "value", "refuses_writes"),
    [
        ("maxmemory-policy", "allkeys-lru", True),
        ("appendonly", "no", True),
        ("appendfsync", "everysec", False),
    ],
)
def test_redis_that_may_lose_writes_is_an_error(setting: str, value: str, refuses_writes: bool) -> None:
    server = RedisServer(SUITABLE_SETTINGS | {setting: value}, {"redis_version": "7.4.0"}, "ok")
    errors = [item for item in check_redis_server(server) if item.level is CheckLevel.ERROR]

    assert [(item.check, item.refuses_writes) for item in errors] == [(setting, refuses_writes)]


@pytest.mark.parametrize(
    ("info", "aof_status", "check"),
    [
        ({"redis_version": "6.2.14"}, "ok", "version"),
        ({"redis_version": "7.4.0"}, "err", "last write to disk"),
    ],
)
def test_old_redis_and_a_full_disk_are_errors(info: dict[str, str], aof_status: str, check: str) -> None:
    results = check_redis_server(RedisServer(SUITABLE_SETTINGS, info, aof_status))

    assert [item.check for item in results if item.level is CheckLevel.ERROR] == [check]


@pytest.mark.parametrize(
    ("figures", "level", "text"),
    [
        pytest.param(WindowFigures(0, 0, 0, None), CheckLevel.OK, "0", id="none"),
        pytest.param(WindowFigures(1, 0, 1, 45.0), CheckLevel.OK, "due in 45 s", id="not yet due"),
        pytest.param(WindowFigures(1, 0, 1, -2.0), CheckLevel.OK, "due in 0 s", id="due just now"),
        pytest.param(WindowFigures(1, 0, 1, -40.0), CheckLevel.ERROR, "overdue by 40 s", id="overdue"),
        pytest.param(WindowFigures(0, 1, 1, 25.0), CheckLevel.OK, "1 closing", id="claimed"),
    ],
)
def test_overdue_windows_are_an_error(figures: WindowFigures, level: CheckLevel, text: str) -> None:
    (result,) = check_windows(figures)

    assert (result.level, text in result.value) == (level, True)


@pytest.mark.parametrize(
    ("age_by_pid", "level"),
    [
        pytest.param({}, CheckLevel.ERROR, id="none"),
        pytest.param({"7": 1.0}, CheckLevel.OK, id="running"),
        pytest.param({"7": 40.0, "9": 0.5}, CheckLevel.OK, id="running next to an ended one"),
        pytest.param({"7": 40.0}, CheckLevel.ERROR, id="stopped"),
    ],
)
def test_loop_is_judged_by_its_newest_heartbeat(age_by_pid: dict[str, float], level: CheckLevel) -> None:
    results = check_loops([Heartbeat("bridge", pid, age, {}) for pid, age in age_by_pid.items()])

    assert _result(results, "workers", "bridge").level is level
    assert [item.check for item in results] == list(WORKER_LOOPS)
    for item in results:
        is_missing = item.level is CheckLevel.ERROR
        assert (f"python -m workers {WORKER_LOOPS[item.check].process} " in item.hint) is is_missing


def test_consumer_group_that_no_loop_reads_reports_the_process_to_start() -> None:
    groups = dict.fromkeys(LOOP_BY_CONSUMER_GROUP, ABSENT_GROUP)
    results = check_kafka(KafkaFigures([topic.value for topic in Topic], groups, []))

    for group, loop in LOOP_BY_CONSUMER_GROUP.items():
        assert f"python -m workers {loop.process} " in _result(results, "kafka", group).hint


@pytest.mark.parametrize(
    ("state", "members", "level"),
    [
        pytest.param("Stable", 2, CheckLevel.OK, id="stable"),
        pytest.param("PreparingRebalance", 1, CheckLevel.WARNING, id="rebalancing"),
        pytest.param("Empty", 0, CheckLevel.ERROR, id="no members"),
        pytest.param(*ABSENT_GROUP, CheckLevel.ERROR, id="unknown group"),
    ],
)
def test_consumer_group_without_members_is_an_error(state: str, members: int, level: CheckLevel) -> None:
    group = "low-priority-consumer"
    results = check_kafka(KafkaFigures([topic.value for topic in Topic], {group: (state, members)}, []))

    assert [item.level for item in results] == [CheckLevel.OK, level]


def test_missing_topic_is_an_error() -> None:
    (topics,) = check_kafka(KafkaFigures([topic.value for topic in Topic if topic != Topic.READY], {}, []))

    assert (topics.level, topics.value) == (CheckLevel.ERROR, f"missing: {Topic.READY.value}")


@pytest.mark.parametrize(
    ("overdue", "deferred", "level"),
    [
        pytest.param(0.0, 0, CheckLevel.OK, id="being sent"),
        pytest.param(0.0, 2, CheckLevel.WARNING, id="deferred by the server"),
        pytest.param(61.0, 0, CheckLevel.ERROR, id="overdue"),
    ],
)
def test_overdue_mail_is_an_error(overdue: float, deferred: int, level: CheckLevel) -> None:
    error = "450 4.1.2 at RCPT" if deferred else None
    figures = replace(
        EMPTY_TABLES, mail_overdue_seconds=overdue, mail_deferred=deferred, mail_oldest_error=error
    )
    result = _result(check_tables(figures), "mail")

    assert result.level is level
    assert ("450 4.1.2 at RCPT" in result.value) is bool(deferred)


def test_dead_letters_are_a_warning_only() -> None:
    figures = replace(EMPTY_TABLES, dead_letters_waiting=3, dead_letters_newest_reason="not JSON")

    assert _result(check_tables(figures), "dead letters").level is CheckLevel.WARNING


@pytest.mark.parametrize(
    ("seconds", "level"),
    [(None, CheckLevel.OK), (3600.0, CheckLevel.OK), (3 * 24 * 3600.0, CheckLevel.WARNING)],
)
def test_retention_that_ended_days_ago_is_a_warning(seconds: float | None, level: CheckLevel) -> None:
    progress = dict.fromkeys(RETENTION_CATEGORIES, CategoryProgress(5, None, seconds))

    assert _result(check_tables(replace(EMPTY_TABLES, retention=progress)), "retention").level is level
