"""What a user was not told over HTTP: reasons, filters by person and post, pages, held and gathered news."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from app.bootstrap import new_id
from app.domain.clock import TimeAndIdSource
from app.domain.events import ACTORLESS_KINDS, SEQ_PER_MS, Event, Kind
from app.domain.grouping import AnnounceWhen
from app.persistence.event_writer import EventBatch, EventToWrite, EventWriter
from app.persistence.suppressed_events import (
    MAX_NAMED_ACTORS,
    SuppressedEvent,
    insert_suppressed_outbox_rows,
)
from app.social import suppressed_events
from tests.support.api_user import ApiUser, alice, bob, sign_in
from tests.support.fakes import ManualClock
from tests.support.fixtures import insert_users
from tests.support.pipeline_harness import USER_NAMES, PipelineHarness
from tests.support.pipeline_harness import pipeline as pipeline
from tests.support.pipeline_harness import worker_services as worker_services

__all__ = ["alice", "bob"]
pytestmark = pytest.mark.service
FIRST_SEQ = 1_780_000_000_000 * SEQ_PER_MS


def write_events(engine: Engine, *events: Event) -> None:
    writer = EventWriter(engine, 12.0, TimeAndIdSource(ManualClock().now, new_id))
    writer.write(EventBatch(tuple(EventToWrite(event, AnnounceWhen.NOW) for event in events)))


def like(recipient_id: str, actor_id: str, post_id: str, seq: int = 1) -> Event:
    return Event(new_id(), Kind.LIKE, recipient_id, actor_id, "POST", post_id, seq=FIRST_SEQ + seq)


def suppressed(user: ApiUser, query: str = "") -> Any:
    response = user("GET", f"/api/notifications/{user.id}/suppressed?{query}")
    assert response["status"] == 200
    return response


def reasons(response: Any) -> list[tuple[str, str]]:
    return [(entry["reason"], entry["people"][0]["id"]) for entry in response["entries"]]


@pytest.fixture
def post_id(alice: ApiUser) -> str:
    return alice.create_post("Hello")


@pytest.fixture
def eve_id(engine: Engine, alice: ApiUser) -> str:
    return insert_users(engine, "Eve")[0]


def test_entries_have_reason_people_and_post_and_are_filtered_by_them(
    engine: Engine, alice: ApiUser, bob: ApiUser, post_id: str, eve_id: str
) -> None:
    other_post_id = alice.create_post("Another")
    alice("PUT", f"/api/mutes/users/{bob.id}")
    write_events(engine, like(alice.id, bob.id, post_id))
    write_events(engine, like(alice.id, alice.id, other_post_id, 2))
    alice("PUT", f"/api/preferences/{alice.id}", {"activity": False})
    write_events(engine, like(alice.id, eve_id, other_post_id, 3))

    everything = suppressed(alice)
    assert reasons(everything) == [("preference", eve_id), ("self", alice.id), ("muted", bob.id)]
    muted = everything["entries"][2]
    assert (muted["reasonText"], muted["type"], muted["count"]) == (
        "You muted the person or the post.",
        "LIKE",
        1,
    )
    assert (muted["postId"], muted["postCaption"], muted["at"][-1]) == (post_id, "Hello", "Z")
    assert reasons(suppressed(alice, f"actorId={bob.id}")) == [("muted", bob.id)]
    assert len(suppressed(alice, f"postId={other_post_id}")["entries"]) == 2
    assert suppressed(alice, f"postId={other_post_id}&actorId={bob.id}")["entries"] == []


def test_pages_continue_by_cursor(engine: Engine, alice: ApiUser, bob: ApiUser, post_id: str) -> None:
    alice("PUT", f"/api/mutes/users/{bob.id}")
    for number in range(3):
        kind = (Kind.LIKE, Kind.POST_SHARE, Kind.STORY_VIEW)[number]
        write_events(
            engine,
            Event(new_id(), kind, alice.id, bob.id, "POST", post_id, seq=FIRST_SEQ + number),
        )

    first = suppressed(alice, "limit=2")
    rest = suppressed(alice, f"limit=2&cursor={first['nextCursor']}")

    assert [entry["type"] for entry in first["entries"] + rest["entries"]] == [
        "STORY_VIEW",
        "POST_SHARE",
        "LIKE",
    ]
    assert rest["nextCursor"] is None
    assert alice("GET", f"/api/notifications/{alice.id}/suppressed?cursor=WzAuNV0")["status"] == 400
    assert alice("GET", f"/api/notifications/{alice.id}/suppressed?limit=51")["status"] == 400


def test_person_beyond_the_named_ones_of_a_viral_post_is_found(
    engine: Engine, alice: ApiUser, bob: ApiUser, post_id: str
) -> None:
    alice("PUT", f"/api/preferences/{alice.id}", {"activity": False})
    actor_ids = insert_users(engine, *(f"P{number}" for number in range(MAX_NAMED_ACTORS + 20)))
    write_events(
        engine, *(like(alice.id, actor_id, post_id, seq) for seq, actor_id in enumerate(actor_ids, 1))
    )

    (entry,) = suppressed(alice, f"actorId={actor_ids[-1]}")["entries"]

    assert (entry["count"], entry["people"][0]["id"]) == (len(actor_ids), actor_ids[-1])
    assert suppressed(alice, f"actorId={bob.id}")["entries"] == []
    with engine.connect() as conn:
        named = conn.execute(
            text("select jsonb_array_length(payload->'actorIds') from outbox where client_event = 'ended'")
        )
        assert named.scalar() == MAX_NAMED_ACTORS


@pytest.mark.parametrize("kind", sorted(ACTORLESS_KINDS))
def test_page_shows_an_event_of_a_server_that_names_an_actor(
    engine: Engine, alice: ApiUser, bob: ApiUser, kind: Kind
) -> None:
    event = Event(new_id(), kind, alice.id, bob.id, "POST", new_id(), seq=FIRST_SEQ)
    with engine.begin() as conn:
        insert_suppressed_outbox_rows(conn, [SuppressedEvent(event, "preference")])
    sign_in(alice.client, "alice@example.org")

    response = alice.client.get("/notifications/not-told")

    assert response.status_code == 200
    assert "A message of Chime" in response.text


def test_quiet_hours_hold_until_their_end(
    engine: Engine, alice: ApiUser, bob: ApiUser, post_id: str, eve_id: str
) -> None:
    write_events(engine, like(alice.id, bob.id, post_id))
    with engine.begin() as conn:
        conn.execute(text("update notifications set deferred_until = now() + interval '1 hour'"))

    (held,) = suppressed(alice, f"actorId={bob.id}&postId={post_id}")["held"]

    assert held["notification"]["message"] == "bob liked your post"
    assert held["until"].endswith("Z")
    assert suppressed(alice, f"actorId={eve_id}")["held"] == []
    assert suppressed(alice, f"postId={new_id()}")["held"] == []


def test_snoozed_notification_says_until_when(
    engine: Engine, alice: ApiUser, bob: ApiUser, post_id: str, eve_id: str
) -> None:
    write_events(engine, like(alice.id, bob.id, post_id))
    (row,) = alice("GET", f"/api/notifications/{alice.id}")["notifications"]
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    snooze_path = f"/api/notifications/{row['id']}/snooze"
    assert alice("POST", snooze_path, {"until": until})["status"] == 200

    (snoozed,) = suppressed(alice, f"actorId={bob.id}&postId={post_id}")["snoozed"]

    assert snoozed["notification"]["message"] == "bob liked your post"
    assert snoozed["until"][:19] == until[:19]
    assert suppressed(alice)["held"] == []
    assert suppressed(alice, f"actorId={eve_id}")["snoozed"] == []
    assert suppressed(alice, f"postId={new_id()}")["snoozed"] == []


def test_open_window_says_when_it_closes(isolated_app: Flask, pipeline: PipelineHarness) -> None:
    owner = ApiUser(isolated_app, "owner")
    post_id = owner.create_post("Hello")
    pipeline.post_id_by_caption["Hello"] = post_id
    users = pipeline.create_users(*USER_NAMES[:5])
    for user in users:
        user.like("Hello")
    pipeline.run_until_idle()

    (window,) = suppressed(owner)["waiting"]

    assert (window["type"], window["postId"], window["count"]) == ("LIKE", post_id, 2)
    assert suppressed(owner, f"actorId={users[4].id}")["waiting"] == [window]
    assert suppressed(owner, f"actorId={users[0].id}")["waiting"] == []  # was announced at once
    assert suppressed(owner, f"postId={new_id()}")["waiting"] == []


def test_blocked_or_deleted_people_are_no_error(
    engine: Engine, alice: ApiUser, bob: ApiUser, post_id: str
) -> None:
    alice("PUT", f"/api/mutes/users/{bob.id}")
    write_events(engine, like(alice.id, bob.id, post_id))
    assert bob("DELETE", f"/api/users/{bob.id}", {"password": "Passw0rd"})["status"] == 200

    (entry,) = suppressed(alice)["entries"]

    assert (entry["reason"], entry["people"]) == ("muted", [])


def test_page_with_a_filter_continues_after_the_rows_it_searched(
    engine: Engine, alice: ApiUser, bob: ApiUser, eve_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suppressed_events, "MAX_SCANNED_ROWS", 2)
    post_ids = [alice.create_post(f"Number {number}") for number in range(4)]
    alice("PUT", f"/api/preferences/{alice.id}", {"activity": False})
    write_events(engine, like(alice.id, bob.id, post_ids[0]))
    for seq, post_id in enumerate(post_ids[1:], 2):
        write_events(engine, like(alice.id, eve_id, post_id, seq))

    first = suppressed(alice, f"actorId={bob.id}")
    second = suppressed(alice, f"actorId={bob.id}&cursor={first['nextCursor']}")

    assert (first["entries"], reasons(second)) == ([], [("preference", bob.id)])
    assert second["nextCursor"] is None
    sign_in(alice.client, "alice@example.org")
    page = alice.client.get("/notifications/not-told?person=bob").text
    assert "Nothing among the newest" in page
    assert f"cursor={first['nextCursor']}" in page


def test_nobody_is_shown_that_another_person_blocked_them(
    engine: Engine, alice: ApiUser, bob: ApiUser, post_id: str, eve_id: str
) -> None:
    blocks = text("insert into blocks (user_id, blocked_user_id) values (:blocking, :blocked)")
    with engine.begin() as conn:
        conn.execute(blocks, {"blocking": bob.id, "blocked": alice.id})
    write_events(engine, like(alice.id, bob.id, post_id))

    assert suppressed(alice)["entries"] == []
    assert suppressed(alice, f"actorId={bob.id}")["entries"] == []

    with engine.begin() as conn:
        conn.execute(blocks, {"blocking": alice.id, "blocked": eve_id})
    write_events(engine, like(alice.id, bob.id, post_id, 2), like(alice.id, eve_id, post_id, 3))
    (entry,) = suppressed(alice)["entries"]
    assert (entry["reason"], entry["count"]) == ("blocked", 1)
    assert entry["reasonText"] == "You blocked the person."
    assert [person["id"] for person in entry["people"]] == [eve_id]
    assert suppressed(alice, f"actorId={bob.id}")["entries"] == []
    assert reasons(suppressed(alice, f"actorId={eve_id}")) == [("blocked", eve_id)]
