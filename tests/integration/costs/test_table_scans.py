"""No request and no worker reads a growing table from end to end: each statement finds its rows by an index,
and so do the foreign keys and triggers behind it. Not noticed: a statement that reads another index of the
table from end to end, or skips through it."""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from app.bootstrap import SharedServices
from app.operations.retention import RetentionPurge
from app.persistence.profile_changes import ProfileChangeBroadcaster
from app.persistence.snoozes import SnoozedNotifications
from tests.support.api_routes import ApiRoute, api_routes, request_bodies
from tests.support.api_user import sign_in
from tests.support.filled_tables import fill_tables
from tests.support.mailer_harness import FailingTransport, create_mailer, send_all
from tests.support.pipeline_harness import PipelineHarness, PipelineUser
from tests.support.real_store_app import RouteTestData, auth_headers
from tests.support.real_store_app import app as app
from tests.support.real_store_app import app_services as app_services
from tests.support.real_store_app import route_data as route_data
from tests.support.table_scans import TableReads, record_table_reads

pytestmark = [pytest.mark.service, pytest.mark.slow]
SMALL_TABLES = {
    "alembic_version",  # one row
    "clear_watermarks",  # one row
    "epochs",  # one row
    "failover_affected_objects",  # empty but during a Redis failover, and then read as a whole
    "leases",  # a row per lease
    "profile_changes",  # a queue, empty as a rule
    "redis_failover_state",  # one row
    "redis_updates",  # a queue, empty as a rule
    "retention_progress",  # a row per category
}
MAX_ROWS_PER_PAGE = 300
COUNTS_WHOLE_TABLES = ("/api/admin/stats", "/api/admin/db/")
"""They count rows up to a bound, without a condition."""
WIPE = "DELETE /api/admin/db/clear"
"""Empties the tables."""


@pytest.fixture(scope="module")
def reads_of_app(app_services: SharedServices) -> Iterator[TableReads]:
    fill_tables(app_services.engine)
    with record_table_reads(app_services.engine, app_services.critical_engine) as reads:
        yield reads


@pytest.mark.parametrize("route", [route for route in api_routes() if str(route) != WIPE], ids=str)
def test_request_finds_its_rows_by_an_index(
    reads_of_app: TableReads,
    app_services: SharedServices,
    client: FlaskClient,
    route_data: RouteTestData,
    route: ApiRoute,
) -> None:
    # The caller who gets furthest: others are refused.
    caller = min(("owner", "other", "admin"), key=route.expected_status)
    reads_of_app.reset()

    response = client.open(
        route.path.format(**vars(route_data)),
        method=route.method,
        json=request_bodies(route_data).get(str(route)),
        headers=auth_headers(app_services, route_data, caller),
    )

    assert response.status_code != 500
    if not route.path.startswith(COUNTS_WHOLE_TABLES):
        assert _scanned_tables(reads_of_app) == set()


@pytest.mark.parametrize(
    "path",
    [
        "/api/posts/{p1}/likes",
        "/api/follows/{u2000}/followers",
        "/api/users/{u2000}",
    ],
)
def test_list_of_a_popular_post_or_user_reads_one_page(
    reads_of_app: TableReads, client: FlaskClient, shared_engine: Engine, path: str
) -> None:
    """Each has 2,000 likes or followers. The comments of a post are not read in pages."""
    with shared_engine.connect() as conn:
        ids = conn.execute(text("select md5('p1')::uuid::text as p1, md5('u2000')::uuid::text as u2000"))
        path = path.format(**ids.mappings().one())
    reads_of_app.reset()

    assert client.get(path).status_code == 200
    assert {table: rows for table, rows in reads_of_app.rows.items() if rows > MAX_ROWS_PER_PAGE} == {}


def test_page_finds_its_rows_by_an_index(
    reads_of_app: TableReads, app: Flask, client: FlaskClient, route_data: RouteTestData
) -> None:
    username = f"owner_{route_data.owner[-12:]}"
    values = {
        "username": username,
        "post_id": route_data.post,
        "event_id": route_data.unknown,
        "token": "unknown",
    }
    paths = {
        rule.rule.replace("<", "{").replace(">", "}").format(**values)
        for rule in app.url_map.iter_rules()
        if "GET" in (rule.methods or ()) and not rule.rule.startswith(("/api/", "/static/"))
    }
    sign_in(client, f"admin_{route_data.admin[-12:]}@example.org")
    scanned_tables: dict[str, set[str]] = {}
    for path in [*sorted(paths), "/search?q=owner", f"/notifications/not-told?person={username}"]:
        reads_of_app.reset()
        assert client.get(path).status_code != 500, path
        scanned_tables[path] = _scanned_tables(reads_of_app)
    assert {path: tables for path, tables in scanned_tables.items() if tables} == {}


def _scanned_tables(reads: TableReads) -> set[str]:
    return set(+reads.sequential_scans) - SMALL_TABLES


def test_workers_find_their_rows_by_an_index(pipeline: PipelineHarness) -> None:
    ann, ben = pipeline.create_users("Ann", "Ben")
    fill_tables(pipeline.engine)
    pipeline.execute("update kafka_fallback_queue set processed = true, processed_at = now()")
    mailer = create_mailer(
        pipeline.engine,
        {"EMAIL": FailingTransport(), "SMS": FailingTransport()},
        pipeline.clock.now,
        pipeline.record_stats,
    )
    steps: dict[str, Callable[[], object]] = {
        "actions": lambda: _act(pipeline, ann, ben),
        "bridge": pipeline.bridge.step,
        "aggregator": pipeline.aggregator.step,
        "other workers": pipeline.close_windows,
        "held and snoozed": lambda: pipeline.execute(
            "update notifications set deferred_until = created_at, snoozed_until = created_at "
            "where user_id = :alice",
            alice=pipeline.alice.id,
        ),
        "quiet hours": pipeline.quiet_hours_delivery.announce_due_rows,
        "snoozes": SnoozedNotifications(pipeline.engine, pipeline.clock.now).return_due_rows,
        "profile changes": ProfileChangeBroadcaster(pipeline.engine).step,
        "mailer": lambda: send_all(mailer),
        "retention": lambda: dict(RetentionPurge(pipeline.engine, 90).purge_by_category()),
        "account removal": lambda: pipeline.removals.delete_account(ann.id),
    }
    scanned_tables: dict[str, set[str]] = {}
    with record_table_reads(pipeline.engine) as reads:
        for name, step in steps.items():
            reads.reset()
            step()
            scanned_tables[name] = _scanned_tables(reads)
    assert {name: tables for name, tables in scanned_tables.items() if tables} == {}


def _act(pipeline: PipelineHarness, ann: PipelineUser, ben: PipelineUser) -> None:
    """Each kind of event, and what undoes it."""
    alice = pipeline.alice
    alice.set_preferences(email_enabled=True)
    ann.subscribe_to(alice)
    alice.create_post("Hello")
    for user in (ann, ben):
        user.follow(alice)
        user.like("Hello")
        comment_id = user.comment("Hello", f"Nice, @{alice.username}")
        alice.reply(comment_id, "Thanks")
    ben.unlike("Hello")
    ben.unfollow(alice)
    ben.delete_comment(comment_id)
    pipeline.actions.block_user(alice.id, ben.id)
    pipeline.execute("insert into profile_changes (user_id) values (:ann)", ann=ann.id)
