"""After a change of name no answer shows the former one."""

import json
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from app.domain.events import SEQ_PER_MS, Event, Kind
from app.domain.ledger import Ring
from app.stores.ledger import Batch, Entry, Hand, Ledger
from tests.blueprints.apart import web as web
from tests.blueprints.test_on_real_stores import Somebody
from tests.cast import new_id
from tests.fakes import Clock

pytestmark = pytest.mark.service


class World:
    """Bob follows, likes and comments; Alice has been told."""

    def __init__(self, web: Flask, engine: Engine) -> None:
        self.engine = engine
        self.alice, self.bob = (Somebody(web.test_client(), name) for name in ("alice", "bobold"))
        self.post = self.alice.posts()
        self.bob("PATCH", f"/api/users/{self.bob.id}", {"name": "Former"})
        self.bob("PUT", f"/api/posts/{self.post}/like")
        self.bob("POST", "/api/comments", {"postId": self.post, "content": "Nice"})
        self.bob("POST", "/api/posts", {"caption": "Mine"})
        like = self._event(Kind.LIKE, "POST", self.post)
        follow = self._event(Kind.FOLLOW, "USER", self.alice.id)
        batch = Batch((Entry(like, Ring.AT_ONCE), Entry(follow, Ring.AT_ONCE)))
        Ledger(engine, 12.0, Hand(Clock().now, new_id)).write(batch)
        with engine.connect() as sql:
            found = sql.execute(text("select id::text from notifications where type = 'LIKE'"))
            self.row = found.scalar_one()

    def _event(self, kind: Kind, object_type: str, object_id: str) -> Event:
        ids = (self.alice.id, self.bob.id, object_type, object_id)
        return Event(new_id(), kind, *ids, seq=int(Clock().now() * 1000) * SEQ_PER_MS)

    def renames(self, name: str) -> None:
        self.bob("PATCH", f"/api/users/{self.bob.id}", {"name": name})


@pytest.fixture
def world(web: Flask, engine: Engine) -> World:
    return World(web, engine)


PLACES = [
    pytest.param("GET", "/api/notifications/{alice}", id="the list"),
    pytest.param("GET", "/api/notifications/{alice}/grouped", id="the list by type"),
    pytest.param("PATCH", "/api/notifications/{row}/read", id="a row that was marked"),
    pytest.param("GET", "/api/notifications/{row}/actors", id="who it was"),
    pytest.param("GET", "/api/notifications/{row}/why", id="why it came"),
    pytest.param("GET", "/api/posts/{post}/likes", id="who likes it"),
    pytest.param("GET", "/api/comments?postId={post}", id="comments"),
    pytest.param("GET", "/api/follows/{alice}/followers", id="followers"),
    pytest.param("GET", "/api/posts", id="post cards"),
    pytest.param("GET", "/api/users?q=bobold", id="search"),
    pytest.param("GET", "/api/admin/db/notification-history", id="the table viewer"),
]


@pytest.mark.parametrize(("method", "path"), PLACES)
def test_the_present_name_is_shown(world: World, method: str, path: str) -> None:
    world.renames("Present")

    asked = path.format(alice=world.alice.id, row=world.row, post=world.post)
    answer: Any = world.alice(method, asked)

    assert answer["status"] == 200
    shown = json.dumps(answer)
    assert ("Former" in shown, "Present" in shown) == (False, True)


def test_a_change_of_name_is_noted_for_open_pages_and_a_change_of_the_bio_is_not(
    world: World,
) -> None:
    def noted() -> list[str]:
        with world.engine.connect() as sql:
            return list(sql.execute(text("select user_id::text from profile_changes")).scalars())

    with world.engine.begin() as sql:
        sql.execute(text("delete from profile_changes"))

    world.bob("PATCH", f"/api/users/{world.bob.id}", {"bio": "Hello", "name": "Former"})
    assert noted() == []

    world.renames("Present")
    assert noted() == [world.bob.id]
