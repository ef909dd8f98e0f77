"""Every route while Redis or PostgreSQL is away: no 500, and 503 where nothing else is left."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from app.settings import load
from app.stores.gate import OPEN
from app.stores.memberships import Wish
from app.stores.service_keys import ServiceKeys
from app.streams.topics import create_topics
from app.web import create_app
from app.wiring import Parts, build, new_id
from tests.blueprints.matrix import CALLERS, EXPECTED, bodies
from tests.blueprints.stage import Cast, headers
from tests.blueprints.stage import cast as cast
from tests.blueprints.stage import parts as parts

pytestmark = pytest.mark.service
NOWHERE = {
    "redis": {"REDIS_URL": "redis://127.0.0.1:1/0"},
    "postgres": {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"},
}
NEED_REDIS = {"POST /api/admin/windows/flush", "DELETE /api/admin/db/clear"}
REFUSED_HERE = {"POST /api/auth/refresh", "POST /api/test/services/{service}"}
"""Without a token of an earlier answer; where no service is embedded."""
NEED_NOTHING = {"GET /health", "GET /openapi.json", "GET /docs"}


@pytest.fixture(scope="module", params=list(NOWHERE))
def away(
    request: pytest.FixtureRequest, environment: dict[str, str], parts: Parts
) -> Iterator[tuple[str, Flask]]:
    """An application that reaches all services but one."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        all_there = load()
        # The topics stay when this module is done: with other numbers than everybody's they would
        # be in the way of the tests that come after.
        servers = all_there.addresses.kafka_bootstrap_servers
        create_topics(servers, all_there.kafka.partitions, 1, 3_600_000)
        for name, value in NOWHERE[request.param].items():
            patch.setenv(name, value)
        made = build(load())
    yield request.param, create_app(made)
    made.engine.dispose()
    made.urgent.dispose()


@pytest.mark.parametrize("route", EXPECTED)
def test_a_route_says_what_it_can_and_never_breaks(
    away: tuple[str, Flask], parts: Parts, cast: Cast, route: str
) -> None:
    service, app = away
    method, path = route.split()
    caller = "admin" if path.startswith("/api/admin") else "owner"
    _write(parts, cast)

    answer: Any = app.test_client().open(
        path.format(**vars(cast)),
        method=method,
        json=bodies(cast).get(route),
        headers=headers(parts, cast, caller),
    )

    said = answer.get_data(as_text=True)[:300]
    assert answer.status_code < 500 or answer.status_code == 503, said
    if answer.status_code == 503 and path != "/ready":
        assert answer.headers["Retry-After"], said
    if service == "redis" and route not in REFUSED_HERE:
        assert answer.status_code == (503 if route in NEED_REDIS else usual(route, caller)), said
    if route in NEED_NOTHING:
        assert answer.status_code == 200, said


def usual(route: str, caller: str) -> int:
    """What the route answers while all services are there."""
    return EXPECTED[route][CALLERS.index(caller)]


def _write(parts: Parts, cast: Cast) -> None:
    """The comment of the cast has its row, as after the end of its window."""
    with parts.engine.begin() as sql:
        sql.execute(
            text(
                "insert into comments (id, post_id, user_id, content, seq, active) "
                "values (:comment, :post, :owner, 'Hi', 1, true)"
            ),
            vars(cast),
        )


@pytest.mark.parametrize(
    ("caller", "path", "status"),
    [
        ("other", "/api/posts/{post}", 403),
        ("other", "/api/comments/{comment}", 403),
        ("owner", "/api/posts/00000000-0000-4000-8000-000000000000", 404),
        ("owner", "/api/comments/00000000-0000-4000-8000-000000000000", 404),
    ],
)
def test_without_redis_a_deletion_is_refused_for_the_usual_reasons(
    away: tuple[str, Flask], parts: Parts, cast: Cast, caller: str, path: str, status: int
) -> None:
    service, app = away
    if service != "redis":
        return
    _write(parts, cast)

    answer: Any = app.test_client().delete(
        path.format(**vars(cast)), headers=headers(parts, cast, caller)
    )

    assert answer.status_code == status, answer.get_data(as_text=True)


@pytest.mark.parametrize("kind", ["OTP", "LIKE", "MARKETING"])
def test_without_redis_events_of_other_servers_are_accepted(
    away: tuple[str, Flask], parts: Parts, cast: Cast, kind: str
) -> None:
    service, app = away
    if service != "redis":
        return
    secret = new_id()
    ServiceKeys(parts.engine).add(new_id(), "a test", secret)
    event = {"type": kind, "targetId": cast.owner, "actorId": cast.other}
    about = {"targetType": "POST", "targetEntityId": cast.post, "message": "Hello"}

    answer: Any = app.test_client().post(
        "/api/events", json=event | about, headers={"X-Api-Key": secret}
    )

    assert answer.status_code == 202, answer.get_data(as_text=True)


def test_without_redis_a_post_is_gone_for_readers_at_once(
    away: tuple[str, Flask], parts: Parts, cast: Cast
) -> None:
    service, app = away
    if service != "redis":
        return
    client, mine = app.test_client(), headers(parts, cast, "owner")

    answer: Any = client.delete(f"/api/posts/{cast.post}", headers=mine)

    assert (answer.status_code, answer.json["success"]) == (200, True)
    assert client.get(f"/api/posts/{cast.post}", headers=mine).status_code == 404


def test_a_like_and_its_reading_say_that_counts_may_lag(
    away: tuple[str, Flask], parts: Parts, cast: Cast
) -> None:
    service, app = away
    if service != "redis":
        return
    mine, client = headers(parts, cast, "other"), app.test_client()

    liked: Any = client.put(f"/api/posts/{cast.post}/like", headers=mine).json
    seen: Any = client.get(f"/api/posts/{cast.post}", headers=mine).json

    assert (liked["liked"], liked["likesCount"], liked["stale"]) == (True, 1, True)
    assert (seen["post"]["isLiked"], seen["post"]["likesCount"], seen["stale"]) == (True, 1, True)


def _reopen(parts: Parts) -> None:
    """As if nobody here had ever spoken past Redis."""
    with parts.engine.begin() as sql:
        sql.execute(text("delete from gates"))
    parts.redis.set(OPEN, new_id())


def test_a_warm_like_needs_no_postgresql(away: tuple[str, Flask], parts: Parts, cast: Cast) -> None:
    service, app = away
    if service != "postgres":
        return
    mine = headers(parts, cast, "other")
    _reopen(parts)
    parts.actions.like(cast.owner, cast.post, Wish.ON)

    answers = [
        app.test_client().open(f"/api/posts/{cast.post}/like", method=method, headers=mine)
        for method in ("PUT", "DELETE", "PUT")
    ]

    assert [one.status_code for one in answers] == [200, 200, 200], answers[0].json
    assert answers[-1].json == {"success": True, "liked": True, "likesCount": 2}
