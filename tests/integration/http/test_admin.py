"""The admin API on real services: access, figures, windows, traces and the delivery log."""

import time
from contextlib import suppress
from typing import Any

import pytest
import redis
from sqlalchemy import Engine, text

from app.bootstrap import SharedServices, build_shared_services, new_id
from app.clients.postgres import create_pg_engine
from app.domain.errors import Unavailable
from app.domain.worker_loops import PIPELINE_STAGES, WORKER_LOOPS
from app.operations.heartbeats import Heartbeats
from app.operations.pipeline_history import SAMPLE_INTERVAL_SECONDS
from app.persistence.delivery_log import DeliveryLog, build_delivery_log_item, create_dynamodb_client
from app.settings import load_settings
from app.web import WebApplication
from harness.waiting import wait_until
from tests.support.admin_api import AdminApiUser
from tests.support.admin_api import admin as admin
from tests.support.fixtures import insert_sample_users, otp_event
from tests.support.pipeline_harness import USER_NAMES, PipelineHarness
from tests.support.pipeline_harness import pipeline as pipeline
from tests.support.pipeline_harness import worker_services as worker_services
from tests.support.web_application import create_web_application
from workers.builders import BUILDERS

pytestmark = pytest.mark.service


def _create_web_application(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, mode: str
) -> WebApplication:
    for name, value in (environment | {"APP_MODE": mode}).items():
        monkeypatch.setenv(name, value)
    return create_web_application(build_shared_services(load_settings()))


def test_revoked_role_is_effective_at_once(admin: AdminApiUser, engine: Engine) -> None:
    assert admin("GET /stats")["status"] == 200
    with engine.begin() as conn:
        conn.execute(text("update users set role = 'user'"))
    assert admin("GET /stats")["status"] == 403


def test_administrator_may_read_but_not_write_without_postgresql(
    isolated_services: SharedServices, admin: AdminApiUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert admin("GET /pipeline")["status"] == 200
    unreachable_engine = create_pg_engine("postgresql://nobody@127.0.0.1:1/no")
    for method in ("connect", "begin"):
        monkeypatch.setattr(isolated_services.engine, method, getattr(unreachable_engine, method))

    pipeline = admin("GET /pipeline")

    assert (pipeline["status"], set(pipeline["unavailable"])) == (200, {"postgres"})
    assert admin("POST /windows/flush")["status"] == 503


def test_redis_figures_are_null_while_redis_is_unavailable(
    isolated_services: SharedServices, admin: AdminApiUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolated_services.redis, "connection_pool", redis.ConnectionPool(port=1))

    pipeline = admin("GET /pipeline")

    stages = {stage["name"]: stage for stage in pipeline["stages"]}
    assert "redis" in pipeline["unavailable"]
    assert {stages["bridge"][name] for name in ("in", "out", "held", "failed")} == {None}
    assert stages["fallback"]["in"] == 0


def test_stats_have_the_documented_shape(admin: AdminApiUser) -> None:
    assert admin("GET /stats")["stats"] == {
        "users": 1,
        "notifications": {"total": 0},
        "system": {"fallbackQueue": {"pending": 0, "failed": 0}},
    }


@pytest.mark.parametrize(
    ("tab", "columns"),
    [
        (
            "notification-history",
            "id userId type priority actorName isAggregated aggregatedCount title message isRead "
            "deliveryStatus createdAt",
        ),
        ("likes", "id postId userId createdAt"),
        ("comments", "id postId userId content createdAt"),
        ("follows", "id followerId followingId createdAt"),
    ],
)
def test_rows_of_the_database_viewer_have_the_documented_columns_in_order(
    admin: AdminApiUser, pipeline: PipelineHarness, tab: str, columns: str
) -> None:
    ann = _announce_three_likes_and_gather_five(pipeline)
    ann.follow(pipeline.alice)
    ann.comment("Hello", "Nice one")
    pipeline.run_until_idle()
    pipeline.clock.advance(151)
    pipeline.run_until_idle()
    table = admin(f"GET /db/{tab}")
    assert list(table["data"][0]) == columns.split()
    assert table["total"] == len(table["data"])


def _announce_three_likes_and_gather_five(pipeline: PipelineHarness) -> Any:
    pipeline.alice.create_post("Hello")
    people = pipeline.create_users(*USER_NAMES)
    for person in people:
        person.like("Hello")
    pipeline.run_until_idle()
    return people[0]


def test_input_of_each_stage_equals_the_sum_of_its_outcomes(
    admin: AdminApiUser, pipeline: PipelineHarness
) -> None:
    _announce_three_likes_and_gather_five(pipeline)
    report = admin("GET /pipeline")
    assert [stage["name"] for stage in report["stages"]] == ["bridge", "fallback", *PIPELINE_STAGES[1:]]
    for stage in report["stages"]:
        assert stage["in"] == stage["out"] + stage["held"] + stage["failed"], stage
    flusher = report["stages"][3]
    assert (flusher["in"], flusher["held"], flusher["out"]) == (5, 5, 0)


def test_loop_without_heartbeat_is_reported_missing(admin: AdminApiUser, pipeline: PipelineHarness) -> None:
    for loop in WORKER_LOOPS:
        if loop not in ("redis-failback", "mailer"):
            Heartbeats(pipeline.redis).record_heartbeat(loop)

    assert admin("GET /pipeline")["missingLoops"] == ["redis-failback", "mailer"]


def test_open_window_is_listed_and_closes_when_flushed(
    admin: AdminApiUser, pipeline: PipelineHarness
) -> None:
    _announce_three_likes_and_gather_five(pipeline)
    (window,) = admin("GET /windows")["items"]
    assert (window["recipient"], window["type"], window["object"], window["count"]) == (
        pipeline.alice.id,
        "LIKE",
        pipeline.post_id_by_caption["Hello"],
        5,
    )
    due_windows: Any = pipeline.redis.zrange("windows:due", 0, 9)
    pipeline.redis.zadd("windows:due", dict.fromkeys(due_windows, 4000000000000.0))
    assert admin("POST /windows/flush")["flushed"] == 1
    pipeline.clock.unix_seconds = time.time() + 1
    pipeline.run_until_idle()
    assert admin("GET /windows")["items"] == []
    assert pipeline.alice.toast_messages[-1].endswith("4 others liked your post")


def test_trace_of_a_gathered_like_lists_its_steps(admin: AdminApiUser, pipeline: PipelineHarness) -> None:
    _announce_three_likes_and_gather_five(pipeline)
    pipeline.clock.advance(151)
    pipeline.run_until_idle()
    event_ids = [
        str(event_id) for (event_id,) in pipeline.query("select event_id::text from notification_actors")
    ]
    for event_id in event_ids:
        steps = admin(f"GET /trace/{event_id}")["steps"]
        names = [step["name"] for step in steps]
        assert {"accepted", "published", "aggregated", "written", "announced"} <= set(names)
        assert all("at" in step for step in steps)
        assert names.index("announced") > names.index("published")
    assert sum("closed" in str(admin(f"GET /trace/{event_id}")) for event_id in event_ids) == 5


def test_trace_of_an_unknown_event_is_404(admin: AdminApiUser) -> None:
    assert admin(f"GET /trace/{new_id()}")["status"] == 404


def _has_created_table(log: DeliveryLog) -> bool:
    """DynamoDB Local may answer late on a busy machine."""
    with suppress(Unavailable):
        log.create_table()
        return True
    return False


def test_delivery_log_lists_the_newest_entries_of_a_user(
    admin: AdminApiUser, environment: dict[str, str]
) -> None:
    log = DeliveryLog(create_dynamodb_client(environment["DYNAMODB_ENDPOINT_URL"], "us-east-1"))
    wait_until(lambda: _has_created_table(log), "the table of DynamoDB", 60)
    user = new_id()
    ready_records = [
        {
            "id": n,
            "targetId": user,
            "clientEvent": "notification",
            "seq": n,
            "at": f"2026-06-01T10:00:0{n}.000Z",
            "data": {"id": new_id(), "version": n, "metadata": {"channels": ["PUSH"]}},
        }
        for n in (1, 2, 3)
    ]
    log.append([build_delivery_log_item(record, time.time()) for record in ready_records])
    first = admin(f"GET /delivery-log?userId={user}&limit=2")
    assert [entry["seq"] for entry in first["entries"]] == [3, 2]
    assert first["entries"][0]["channels"] == ["PUSH"]
    rest = admin(f"GET /delivery-log?userId={user}&limit=2&cursor={first['nextCursor']}")
    assert ([entry["seq"] for entry in rest["entries"]], rest["nextCursor"]) == ([1], None)


def test_unavailable_delivery_log_is_503(
    environment: dict[str, str],
    engine: Engine,
    real_redis: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    environment = environment | {"DYNAMODB_ENDPOINT_URL": "http://127.0.0.1:1"}
    application = _create_web_application(environment, monkeypatch, "testing")
    admin = AdminApiUser(application.flask_app, engine)
    assert admin(f"GET /delivery-log?userId={new_id()}")["status"] == 503


def test_code_is_redacted_for_administrators(admin: AdminApiUser, pipeline: PipelineHarness) -> None:
    sample_users = insert_sample_users(pipeline.engine)
    pipeline.worker_services.services.actions.publish_event(otp_event(sample_users, 1))
    pipeline.run_until_idle()
    assert "123456" not in str(admin("GET /db/notification-history"))


def test_history_of_the_pipeline_has_the_samples_of_the_worker_loop(
    admin: AdminApiUser, pipeline: PipelineHarness
) -> None:
    _announce_three_likes_and_gather_five(pipeline)
    step = BUILDERS["cache-eviction"](pipeline.worker_services).step
    step()
    step()

    history = admin("GET /pipeline/history")

    (sample,) = history["samples"]
    assert history["intervalSeconds"] == SAMPLE_INTERVAL_SECONDS
    assert sample["stages"]["flusher"] == {"out": 0, "held": 5, "lag": 5, "failed": 0}
    assert set(sample["stages"]) == {stage["name"] for stage in admin("GET /pipeline")["stages"]}


def test_history_is_empty_and_stale_while_redis_is_unavailable(
    isolated_services: SharedServices, admin: AdminApiUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolated_services.redis, "connection_pool", redis.ConnectionPool(port=1))

    history = admin("GET /pipeline/history")

    assert (history["status"], history["samples"], history["stale"]) == (200, [], True)


def test_mail_is_listed_by_status_without_addresses_and_texts(
    admin: AdminApiUser, pipeline: PipelineHarness
) -> None:
    sample_users = insert_sample_users(pipeline.engine)
    for number in range(3):
        pipeline.actions.publish_event(otp_event(sample_users, number))
    pipeline.run_until_idle()
    with pipeline.engine.begin() as conn:
        conn.execute(
            text(
                "update outgoing_messages set status = 'failed', last_error = 'no such mailbox' "
                "where id = (select min(id) from outgoing_messages)"
            )
        )

    everything = admin("GET /mail?limit=100")["items"]
    first_page = admin("GET /mail?limit=1")
    rest = admin(f"GET /mail?limit=100&cursor={first_page['nextCursor']}")["items"]

    assert [message["id"] for message in everything] == sorted(
        (item["id"] for item in everything), reverse=True
    )
    assert first_page["items"] + rest == everything
    (failed,) = admin("GET /mail?status=failed")["items"]
    assert (failed["type"], failed["lastError"], failed["recipientId"]) == (
        "OTP",
        "no such mailbox",
        sample_users.alice_id,
    )
    assert len(admin("GET /mail?status=waiting")["items"]) == len(everything) - 1
    assert "@" not in str(everything)
    assert "123456" not in str(everything)
    assert admin("GET /mail?status=lost")["status"] == 400
