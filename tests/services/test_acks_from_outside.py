"""What a client acknowledges over its socket is `seen` in the delivery log, DynamoDB or not."""

from typing import Any

import pytest
from sqlalchemy import text

from infra.services import Services
from tests.outside import Person
from tests.services.town import Town

pytestmark = pytest.mark.service


def log_of(admin: Person, person: Person) -> list[tuple[Any, ...]]:
    said = admin.asks("GET", f"/api/admin/delivery-log?userId={person.id}&limit=100")
    return [(one["status"], one["notificationId"], one["version"]) for one in said["entries"]]


@pytest.fixture
def admin(town: Town) -> Person:
    (made,) = town.people("Ada")
    with town.stage.engine.begin() as sql:
        sql.execute(text("update users set role = 'admin' where id = :id"), {"id": made.id})
    return made


def test_an_ack_is_seen_in_the_log_and_in_the_trace(town: Town, admin: Person) -> None:
    alice, ann = town.people("Alice", "Ann")
    screens = [one.screen() for one in town.both(alice)]
    ann.follows(alice)
    for screen in screens:
        town.hears(lambda one=screen: one.toasts, "a toast")
        frame = screen.of("notification")[-1]
        screen.say("notification_ack", {"notificationId": frame["id"], "version": frame["version"]})
    seen = ("SEEN", frame["id"], frame["version"])
    town.hears(lambda: seen in log_of(admin, alice), "seen")
    # Two screens said so; it is one fact.
    assert [one for one in log_of(admin, alice) if one[0] == "SEEN"] == [seen]
    assert ("SENT", frame["id"], frame["version"]) in log_of(admin, alice)

    why = alice.asks("GET", f"/api/notifications/{frame['id']}/why")
    assert "shown" in [step["name"] for step in why["steps"]]
    trace = admin.asks("GET", f"/api/admin/trace/{why['actors'][0]['eventId']}")
    assert "shown" in [step["name"] for step in trace["steps"]]


def test_a_stranger_acknowledges_nothing_of_others(town: Town, admin: Person) -> None:
    alice, ann, mallory = town.people("Alice", "Ann", "Mallory")
    screen, other = alice.screen(), mallory.screen()
    ann.follows(alice)
    town.hears(lambda: screen.toasts, "a toast")
    row = screen.of("notification")[-1]["id"]
    for odd in ({"notificationId": row, "version": 1}, {"notificationId": "x"}, "nonsense", None):
        other.say("notification_ack", odd)
    screen.say("notification_ack", {"notificationId": row, "version": 1})
    town.hears(lambda: ("SEEN", row, 1) in log_of(admin, alice), "seen")
    assert log_of(admin, mallory) == []


def test_with_dynamodb_frozen_no_toast_waits_and_the_log_is_whole_afterwards(
    town: Town, admin: Person, services: Services
) -> None:
    alice, *crowd = town.people("Alice", "Ann", "Ben", "Cem")
    screen = alice.screen()
    services.pause("dynamodb")
    try:
        for person in crowd:
            person.follows(alice)
        town.hears(lambda: len(screen.toasts) == 3, "three toasts", 60)
        for one in screen.of("notification"):
            screen.say("notification_ack", {"notificationId": one["id"], "version": one["version"]})
        assert admin.call("GET", f"/api/admin/delivery-log?userId={alice.id}").status == 503
    finally:
        services.resume("dynamodb")
    row = screen.of("notification")[0]["id"]
    whole = {(status, row, version) for status in ("SENT", "SEEN") for version in (1, 2, 3)}
    town.hears(lambda: whole <= set(log_of(admin, alice)), "the whole log", 120)
