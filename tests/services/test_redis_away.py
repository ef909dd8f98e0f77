"""Redis is killed, frozen or emptied under real processes: people go on, are told so, and
afterwards everything agrees (P7). With services of its own, which it may break."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import create_engine

from app.settings import load
from app.stores.gate import OPEN
from app.stores.postgres import driver_url
from app.wiring import build
from infra.services import Services
from tests.conftest import migrate
from tests.outside import Answer, Person
from tests.services.crew import NAMES, Crew, until
from tests.services.stage import Stage
from tests.services.town import Town

pytestmark = [pytest.mark.service, pytest.mark.slow]
BACK_SECONDS = 60.0
"""The way back takes a second or two; a busy machine may take its time."""
FAULTS = [("pause", "resume"), ("kill", "start")]


@pytest.fixture(scope="module")
def own() -> Iterator[Services]:
    with tempfile.TemporaryDirectory(prefix="notifications-test-", ignore_cleanup_errors=True) as d:
        Path(d).chmod(0o755)
        running = Services(d)
        try:
            running.start()
            migrate(running.env())
            yield running
        finally:
            running.stop()


@pytest.fixture(scope="module")
def town(
    own: Services, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Town]:
    """Crew and two web processes on those services."""
    mine = environment | own.env()
    mine |= {"DATA_DIR": str(own.layout.data_dir), "LOG_FORMAT": "text"}
    mine |= {"AGGREGATION_WINDOW_SECONDS": "1.5", "AGGREGATION_JITTER_SECONDS": "0.5"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in mine.items():
            patch.setenv(name, value)
        parts = build(load())
    connection = redis.Redis.from_url(mine["REDIS_URL"], decode_responses=True)
    crew = Crew(mine, tmp_path_factory.mktemp("crew"), connection)
    engine = create_engine(driver_url(mine["DATABASE_URL"]))
    try:
        for name in NAMES:
            crew.hire(name)
        crew.opens()
        yield Town(Stage(crew, parts, engine), [crew.web(), crew.web()])
    finally:
        crew.dismiss()
        engine.dispose()
        parts.engine.dispose()
        parts.urgent.dispose()


def shown(person: Person, post: str) -> dict[str, Any]:
    answer: dict[str, Any] = person.asks("GET", f"/api/posts/{post}")
    return answer


def everything(person: Person, post: str, comment: str, other: Person) -> list[Answer]:
    """Each kind of write and read that must go on."""
    said = person.call("POST", f"/api/comments/{comment}/reply", {"content": "Then"})
    return [
        said,
        person.call("PUT", f"/api/posts/{post}/like"),
        person.call("PUT", f"/api/follows/{other.id}"),
        person.call("POST", "/api/comments", {"postId": post, "content": "Now"}),
        person.call("DELETE", f"/api/comments/{said.body['comment']['id']}"),
        person.call("POST", f"/api/posts/{post}/share"),
        person.call("POST", "/api/posts", {"caption": f"Look, @{other.username}"}),
        person.call("GET", "/api/posts"),
        person.call("GET", f"/api/comments?postId={post}"),
        person.call("DELETE", f"/api/posts/{post}/like"),
    ]


@pytest.mark.parametrize(("fault", "cure"), FAULTS, ids=["frozen", "killed"])
def test_while_redis_is_away_people_go_on_and_afterwards_all_agree(
    own: Services, town: Town, fault: str, cure: str
) -> None:
    alice, ann, ben = town.people("Alice", "Ann", "Ben")
    post = alice.posts()
    ann.likes(post)
    comment = ann.comments(post, "First")
    town.stage.settles()  # one that only Redis knows yet can be answered by nobody
    getattr(own, fault)("redis")
    try:
        answers = everything(ben, post, comment, alice)
        ben.likes(post)
        lagging = shown(ben, post)
    finally:
        getattr(own, cure)("redis")

    assert [one.status for one in answers] == [201, 200, 200, 201, 200, 200, 201, 200, 200, 200]
    assert lagging["stale"] is True
    assert lagging["post"]["isLiked"] is True
    town.hears(
        lambda: town.stage.crew.redis.exists(OPEN) and "stale" not in shown(ben, post),
        "an open gate",
        BACK_SECONDS,
    )
    counts = [shown(one, post)["post"] for one in town.both(ben)]
    assert [(one["likesCount"], one["commentsCount"], one["isLiked"]) for one in counts] == [
        (2, 2, True)
    ] * 2
    town.stage.settles()
    assert town.stage.books.faults() == []


@pytest.mark.parametrize(("fault", "cure"), FAULTS, ids=["frozen", "killed"])
def test_what_was_told_meanwhile_is_on_the_screen_soon_after(
    own: Services, town: Town, fault: str, cure: str
) -> None:
    alice, ann, ben = town.people("Alice", "Ann", "Ben")
    post = alice.posts()
    screen = alice.screen()
    getattr(own, fault)("redis")
    try:
        ann.likes(post)
    finally:
        getattr(own, cure)("redis")
    began = time.monotonic()
    town.hears(lambda: len(screen.toasts) == 1, "the toast of the outage", BACK_SECONDS)
    taken = time.monotonic() - began
    ben.likes(post)
    town.hears(lambda: len(screen.toasts) == 2, "live push", BACK_SECONDS)
    screen.drop()
    print(f"told {taken:.1f} s after Redis was back")  # noqa: T201 - a figure for who reads on


def test_an_emptied_redis_is_noticed_rebuilt_and_reported(town: Town) -> None:
    alice, *crowd = town.people("Alice", "Ann", "Ben", "Cem", "Dan", "Eve")
    post = alice.posts()
    for one in crowd:
        one.likes(post)
    until(lambda: not sum(town.stage.parts.ingress.lengths().values()), 30, "a moved ingress")

    town.stage.crew.redis.flushall()
    crowd[0].unlikes(post)  # noticed at once by whoever writes

    town.hears(lambda: town.stage.crew.redis.exists(OPEN), "an open gate", BACK_SECONDS)
    assert [shown(one, post)["post"]["likesCount"] for one in town.both(alice)] == [4, 4]
    lost = alice.asks("GET", "/ready")["gate"]["lost"]
    assert lost["events"] is None or lost["events"] <= len(crowd)  # as looked a moment before
    town.stage.settles()
    assert town.stage.books.faults() == []
