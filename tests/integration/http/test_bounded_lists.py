"""Lists and counts cost the same however many rows there are: page numbers end, and counts stop."""

import re
from typing import Any

import pytest
from sqlalchemy import Engine, text

from app.bootstrap import SharedServices, new_id
from app.operations import database_viewer
from app.operations.database_viewer import TABLE_VIEWS, DatabaseViewer
from app.persistence.bounded_counts import MAX_LISTED_ROWS
from app.persistence.pages import PageRequest
from tests.support.api_user import ApiUser, alice
from tests.support.sql_recorder import record_sql

__all__ = ["alice"]
pytestmark = pytest.mark.service
_INSERT_POSTS = text("""
    insert into posts (id, user_id, caption, created_at)
    select uuidv7(), :user, 'Number ' || n, now() - n * interval '1 second' from generate_series(1, :rows) n
""")
_INSERT_NOTIFICATIONS = text("""
    insert into notifications (id, user_id, type, priority, object_id, version)
    select uuidv7(), :user, case when n % 2 = 0 then 'LIKE' else 'FOLLOW' end,
        case when n % 2 = 0 then 'LOW' else 'HIGH' end, uuidv7(), 1 from generate_series(1, :rows) n
""")
_FROM = re.compile(r"\bfrom\s+(\S+)")
_COUNT = re.compile(r"\bcount\s*\(", re.IGNORECASE)


@pytest.fixture
def isolated_engine(isolated_services: SharedServices) -> Engine:
    return isolated_services.engine


def _insert(engine: Engine, statement: Any, user_id: str, rows: int) -> None:
    with engine.begin() as conn:
        conn.execute(statement, {"user": user_id, "rows": rows})


def test_total_is_exact_up_to_the_rows_that_page_numbers_reach(
    isolated_engine: Engine, alice: ApiUser
) -> None:
    _insert(isolated_engine, _INSERT_POSTS, alice.id, MAX_LISTED_ROWS)
    page = alice("GET", "/api/posts?limit=50")["pagination"]
    assert (page["total"], page["totalPages"], page["totalIsExact"]) == (MAX_LISTED_ROWS, 20, True)

    _insert(isolated_engine, _INSERT_POSTS, alice.id, 100)

    for path in ("/api/posts?limit=50", f"/api/posts?limit=50&userId={alice.id}"):
        page = alice("GET", path)["pagination"]
        assert (page["total"], page["totalPages"], page["totalIsExact"]) == (MAX_LISTED_ROWS, 20, False)


def test_page_numbers_end_and_the_cursor_goes_on(isolated_engine: Engine, alice: ApiUser) -> None:
    _insert(isolated_engine, _INSERT_POSTS, alice.id, MAX_LISTED_ROWS + 10)
    last_page = alice("GET", "/api/posts?limit=50&page=20")
    refused = alice("GET", "/api/posts?limit=50&page=21")

    assert (len(last_page["posts"]), last_page["status"]) == (50, 200)
    assert (refused["status"], refused["code"]) == (400, "page_too_far")
    assert "cursor" in refused["error"]
    after_last = alice("GET", f"/api/posts?limit=50&cursor={last_page['nextCursor']}")
    assert [post["caption"] for post in after_last["posts"]] == [
        f"Number {number}" for number in range(MAX_LISTED_ROWS + 1, MAX_LISTED_ROWS + 11)
    ]


def test_notification_counts_stop_at_their_bounds(isolated_engine: Engine, alice: ApiUser) -> None:
    _insert(isolated_engine, _INSERT_NOTIFICATIONS, alice.id, MAX_LISTED_ROWS + 200)
    listed = alice("GET", f"/api/notifications/{alice.id}")["pagination"]
    highs = alice("GET", f"/api/notifications/{alice.id}?priority=HIGH")["pagination"]
    unread = alice("GET", f"/api/notifications/{alice.id}/unread-count")
    totals = alice("GET", f"/api/notifications/{alice.id}/totals")["types"]

    assert (listed["total"], listed["totalIsExact"], listed["hasMore"]) == (MAX_LISTED_ROWS, False, True)
    assert (highs["total"], highs["totalIsExact"]) == (600, True)
    assert (unread["count"], unread["breakdown"]) == (1_200, {"critical": 0, "high": 600, "low": 600})
    assert totals["LIKE"]["count"] + totals["FOLLOW"]["count"] == MAX_LISTED_ROWS


def test_table_totals_are_exact_then_estimated(
    isolated_engine: Engine, alice: ApiUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    _insert(isolated_engine, _INSERT_NOTIFICATIONS, alice.id, 300)
    viewer, view = DatabaseViewer(isolated_engine), TABLE_VIEWS["notification-history"]
    assert viewer.count_rows(view) == 300
    with isolated_engine.begin() as conn:
        conn.execute(text("analyze notifications"))

    monkeypatch.setattr(database_viewer, "MAX_COUNTED_ROWS", 100)

    assert viewer.count_rows(view) == 300
    assert viewer.count_users() == 1


def test_newest_rows_of_a_table_are_found_in_every_period(isolated_engine: Engine, alice: ApiUser) -> None:
    ages = ("1 minute", "5 hours", "9 days", "90 days")
    with isolated_engine.begin() as conn:
        for age in ages:
            params = {"user": alice.id, "age": age, "id": new_id(), "object": new_id()}
            conn.execute(
                text(
                    "insert into notifications (id, user_id, type, priority, object_id, version, title, "
                    "created_at) values (:id, :user, 'OTP', 'LOW', :object, 1, :age, "
                    "now() - cast(:age as interval))"
                ),
                params,
            )
    viewer, view = DatabaseViewer(isolated_engine), TABLE_VIEWS["notification-history"]

    first = viewer.list_newest_rows(view, PageRequest(2))
    rest = viewer.list_newest_rows(view, PageRequest(10, after_key=first.next_key))

    assert [row["title"] for row in (*first.items, *rest.items)] == list(ages)


def test_no_request_counts_all_rows_of_a_growing_table(isolated_engine: Engine, alice: ApiUser) -> None:
    post_id = alice.create_post("Hello")
    paths = [
        "/api/posts",
        f"/api/posts?userId={alice.id}",
        f"/api/posts/{post_id}",
        f"/api/posts/{post_id}/likes",
        f"/api/comments?postId={post_id}",
        f"/api/users/{alice.id}",
        "/api/users?q=alice",
        "/api/bookmarks",
        "/api/mutes",
        "/api/blocks",
        f"/api/follows/{alice.id}/followers",
        f"/api/follows/{alice.id}/following",
        f"/api/notifications/{alice.id}",
        f"/api/notifications/{alice.id}?unreadOnly=true&priority=LOW&type=LIKE",
        f"/api/notifications/{alice.id}/unread-count",
        f"/api/notifications/{alice.id}/grouped",
        f"/api/notifications/{alice.id}/totals",
        f"/api/notifications/{alice.id}/suppressed?actorId={alice.id}&postId={post_id}",
        "/api/admin/db/stats",
        *(f"/api/admin/db/{name}" for name in TABLE_VIEWS),
    ]
    with record_sql(isolated_engine) as sql:
        statuses = {path: alice("GET", path)["status"] for path in paths}

    assert statuses == dict.fromkeys(paths, 200)
    counting = [statement for statement in sql.statements if _COUNT.search(statement)]
    assert counting
    assert [statement for statement in counting if not _is_bounded(statement)] == []


def _is_bounded(statement: str) -> bool:
    """Every count is of a subquery with a limit."""
    after_counts = [statement[count.end() :].lower() for count in _COUNT.finditer(statement)]
    first_sources = [_FROM.search(after_count) for after_count in after_counts]
    return all(
        source and source[1].startswith("(select") and "limit" in after_count
        for source, after_count in zip(first_sources, after_counts, strict=True)
    )
