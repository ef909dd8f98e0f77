"""The admin API on real services: access, figures, windows, traces and the delivery log."""

import time
from contextlib import suppress
from typing import Any

import pytest
import redis
from sqlalchemy import Engine, text

from app.bootstrap import SharedServices, new_id
from app.clients.postgres import create_pg_engine
from app.domain.errors import Unavailable
from app.domain.worker_loops import PIPELINE_STAGES
from app.operations.pipeline_history import SAMPLE_INTERVAL_SECONDS
from app.persistence.delivery_log import DeliveryLog, build_delivery_log_item, create_dynamodb_client
from harness.waiting import wait_until
from tests.support.api_user import ApiUser, register_admin
from tests.support.api_user import admin as admin
from tests.support.fixtures import insert_sample_users, otp_event
from tests.support.isolated_app import build_application
from tests.support.pipeline_harness import USER_NAMES, PipelineHarness
from tests.support.pipeline_harness import pipeline as pipeline
from tests.support.pipeline_harness import worker_services as worker_services
from workers.builders import BUILDERS

pytestmark = pytest.mark.service


def test_revoked_role_is_effective_at_once(admin: ApiUser, engine: Engine) -> None:
    assert admin("GET", "/api/admin/stats")["status"] == 200
    with engine.begin() as conn:
        conn.execute(text("update users set role = 'user'"))
    assert admin("GET", "/api/admin/stats")["status"] == 403


def test_administrator_may_read_but_not_write_without_postgresql(
    isolated_services: SharedServices, admin: ApiUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert admin("GET", "/api/admin/pipeline")["status"] == 200
    unreachable_engine = create_pg_engine("postgresql://nobody@127.0.0.1:1/no")
    for method in ("connect", "begin"):
        monkeypatch.setattr(isolated_services.engine, method, getattr(unreachable_engine, method))

    pipeline = admin("GET", "/api/admin/pipeline")

    assert (pipeline["status"], set(pipeline["unavailable"])) == (200, {"postgres"})
    assert admin("POST", "/api/admin/windows/flush")["status"] == 503


def test_redis_figures_are_null_while_redis_is_unavailable(
    isolated_services: SharedServices, admin: ApiUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolated_services.redis, "connection_pool", redis.ConnectionPool(port=1))

    pipeline = admin("GET", "/api/admin/pipeline")

    stages = {stage["name"]: stage for stage in pipeline["stages"]}
    assert "redis" in pipeline["unavailable"]
    assert {stages["bridge"][name] for name in ("in", "out", "held", "failed")} == {None}
    assert stages["fallback"]["in"] == 0


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
    admin: ApiUser, pipeline: PipelineHarness, tab: str, columns: str
) -> None:
    ann = _announce_three_likes_and_gather_five(pipeline)
    ann.follow(pipeline.alice)
    ann.comment("Hello", "Nice one")
    pipeline.run_until_idle()
    pipeline.clock.advance(151)
    pipeline.run_until_idle()
    table = admin("GET", f"/api/admin/db/{tab}")
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
    admin: ApiUser, pipeline: PipelineHarness
) -> None:
    _announce_three_likes_and_gather_five(pipeline)
    report = admin("GET", "/api/admin/pipeline")
    assert [stage["name"] for stage in report["stages"]] == ["bridge", "fallback", *PIPELINE_STAGES[1:]]
    for stage in report["stages"]:
        assert stage["in"] == stage["out"] + stage["held"] + stage["failed"], stage
    flusher = report["stages"][3]
    assert (flusher["in"], flusher["held"], flusher["out"]) == (5, 5, 0)


def test_open_window_is_listed_and_closes_when_flushed(admin: ApiUser, pipeline: PipelineHarness) -> None:
    _announce_three_likes_and_gather_five(pipeline)
    (window,) = admin("GET", "/api/admin/windows")["items"]
    assert (window["recipient"], window["type"], window["object"], window["count"]) == (
        pipeline.alice.id,
        "LIKE",
        pipeline.post_id_by_caption["Hello"],
        5,
    )
    due_windows: Any = pipeline.redis.zrange("windows:due", 0, 9)
    pipeline.redis.zadd("windows:due", dict.fromkeys(due_windows, 4000000000000.0))
    assert admin("POST", "/api/admin/windows/flush")["flushed"] == 1
    pipeline.clock.unix_seconds = time.time() + 1
    pipeline.run_until_idle()
    assert admin("GET", "/api/admin/windows")["items"] == []
    assert pipeline.alice.toast_messages[-1].endswith("4 others liked your post")


def test_trace_of_an_unknown_event_is_404(admin: ApiUser) -> None:
    assert admin("GET", f"/api/admin/trace/{new_id()}")["status"] == 404


def _has_created_table(log: DeliveryLog) -> bool:
    """DynamoDB Local may answer late on a busy machine."""
    with suppress(Unavailable):
        log.create_table()
        return True
    return False


def test_delivery_log_lists_the_newest_entries_of_a_user(admin: ApiUser, environment: dict[str, str]) -> None:
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
    first = admin("GET", f"/api/admin/delivery-log?userId={user}&limit=2")
    assert [entry["seq"] for entry in first["entries"]] == [3, 2]
    assert first["entries"][0]["channels"] == ["PUSH"]
    rest = admin("GET", f"/api/admin/delivery-log?userId={user}&limit=2&cursor={first['nextCursor']}")
    assert ([entry["seq"] for entry in rest["entries"]], rest["nextCursor"]) == ([1], None)


def test_unavailable_delivery_log_is_503(
    environment: dict[str, str], engine: Engine, real_redis: redis.Redis
) -> None:
    with build_application(environment | {"DYNAMODB_ENDPOINT_URL": "http://127.0.0.1:1"}) as application:
        admin = register_admin(application.flask_app, engine)
        assert admin("GET", f"/api/admin/delivery-log?userId={new_id()}")["status"] == 503


def test_history_of_the_pipeline_has_the_samples_of_the_worker_loop(
    admin: ApiUser, pipeline: PipelineHarness
) -> None:
    _announce_three_likes_and_gather_five(pipeline)
    loop = BUILDERS["pipeline-history"](pipeline.worker_services)
    loop.step()
    loop.step()

    # One connection of its own, whose statements end by themselves.
    assert pipeline.query(
        "select count(*) from pg_stat_activity where datname = current_database() "
        "and application_name = 'notifications-pipeline-history'"
    ) == [(1,)]
    loop.close()
    history = admin("GET", "/api/admin/pipeline/history")

    (sample,) = history["samples"]
    assert history["intervalSeconds"] == SAMPLE_INTERVAL_SECONDS
    assert sample["stages"]["flusher"] == {"out": 0, "held": 5, "lag": 5, "failed": 0}
    assert sample["stages"]["fallback"] == {"out": None, "held": 0, "lag": 0, "failed": None}
    assert set(sample["stages"]) == {stage["name"] for stage in admin("GET", "/api/admin/pipeline")["stages"]}


def test_history_is_empty_and_stale_while_redis_is_unavailable(
    isolated_services: SharedServices, admin: ApiUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolated_services.redis, "connection_pool", redis.ConnectionPool(port=1))

    history = admin("GET", "/api/admin/pipeline/history")

    assert (history["status"], history["samples"], history["stale"]) == (200, [], True)


def test_mail_is_listed_by_status_without_addresses_and_texts(
    admin: ApiUser, pipeline: PipelineHarness
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

    everything = admin("GET", "/api/admin/mail?limit=100")["items"]
    first_page = admin("GET", "/api/admin/mail?limit=1")
    rest = admin("GET", f"/api/admin/mail?limit=100&cursor={first_page['nextCursor']}")["items"]

    assert [message["id"] for message in everything] == sorted(
        (item["id"] for item in everything), reverse=True
    )
    assert first_page["items"] + rest == everything
    (failed,) = admin("GET", "/api/admin/mail?status=failed")["items"]
    assert (failed["type"], failed["lastError"], failed["recipientId"]) == (
        "OTP",
        "no such mailbox",
        sample_users.alice_id,
    )
    assert len(admin("GET", "/api/admin/mail?status=waiting")["items"]) == len(everything) - 1
    assert "@" not in str(everything)
    assert "123456" not in str(everything)
    assert admin("GET", "/api/admin/mail?status=lost")["status"] == 400
