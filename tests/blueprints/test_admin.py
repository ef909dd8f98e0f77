"""What an administrator sees and does, over HTTP on real stores."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import redis
from flask import Flask
from sqlalchemy import Engine, text

from app.domain.errors import Rejected
from app.domain.events import Event, Kind, Priority
from app.domain.loops import LOOPS, STAGES
from app.links import Links
from app.seals import Seals
from app.settings import load
from app.stores.delivery_log import DeliveryLog, dynamodb, item
from app.stores.figures import Figures
from app.stores.heartbeats import Heartbeats
from app.stores.outgoing import OutgoingMessages
from app.stores.postgres import engine as postgres
from app.streams.mail_message import Message
from app.web import create_app
from app.wiring import build, new_id
from tests.cast import assemble, code, like
from tests.house import NAMES, House
from tests.house import house as house
from tests.house import wired as wired
from workers.mailer import Hand, Mailer, Writer

pytestmark = pytest.mark.service
ROUTES = (
    "GET /stats",
    "GET /pipeline",
    f"GET /trace/{new_id()}",
    "GET /windows",
    "POST /windows/flush",
    "GET /fallback",
    "POST /fallback/replay",
    "POST /fallback/discard",
    "GET /dead-letters",
    "POST /dead-letters/replay",
    "POST /dead-letters/discard",
    f"GET /delivery-log?userId={new_id()}",
)
VIEWER = (
    "GET /db/likes",
    "GET /db/comments",
    "GET /db/follows",
    "GET /db/notification-history",
    "GET /db/stats",
    "DELETE /db/clear",
)


class Admin:
    """Somebody at the API, by default an administrator."""

    def __init__(self, app: Flask, engine: Engine, role: str = "admin") -> None:
        self._client = app.test_client()
        name = f"{role}_one"
        body = {"email": f"{name}@example.org", "username": name, "password": "Passw0rd"}
        said: Any = self._client.post("/api/auth/register", json=body).json
        self.id: str = said["user"]["id"]
        self._headers = {"Authorization": f"Bearer {said['token']}"}
        with engine.begin() as sql:
            sql.execute(text("update users set role = :r where id = :i"), {"r": role, "i": self.id})

    def __call__(self, route: str, body: Any = None) -> Any:
        method, _, path = route.partition(" ")
        answer = self._client.open(
            f"/api/admin{path}", method=method, json=body, headers=self._headers
        )
        assert answer.json is not None
        return answer.json | {"status": answer.status_code}


def _web(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, mode: str) -> Flask:
    for name, value in (environment | {"APP_MODE": mode}).items():
        monkeypatch.setenv(name, value)
    return create_app(build(load()))


@pytest.fixture
def web(
    environment: dict[str, str],
    engine: Engine,
    real_redis: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Flask]:
    app = _web(environment, monkeypatch, "testing")
    yield app
    app.extensions["parts"].engine.dispose()
    app.extensions["parts"].urgent.dispose()


@pytest.fixture
def admin(web: Flask, engine: Engine) -> Admin:
    return Admin(web, engine)


@pytest.mark.parametrize("route", ROUTES)
def test_operations_need_the_role_in_testing_mode_too(
    web: Flask, engine: Engine, route: str
) -> None:
    method, _, path = route.partition(" ")
    assert web.test_client().open(f"/api/admin{path}", method=method).status_code == 401
    assert Admin(web, engine, "user")(route)["status"] == 403


@pytest.mark.parametrize("route", VIEWER)
def test_the_viewer_is_open_to_the_signed_in_in_testing_mode_only(
    web: Flask,
    engine: Engine,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    route: str,
) -> None:
    somebody = Admin(web, engine, "user")
    assert somebody(route)["status"] == 200
    somebody._client = _web(environment, monkeypatch, "production").test_client()
    assert somebody(route)["status"] == 403


def test_a_role_that_was_taken_away_is_gone_at_once(admin: Admin, engine: Engine) -> None:
    assert admin("GET /stats")["status"] == 200
    with engine.begin() as sql:
        sql.execute(text("update users set role = 'user'"))
    assert admin("GET /stats")["status"] == 403


def test_an_administrator_looks_on_while_postgresql_is_away_and_changes_nothing(
    web: Flask, admin: Admin
) -> None:
    assert admin("GET /pipeline")["status"] == 200
    parts = web.extensions["parts"]
    web.extensions["parts"] = replace(parts, engine=postgres("postgresql://nobody@127.0.0.1:1/no"))

    seen = admin("GET /pipeline")

    assert (seen["status"], set(seen["unavailable"])) == (200, {"postgres"})
    assert admin("POST /windows/flush")["status"] == 503
    web.extensions["parts"] = parts


def test_figures_that_redis_keeps_are_unknown_while_it_is_away_and_not_nought(
    web: Flask, admin: Admin
) -> None:
    parts = web.extensions["parts"]
    web.extensions["parts"] = replace(parts, redis=redis.Redis(port=1))

    said = admin("GET /pipeline")

    stages = {one["name"]: one for one in said["stages"]}
    assert "redis" in said["unavailable"]
    assert {stages["bridge"][name] for name in ("in", "out", "held", "failed")} == {None}
    assert stages["fallback"]["in"] == 0
    web.extensions["parts"] = parts


def test_the_dashboards_numbers_have_the_seeds_shape(admin: Admin) -> None:
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
def test_rows_have_the_seeds_columns_in_its_order(
    admin: Admin, house: House, tab: str, columns: str
) -> None:
    ann = _told(house)
    ann.follows(house.alice)
    ann.comments("Hello", "Nice one")
    house.run()
    house.clock.forward(151)
    house.run()
    found = admin(f"GET /db/{tab}")
    assert list(found["data"][0]) == columns.split()
    assert found["total"] == len(found["data"])


def _told(house: House) -> Any:
    house.alice.posts("Hello")
    people = house.people(*NAMES)
    for person in people:
        person.likes("Hello")
    house.run()
    return people[0]


def test_each_stage_balances(admin: Admin, house: House) -> None:
    _told(house)
    found = admin("GET /pipeline")
    assert [one["name"] for one in found["stages"]] == ["bridge", "fallback", *STAGES[1:]]
    for one in found["stages"]:
        assert one["in"] == one["out"] + one["held"] + one["failed"], one
    flusher = found["stages"][3]
    assert (flusher["in"], flusher["held"], flusher["out"]) == (5, 5, 0)


def test_the_loops_that_no_process_runs_are_named(admin: Admin, house: House) -> None:
    for loop in LOOPS:
        if loop not in ("keeper", "mailer"):
            Heartbeats(house.redis).beat(loop)

    assert admin("GET /pipeline")["silentLoops"] == ["keeper", "mailer"]


@dataclass
class Refusing:
    """A channel that refuses everything until it is mended."""

    fault: Exception | None = None
    sent: int = 0

    def send(self, message: Message) -> None:
        if self.fault:
            raise self.fault
        self.sent += 1


def test_a_message_that_failed_is_seen_and_sent_once_it_is_replayed(
    admin: Admin, house: House
) -> None:
    box = Refusing(Rejected("550 5.1.1 No such user at RCPT"))
    settings = house.wired.parts.settings
    writer = Writer(Seals(settings.web.secret_key), Links(settings.web.secret_key, "http://x"))
    mailer = Mailer(
        OutgoingMessages(house.engine),
        {"EMAIL": box, "SMS": box},
        writer,
        Hand(time.time, lambda: 0.0),
        Figures(house.redis).note,
    )

    def mail() -> Any:
        while mailer.step() or mailer.wait(10):
            pass
        (stage,) = [one for one in admin("GET /pipeline")["stages"] if one["name"] == "mail"]
        return {name: stage[name] for name in ("in", "out", "held", "failed")}

    alarm = Event(new_id(), Kind.SECURITY_ALERT, house.alice.id, message="Was this you?")
    house.actions.raise_event(alarm)
    (before,) = [one for one in admin("GET /pipeline")["stages"] if one["name"] == "mail"]
    assert (before["in"], before["held"], before["oldestAgeSeconds"] is not None) == (2, 2, True)
    assert mail() == {"in": 2, "out": 0, "held": 0, "failed": 2}

    letters = admin("GET /dead-letters")["items"]
    assert {one["origin"] for one in letters} == {"outgoing_messages"}
    assert {one["reason"] for one in letters} == {
        f"{channel}: 550 5.1.1 No such user at RCPT" for channel in ("EMAIL", "SMS")
    }
    assert "Was this you" not in str(letters)

    box.fault = None
    ids = [one["id"] for one in letters]
    assert admin("POST /dead-letters/replay", {"ids": ids})["changed"] == 2
    assert mail() == {"in": 4, "out": 2, "held": 0, "failed": 2}
    assert box.sent == 2
    assert admin("GET /dead-letters")["items"] == []


def test_windows_are_listed_and_fall_due_when_told_to(admin: Admin, house: House) -> None:
    _told(house)
    (window,) = admin("GET /windows")["items"]
    assert (window["recipient"], window["type"], window["object"], window["count"]) == (
        house.alice.id,
        "LIKE",
        house.posts["Hello"],
        5,
    )
    house.redis.zadd(
        "windows:due", dict.fromkeys(house.redis.zrange("windows:due", 0, 9), 4000000000000.0)
    )
    assert admin("POST /windows/flush")["flushed"] == 1
    house.clock.seconds = time.time() + 1
    house.run()
    assert admin("GET /windows")["items"] == []
    assert house.alice.toasts[-1].endswith("4 others liked your post")


def test_the_way_of_a_gathered_like(admin: Admin, house: House) -> None:
    _told(house)
    house.clock.forward(151)
    house.run()
    ids = [str(one) for (one,) in house.rows("select event_id::text from notification_actors")]
    for event_id in ids:
        steps = admin(f"GET /trace/{event_id}")["steps"]
        names = [one["name"] for one in steps]
        assert {"accepted", "published", "aggregated", "written", "announced"} <= set(names)
        assert all("at" in one for one in steps)
        assert names.index("announced") > names.index("published")
    assert sum("closed" in str(admin(f"GET /trace/{one}")) for one in ids) == 5


def test_an_unknown_event_is_404(admin: Admin) -> None:
    assert admin(f"GET /trace/{new_id()}")["status"] == 404


def _enqueue(house: House, retries: int) -> int:
    house.kafka.away = True
    house.alice.posts("Hello")
    house.people("Ann")[0].likes("Hello")
    house.bridge.step()
    house.kafka.away = False
    with house.engine.begin() as sql:
        sql.execute(text("update kafka_fallback_queue set retry_count = :n"), {"n": retries})
    return int(house.rows("select id from kafka_fallback_queue")[0][0])


def test_a_failed_row_is_sent_once_it_is_replayed(admin: Admin, house: House) -> None:
    row = _enqueue(house, retries=6)
    house.run()
    assert admin("GET /fallback")["items"][0]["status"] == "failed"
    assert admin("POST /fallback/replay", {"ids": [row]})["changed"] == 1
    house.bridge = house.new_bridge()
    house.leases_run_out()
    house.run()
    assert admin("GET /fallback")["items"] == []
    assert house.alice.toasts == ["Ann liked your post"]


def test_a_discarded_row_is_never_sent(admin: Admin, house: House) -> None:
    row = _enqueue(house, retries=6)
    assert admin("POST /fallback/discard", {"ids": [row]})["changed"] == 1
    assert admin("POST /fallback/discard", {"ids": [row]})["changed"] == 0
    house.run()
    assert house.alice.toasts == []


@pytest.mark.parametrize("queue", ["fallback", "dead-letters"])
@pytest.mark.parametrize("verb", ["replay", "discard"])
@pytest.mark.parametrize("unknown", [new_id(), "999999999", 999999999, "x", "9" * 40])
def test_unknown_ids_change_nothing(
    admin: Admin, engine: Engine, queue: str, verb: str, unknown: Any
) -> None:
    answer = admin(f"POST /{queue}/{verb}", {"ids": [unknown]})
    assert (answer["status"], answer["changed"]) == (200, 0)
    with engine.connect() as sql:
        assert sql.execute(text("select count(*) from audit where action like '%.%'")).scalar() == 0


@pytest.mark.parametrize(
    "body", [{}, {"ids": "x"}, {"ids": [None]}, {"ids": [{}]}, {"ids": [True]}]
)
def test_ids_that_are_none_are_400(admin: Admin, body: Any) -> None:
    assert admin("POST /fallback/replay", body)["status"] == 400


def _letter(engine: Engine, origin: str, position: str, payload: str) -> str:
    values = {"id": new_id(), "origin": origin, "position": position, "payload": payload}
    with engine.begin() as sql:
        sql.execute(
            text(
                "insert into dead_letters (id, origin, position, reason, payload) "
                "values (:id, :origin, :position, 'r', :payload)"
            ),
            values,
        )
    return str(values["id"])


def test_a_letter_that_makes_sense_by_now_takes_effect_when_replayed(
    admin: Admin, house: House
) -> None:
    cast = assemble(house.engine)
    event = like(cast.carol, cast, 1)
    payload = event.to_wire(Priority.LOW)
    letter = _letter(house.engine, "low-priority-notifications", "0:1", _json(payload))
    assert admin("POST /dead-letters/replay", {"ids": [letter]})["changed"] == 1
    house.run()
    assert house.rows("select seq from likes") == [(event.seq,)]
    assert admin("GET /dead-letters")["items"] == []
    assert house.rows("select action, subject from audit where action like 'dead%'") == [
        ("dead_letters.replay", letter)
    ]


def test_what_is_still_poison_comes_back_as_a_letter(admin: Admin, house: House) -> None:
    letter = _letter(house.engine, "low-priority-notifications", "0:1", "not json")
    assert admin("POST /dead-letters/replay", {"ids": [letter]})["changed"] == 1
    house.run()
    (again,) = admin("GET /dead-letters")["items"]
    assert (again["payload"], again["id"] == letter) == ("not json", False)


def _json(value: Any) -> str:
    return json.dumps(value)


def test_the_delivery_log_is_the_persons_newest_first(
    admin: Admin, environment: dict[str, str]
) -> None:
    log = DeliveryLog(dynamodb(environment["DYNAMODB_ENDPOINT_URL"], "us-east-1"))
    log.create()
    user = new_id()
    ready = [
        {
            "id": n,
            "targetId": user,
            "frame": "notification",
            "seq": n,
            "at": f"2026-06-01T10:00:0{n}.000Z",
            "data": {"id": new_id(), "version": n, "metadata": {"channels": ["PUSH"]}},
        }
        for n in (1, 2, 3)
    ]
    log.record([item(one, 1_780_000_000) for one in ready])
    first = admin(f"GET /delivery-log?userId={user}&limit=2")
    assert [one["seq"] for one in first["entries"]] == [3, 2]
    assert first["entries"][0]["channels"] == ["PUSH"]
    rest = admin(f"GET /delivery-log?userId={user}&limit=2&cursor={first['nextCursor']}")
    assert ([one["seq"] for one in rest["entries"]], rest["nextCursor"]) == ([1], None)


def test_a_delivery_log_that_is_away_is_503(
    environment: dict[str, str],
    engine: Engine,
    real_redis: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    away = environment | {"DYNAMODB_ENDPOINT_URL": "http://127.0.0.1:1"}
    admin = Admin(_web(away, monkeypatch, "testing"), engine)
    assert admin(f"GET /delivery-log?userId={new_id()}")["status"] == 503


def test_a_secret_code_is_not_in_what_an_administrator_reads(admin: Admin, house: House) -> None:
    """Its text belongs to one person (pipeline 3.5)."""
    cast = assemble(house.engine)
    house.wired.parts.actions.raise_event(code(cast, 1))
    house.run()
    assert "123456" not in str(admin("GET /db/notification-history"))
