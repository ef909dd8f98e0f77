"""Status of notifications over HTTP: seen, unread, archived, deleted; groups and explanations."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from app.delivery.history import ClientEventHistory, ResumePoint
from app.domain.events import SEQ_PER_MS
from app.social.notifications import _EXPLAIN_ACTORS, _EXPLAIN_NEWEST_ACTOR, MAX_GROUPED
from tests.support.api_user import ApiUser, alice, bob, insert_notification
from tests.support.fixtures import insert_users

__all__ = ["alice", "bob"]
pytestmark = pytest.mark.service


def listed(user: ApiUser) -> list[Any]:
    return list(user("GET", f"/api/notifications/{user.id}")["notifications"])


def unread(user: ApiUser) -> int:
    return int(user("GET", f"/api/notifications/{user.id}/unread-count")["count"])


def test_notification_marked_as_seen_stays_unread(engine: Engine, alice: ApiUser) -> None:
    for seq in (1, 2, 3):
        insert_notification(engine, alice.id, seq)
    response = alice("PATCH", f"/api/notifications/{alice.id}/seen", {"upTo": 2})
    assert response["updatedCount"] == 2
    assert [bool(row["seenAt"]) for row in sorted(listed(alice), key=_created)] == [
        True,
        True,
        False,
    ]
    assert unread(alice) == 3


def _created(row: Any) -> Any:
    return row["createdAt"]


def test_deleted_notification_is_not_found(engine: Engine, alice: ApiUser) -> None:
    row_id = insert_notification(engine, alice.id, 1)
    assert alice("DELETE", f"/api/notifications/{row_id}")["message"] == "Notification deleted"
    assert alice("DELETE", f"/api/notifications/{row_id}")["status"] == 404
    assert (listed(alice), unread(alice)) == ([], 0)


def test_grouped_list_has_counts_by_type(engine: Engine, alice: ApiUser) -> None:
    first = insert_notification(engine, alice.id, 1)
    insert_notification(engine, alice.id, 2)
    alice("PATCH", f"/api/notifications/{first}/read")
    response = alice("GET", f"/api/notifications/{alice.id}/grouped")
    assert [len(rows) for rows in response["grouped"].values()] == [2]
    [stats] = response["stats"]
    assert (stats["type"], stats["count"], stats["unread"]) == ("LIKE", 2, 1)
    assert stats["latest"].endswith("Z")
    totals = alice("GET", f"/api/notifications/{alice.id}/totals")
    assert totals["types"] == {"LIKE": {"count": 2, "unread": 1}}


def test_explanation_has_the_topic_the_actors_and_the_steps(
    engine: Engine, alice: ApiUser, bob: ApiUser
) -> None:
    row_id = insert_notification(engine, alice.id, 1)
    with engine.begin() as conn:
        conn.execute(
            text(
                "insert into notification_actors (notification_id, actor_id, event_id, seq, "
                "is_follower, announced) "
                "values (:row, :bob, :row, 1780000000000 * 1024, true, true)"
            ),
            {"row": row_id, "bob": bob.id},
        )
        conn.execute(
            text(
                "update outbox set payload = jsonb_build_object('id', cast(:row as text), "
                "'version', 1, 'metadata', jsonb_build_object('newCount', 1))"
            ),
            {"row": row_id},
        )
    explanation = alice("GET", f"/api/notifications/{row_id}/why")
    assert explanation["lane"]["topic"] == "high-priority-notifications"
    assert explanation["lane"]["because"] == "A follower is among them"
    assert [(actor["id"], actor["follower"]) for actor in explanation["actors"]] == [(bob.id, True)]
    assert [step["name"] for step in explanation["steps"]] == ["accepted", "written", "announcement"]


def _join(engine: Engine, row_id: str, actor_count: int) -> list[str]:
    """Adds users to the group, one a second from midnight, written two minutes later."""
    user_ids = insert_users(engine, *(f"P{number}" for number in range(actor_count)))
    with engine.begin() as conn:
        conn.execute(
            text(
                "insert into notification_actors (notification_id, actor_id, event_id, seq, announced, "
                "created_at) select :row, a.id, uuidv7(), (1779926400 + a.number) * 1000 * 1024, true, "
                "to_timestamp(1779926400 + a.number + 120) "
                "from unnest(cast(:ids as uuid[])) with ordinality as a (id, number)"
            ),
            {"row": row_id, "ids": user_ids},
        )
        conn.execute(text("update notifications set actor_count = :count"), {"count": actor_count})
    return user_ids


def test_explanation_has_at_most_six_lines_with_names_in_the_time_zone_of_the_reader(
    engine: Engine, alice: ApiUser
) -> None:
    row_id = insert_notification(engine, alice.id, 1)
    _join(engine, row_id, 4)

    lines = alice("GET", f"/api/notifications/{row_id}/why?timeZone=Europe/Berlin")["lines"]

    assert lines[0].startswith("P3, at 02:00 on 28 May, was the last of 4 people who liked your post.")
    assert lines[1].startswith("It was the 4th like in ")
    assert lines[1].endswith("so it waited for the window until 02:02 on 28 May.")
    assert lines[-1] == "Your settings: in-app off, e-mail off, SMS off."
    assert len(lines) <= 6
    unknown_zone = alice("GET", f"/api/notifications/{row_id}/why?timeZone=Nowhere")["lines"]
    assert "00:00 on 28 May UTC" in unknown_zone[0]


def test_explanation_of_ten_thousand_likes_reads_few_of_them(engine: Engine, alice: ApiUser) -> None:
    row_id = insert_notification(engine, alice.id, 1)
    _join(engine, row_id, 10_000)
    with engine.begin() as conn:
        conn.execute(text("analyze notification_actors"))
    lines = alice("GET", f"/api/notifications/{row_id}/why")["lines"]
    assert "10,000 people" in lines[0]
    assert lines[1].startswith("It was the 100th or later like")

    params = {"id": row_id, "user": alice.id, "limit": MAX_GROUPED, "window_seqs": 120_000 * SEQ_PER_MS}
    for statement in (_EXPLAIN_ACTORS, _EXPLAIN_NEWEST_ACTOR):
        explained = text(f"explain (analyze, timing off, format json) {statement.text}")
        with engine.connect() as conn:
            (plan,) = conn.execute(explained, params | {"max_position": 100}).scalars().all()
        assert 0 < _rows_read(plan[0]["Plan"], "notification_actors") < 500


def _rows_read(node: dict[str, Any], table: str) -> int:
    own_rows = node["Actual Rows"] * node["Actual Loops"] if node.get("Relation Name") == table else 0
    return own_rows + sum(_rows_read(child, table) for child in node.get("Plans", []))


def test_archived_notification_is_hidden_until_it_is_restored(engine: Engine, alice: ApiUser) -> None:
    row_id = insert_notification(engine, alice.id, 1)
    archived = alice("PATCH", f"/api/notifications/{row_id}/archive")["notification"]
    assert archived["archivedAt"]
    assert (listed(alice), unread(alice)) == ([], 0)
    back = alice("PATCH", f"/api/notifications/{row_id}/unarchive")["notification"]
    assert (back["archivedAt"], back["version"]) == (None, 3)
    assert ([row["id"] for row in listed(alice)], unread(alice)) == ([row_id], 1)


def test_archived_notification_without_actors_is_not_restored(engine: Engine, alice: ApiUser) -> None:
    row_id = insert_notification(engine, alice.id, 1)
    alice("PATCH", f"/api/notifications/{row_id}/archive")
    with engine.begin() as conn:
        conn.execute(text("update notifications set actor_count = 0"))
    alice("PATCH", f"/api/notifications/{row_id}/unarchive")
    assert listed(alice) == []


def test_snoozed_notification_is_listed_only_as_snoozed(engine: Engine, alice: ApiUser) -> None:
    row_id, other_id = insert_notification(engine, alice.id, 1), insert_notification(engine, alice.id, 2)
    until = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)
    snoozed = alice("POST", f"/api/notifications/{row_id}/snooze", {"until": until.isoformat()})
    assert snoozed["notification"]["snoozedUntil"] == f"{until:%Y-%m-%dT%H:%M:%S}.000Z"
    assert ([row["id"] for row in listed(alice)], unread(alice)) == ([other_id], 1)
    listed_as_snoozed = alice("GET", f"/api/notifications/{alice.id}?snoozed=true")
    assert [row["id"] for row in listed_as_snoozed["notifications"]] == [row_id]
    assert listed_as_snoozed["pagination"]["total"] == 1
    assert alice("GET", f"/api/notifications/{alice.id}/totals")["types"]["LIKE"]["count"] == 1

    back = alice("DELETE", f"/api/notifications/{row_id}/snooze")["notification"]
    assert (back["snoozedUntil"], back["isRead"]) == (None, False)
    assert ({row["id"] for row in listed(alice)}, unread(alice)) == ({row_id, other_id}, 2)


@pytest.mark.parametrize(
    "body", [{}, {"until": "soon"}, {"until": "2020-01-01T00:00:00Z"}, {"until": "2999-01-01T00:00:00Z"}]
)
def test_snooze_without_a_valid_time_is_refused(engine: Engine, alice: ApiUser, body: Any) -> None:
    row_id = insert_notification(engine, alice.id, 1)
    assert alice("POST", f"/api/notifications/{row_id}/snooze", body)["status"] == 400
    assert unread(alice) == 1


def test_snooze_of_another_user_is_refused(engine: Engine, alice: ApiUser, bob: ApiUser) -> None:
    row_id = insert_notification(engine, alice.id, 1)
    body = {"until": (datetime.now(UTC) + timedelta(days=1)).isoformat()}
    assert bob("POST", f"/api/notifications/{row_id}/snooze", body)["status"] == 403
    assert bob("DELETE", f"/api/notifications/{row_id}/snooze")["status"] == 403


def test_undo_of_read_all_keeps_notifications_read_before(engine: Engine, alice: ApiUser) -> None:
    before = insert_notification(engine, alice.id, 1)
    others = {insert_notification(engine, alice.id, seq) for seq in (2, 3)}
    with engine.begin() as conn:
        conn.execute(text("update users set client_seq = 3"))
        values = {"id": before}
        conn.execute(
            text("update notifications set is_read = true, read_at = now() - interval '1 h' where id = :id"),
            values,
        )
    path = f"/api/notifications/{alice.id}"
    done = alice("PATCH", f"{path}/read-all")
    assert unread(alice) == 0
    undone = alice("PATCH", f"{path}/unread-all", {"readAt": done["readAt"]})
    assert undone["updatedCount"] == done["updatedCount"] == 2
    assert {row["id"] for row in listed(alice) if not row["isRead"]} == others


def test_notification_after_read_up_to_stays_unread(engine: Engine, alice: ApiUser) -> None:
    for seq in (1, 2, 3):
        insert_notification(engine, alice.id, seq)
    path = f"/api/notifications/{alice.id}"
    assert alice("PATCH", f"{path}/read-all", {"upTo": 2})["updatedCount"] == 2
    unread = alice("GET", f"{path}?unreadOnly=true")["notifications"]
    assert [row["seq"] for row in unread] == [3]


@pytest.mark.parametrize(("since", "is_complete"), [(3, True), (0, True), (4, False)])
def test_history_is_complete_or_not_returned(
    engine: Engine, alice: ApiUser, since: int, is_complete: bool
) -> None:
    for seq in (1, 2, 3):
        insert_notification(engine, alice.id, seq)
    epoch = ClientEventHistory(engine).load_missed_events(alice.id, None).epoch
    missed = ClientEventHistory(engine).load_missed_events(alice.id, ResumePoint(epoch, since))
    assert (missed.is_complete, len(missed.client_events)) == (
        is_complete,
        3 - since if is_complete else 0,
    )


def test_history_with_a_gap_is_not_returned(engine: Engine, alice: ApiUser) -> None:
    for seq in (1, 2, 3):
        insert_notification(engine, alice.id, seq)
    with engine.begin() as conn:
        conn.execute(text("delete from outbox where client_seq = 2"))
    epoch = ClientEventHistory(engine).load_missed_events(alice.id, None).epoch
    assert not ClientEventHistory(engine).load_missed_events(alice.id, ResumePoint(epoch, 0)).is_complete
