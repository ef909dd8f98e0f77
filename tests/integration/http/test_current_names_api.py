"""After a change of name no response has the former name."""

import json
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from app.domain.clock import TimeAndIdSource
from app.domain.events import SEQ_PER_MS, Event, Kind
from app.domain.grouping import AnnounceWhen
from app.persistence.event_writer import EventBatch, EventToWrite, EventWriter
from tests.support.api_user import ApiUser
from tests.support.fakes import ManualClock
from tests.support.fixtures import new_id

pytestmark = pytest.mark.service


class RenameScenario:
    """Bob follows, likes and comments; Alice is notified."""

    def __init__(self, isolated_app: Flask, engine: Engine) -> None:
        self.engine = engine
        self.alice, self.bob = (ApiUser(isolated_app, name) for name in ("alice", "bobold"))
        self.post = self.alice.create_post()
        self.bob("PATCH", f"/api/users/{self.bob.id}", {"name": "Former"})
        self.bob("PUT", f"/api/posts/{self.post}/like")
        self.bob("POST", "/api/comments", {"postId": self.post, "content": "Nice"})
        self.bob("POST", "/api/posts", {"caption": "Mine"})
        like = self._event(Kind.LIKE, "POST", self.post)
        follow = self._event(Kind.FOLLOW, "USER", self.alice.id)
        batch = EventBatch((EventToWrite(like, AnnounceWhen.NOW), EventToWrite(follow, AnnounceWhen.NOW)))
        EventWriter(engine, 12.0, TimeAndIdSource(ManualClock().now, new_id)).write(batch)
        with engine.connect() as conn:
            result = conn.execute(text("select id::text from notifications where type = 'LIKE'"))
            self.row = result.scalar_one()

    def _event(self, kind: Kind, object_type: str, object_id: str) -> Event:
        ids = (self.alice.id, self.bob.id, object_type, object_id)
        return Event(new_id(), kind, *ids, seq=int(ManualClock().now() * 1000) * SEQ_PER_MS)

    def rename_bob(self, name: str) -> None:
        self.bob("PATCH", f"/api/users/{self.bob.id}", {"name": name})


@pytest.fixture
def rename_scenario(isolated_app: Flask, engine: Engine) -> RenameScenario:
    return RenameScenario(isolated_app, engine)


RESPONSES_WITH_NAMES = [
    pytest.param("GET", "/api/notifications/{alice}", id="the list"),
    pytest.param("GET", "/api/notifications/{alice}/grouped", id="the list by type"),
    pytest.param("PATCH", "/api/notifications/{row}/read", id="a row marked as read"),
    pytest.param("GET", "/api/notifications/{row}/actors", id="actors"),
    pytest.param("GET", "/api/notifications/{row}/why", id="explanation"),
    pytest.param("GET", "/api/posts/{post}/likes", id="likers"),
    pytest.param("GET", "/api/comments?postId={post}", id="comments"),
    pytest.param("GET", "/api/follows/{alice}/followers", id="followers"),
    pytest.param("GET", "/api/posts", id="post cards"),
    pytest.param("GET", "/api/users?q=bobold", id="search"),
    pytest.param("GET", "/api/admin/db/notification-history", id="the table viewer"),
]


@pytest.mark.parametrize(("method", "path"), RESPONSES_WITH_NAMES)
def test_current_name_is_shown(rename_scenario: RenameScenario, method: str, path: str) -> None:
    rename_scenario.rename_bob("Present")

    request_path = path.format(
        alice=rename_scenario.alice.id, row=rename_scenario.row, post=rename_scenario.post
    )
    response: Any = rename_scenario.alice(method, request_path)

    assert response["status"] == 200
    shown = json.dumps(response)
    assert ("Former" in shown, "Present" in shown) == (False, True)


def test_name_change_is_recorded_for_open_pages_and_bio_change_is_not(
    rename_scenario: RenameScenario,
) -> None:
    def recorded_user_ids() -> list[str]:
        with rename_scenario.engine.connect() as conn:
            return list(conn.execute(text("select user_id::text from profile_changes")).scalars())

    with rename_scenario.engine.begin() as conn:
        conn.execute(text("delete from profile_changes"))

    rename_scenario.bob("PATCH", f"/api/users/{rename_scenario.bob.id}", {"bio": "Hello", "name": "Former"})
    assert recorded_user_ids() == []

    rename_scenario.rename_bob("Present")
    assert recorded_user_ids() == [rename_scenario.bob.id]
