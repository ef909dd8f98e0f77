"""The ten rules of aggregation, each by number, over HTTP and a real socket, through two web
processes and the crew. tests/rules has them a second time with time in our hand.
"""

from datetime import datetime

import pytest
from sqlalchemy import text

from tests.outside import Person, Screen
from tests.services.crew import until
from tests.services.town import Town

pytestmark = pytest.mark.service
WINDOW, JITTER = 3.0, 0.5
OBJECTS = 300


@pytest.fixture(scope="session")
def short_windows(environment: dict[str, str]) -> dict[str, str]:
    """Long enough that eight requests on a busy machine fall into one window."""
    return environment | {
        "AGGREGATION_WINDOW_SECONDS": str(WINDOW),
        "AGGREGATION_JITTER_SECONDS": str(JITTER),
        "LOG_FORMAT": "text",
    }


def named(rows: list[dict[str, object]], kind: str) -> list[dict[str, object]]:
    return [row for row in rows if row["type"] == kind]


def rang(town: Town, screen: Screen, times: int) -> None:
    town.hears(lambda: len(screen.toasts) >= times, f"{times} toasts, not {screen.toasts}")


def test_1_a_group_is_one_row_until_it_is_read_or_too_old(town: Town) -> None:
    alice, ann, ben, cem, dan = town.people("Alice", "Ann", "Ben", "Cem", "Dan")
    screen, post = alice.screen(), alice.posts()
    ann.likes(post)
    ben.likes(post)
    rang(town, screen, 2)
    [row] = alice.inbox()
    assert (row["generation"], row["version"], row["aggregatedCount"]) == (1, 2, 2)

    alice.asks("PATCH", f"/api/notifications/{row['id']}/read")
    cem.likes(post)
    rang(town, screen, 3)
    assert [(one["generation"], one["aggregatedCount"]) for one in alice.inbox()] == [
        (2, 1),
        (1, 2),
    ]
    assert alice.badge == 1

    with town.stage.engine.begin() as sql:  # a day goes by
        sql.execute(text("update notifications set created_at = created_at - interval '13 hours'"))
    dan.likes(post)
    rang(town, screen, 4)
    assert [one["generation"] for one in alice.inbox()] == [3, 2, 1]
    town.hears(lambda: screen.badges[-1][1] == 2, "the badge counts unread groups")


def test_2_the_first_three_likes_ring_at_once_and_the_rest_in_one_line(town: Town) -> None:
    alice, *crowd = town.people("Alice", "Ann", "Ben", "Cem", "Dan", "Eve", "Fay", "Gus", "Hana")
    screens = [one.screen() for one in town.both(alice)]
    post = alice.posts()
    for person in crowd:
        person.likes(post)
    # "The count is 8 from every process", as the owner and as anybody.
    for one in (*town.both(alice), *town.both(crowd[0])):
        assert one.asks("GET", f"/api/posts/{post}")["post"]["likesCount"] == 8
        [shown] = one.asks("GET", f"/api/posts?userId={alice.id}")["posts"]
        assert (shown["likesCount"], shown["_count"]["likes"]) == (8, 8)

    for screen in screens:
        rang(town, screen, 4)
        assert screen.toasts == [
            "Ann liked your post",
            "Ben liked your post",
            "Cem liked your post",
            "Hana and 7 others liked your post",
        ]
        last = screen.of("notification")[-1]
        assert (last["metadata"]["newCount"], last["metadata"]["aggregatedCount"]) == (5, 8)
        assert [one["metadata"]["newCount"] for one in screen.of("notification")[:3]] == [1] * 3
    [row] = alice.inbox()
    assert (row["message"], row["aggregatedCount"]) == ("Hana and 7 others liked your post", 8)
    assert len(row["actors"]) == 8
    assert (row["id"], row["version"]) == (last["id"], last["version"])


def test_3_comments_wait_for_the_end_and_are_readable_at_once(town: Town) -> None:
    alice, ann, ben = town.people("Alice", "Ann", "Ben")
    screen, one, other = alice.screen(), alice.posts(), alice.posts("Another")
    ann.comments(one, "Nice one")
    for person in (ann, ben):
        person.comments(other, "Me too")
    for reader in town.both(ben):
        assert [
            said["content"]
            for said in reader.asks("GET", f"/api/comments?postId={one}")["comments"]
        ] == ["Nice one"]
    assert screen.toasts == []

    rang(town, screen, 2)
    assert sorted(screen.toasts) == [
        'Ann commented: "Nice one"',
        "Ben and 1 other commented on your post",
    ]


def test_4_follows_bells_and_mentions_ring_at_once(town: Town) -> None:
    alice, ann, ben = town.people("Alice", "Ann", "Ben")
    screen, his = alice.screen(), ben.screen()
    ann.follows(alice)
    ben.follows(alice)
    ben.asks("PUT", f"/api/follows/{alice.id}/bell")
    rang(town, screen, 2)
    assert sorted(screen.toasts) == ["Ann started following you", "Ben started following you"]
    [row] = alice.inbox()
    assert (row["type"], row["message"]) == ("FOLLOW", "Ben and 1 other started following you")

    hers = ann.screen()
    alice.posts(f"Look, @{ann.username}")
    rang(town, his, 1)
    rang(town, hers, 1)
    assert his.toasts == [f"Alice posted: Look, @{ann.username}"]
    assert hers.toasts == [f'Alice mentioned you: "Look, @{ann.username}"']


def test_5_critical_ones_pass_every_preference_each_alone(town: Town) -> None:
    (alice,) = town.people("Alice")
    quiet = {
        "pushEnabled": False,
        "dndEnabled": True,
        "dndStartTime": "00:00",
        "dndEndTime": "23:59",
        "matrix": {"OTP": {"push": False, "email": False, "sms": False}},
    }
    alice.asks("PATCH", f"/api/preferences/{alice.id}", quiet)
    screen = alice.screen()
    for _ in range(2):
        alice.asks("POST", "/api/auth/otp/request", {})
    rang(town, screen, 2)
    codes = screen.of("notification")
    assert [(one["type"], one["priority"]) for one in codes] == [("OTP", "CRITICAL")] * 2
    assert all(one["metadata"]["channels"] == ["PUSH", "EMAIL", "SMS"] for one in codes)
    assert codes[0]["id"] != codes[1]["id"]
    assert alice.badge == 2


def test_6_a_follower_makes_the_group_urgent_and_is_named_first(town: Town) -> None:
    alice, ann, ben, cem = town.people("Alice", "Ann", "Ben", "Cem")
    screen, post = alice.screen(), alice.posts()
    ben.likes(post)
    rang(town, screen, 1)
    assert screen.of("notification")[0]["priority"] == "LOW"

    ann.follows(alice)
    rang(town, screen, 2)
    ann.likes(post)
    rang(town, screen, 3)
    cem.likes(post)
    rang(town, screen, 4)
    assert [one["priority"] for one in named(screen.of("notification"), "FOLLOW")] == ["HIGH"]
    [row] = named(alice.inbox(), "LIKE")
    assert (row["priority"], row["message"]) == ("HIGH", "Ann and 2 others liked your post")

    with town.stage.engine.begin() as sql:
        sql.execute(text("update users set is_verified = true where id = :id"), {"id": ben.id})
    fresh = town.people("Fred")[0]
    his = fresh.screen()
    ben.follows(fresh)
    rang(town, his, 1)
    assert his.of("notification")[0]["metadata"]["isVerified"] is True


def test_7_who_withdraws_is_gone_from_row_badge_and_text(town: Town) -> None:
    alice, ann, ben = town.people("Alice", "Ann", "Ben")
    screen, post = alice.screen(), alice.posts()
    alice.likes(post)
    ann.likes(post)
    rang(town, screen, 1)
    ben.likes(post)
    rang(town, screen, 2)
    ben.unlikes(post)
    until(lambda: screen.of("notification_updated"), 90, "the correction")
    assert screen.of("notification_updated")[-1]["message"] == "Ann liked your post"
    assert [row["message"] for row in alice.inbox()] == ["Ann liked your post"]

    ann.unlikes(post)
    until(lambda: screen.of("notification_removed"), 90, "the end of the row")
    until(lambda: screen.badges[-1][1] == 0, 90, "an empty badge")
    assert (alice.inbox(), alice.badge) == ([], 0)

    ann.likes(post)  # who comes back rings no second time
    until(lambda: alice.badge == 1, 90, "the row is back")
    word = ben.comments(post, "Never mind")
    ben.asks("DELETE", f"/api/comments/{word}")
    ben.follows(alice)
    rang(town, screen, 3)
    assert screen.toasts[2:] == ["Ben started following you"]


def test_8_quiet_hours_hold_what_rings_and_switches_filter(town: Town) -> None:
    alice, ann, ben = town.people("Alice", "Ann", "Ben")
    mine = f"/api/preferences/{alice.id}"
    off = {"push": False, "email": False, "sms": False}
    quiet = {"dndEnabled": True, "dndStartTime": "00:00", "dndEndTime": "23:59"}
    alice.asks("PATCH", mine, quiet | {"matrix": {"FOLLOW": off}})
    screen, post = alice.screen(), alice.posts()
    ann.likes(post)
    ben.follows(alice)
    until(lambda: alice.badge == 1, 90, "the held row counts")
    town.stage.settles()
    assert [row["type"] for row in alice.inbox()] == ["LIKE"]
    assert screen.toasts == []

    alice.asks("PATCH", mine, {"dndEnabled": False})
    rang(town, screen, 1)
    assert screen.toasts == ["Ann liked your post"]
    assert alice.badge == 1


def test_9_ends_of_windows_spread_over_the_whole_band(town: Town) -> None:
    """300 objects over HTTP; the whole 5,000 stand in tests/rules and tests/domain."""
    crew = town.stage.crew
    crew.replace("aggregator", AGGREGATION_WINDOW_SECONDS="120", AGGREGATION_JITTER_SECONDS="30")
    alice, ann, admin = town.people("Alice", "Ann", "Ada")
    promote(town, admin)
    posts = [alice.posts(f"Post {number}") for number in range(OBJECTS)]
    began = datetime.now().timestamp()
    for post in posts:
        ann.comments(post, "Nice")
    ended = datetime.now().timestamp()
    until(lambda: len(windows(admin, alice)) == OBJECTS, 60, "all windows are open")

    dues = sorted(
        datetime.fromisoformat(str(w["dueAt"])).timestamp() for w in windows(admin, alice)
    )
    took = ended - began
    assert dues[0] - began >= 90
    assert dues[-1] - ended <= 150 + 30  # an event may wait a moment before its window opens
    filled = {int((due - began - 90) // 6) for due in dues}
    assert set(range(10)) <= filled, (took, filled)

    assert admin.asks("POST", "/api/admin/windows/flush")["flushed"] >= OBJECTS
    until(lambda: not windows(admin, alice), 60, "all windows are closed")
    crew.replace("aggregator")


def test_10_words_count_people_once_and_names_are_plain_text(town: Town) -> None:
    alice, ann, odd, dan, eve, fay = town.people("Alice", "Ann", "<b>Ben</b>", "Dan", "Eve", "Fay")
    screen, post, other = alice.screen(), alice.posts(), alice.posts("Another")
    for person in (ann, ann, odd):
        person.comments(post, "Nice")
    for person in (ann, dan, eve, fay, odd):
        person.comments(other, "Nice")
    rang(town, screen, 2)
    assert sorted(screen.toasts) == [
        "<b>Ben</b> and 1 other commented on your post",
        "<b>Ben</b> and 4 others commented on your post",
    ]


def promote(town: Town, person: Person) -> None:
    with town.stage.engine.begin() as sql:
        sql.execute(text("update users set role = 'admin' where id = :id"), {"id": person.id})


def windows(admin: Person, recipient: Person) -> list[dict[str, object]]:
    """Those of one recipient, page by page."""
    found, after = [], ""
    while True:
        said = admin.asks("GET", f"/api/admin/windows?limit=100{after}")
        found += [one for one in said["items"] if one["recipient"] == recipient.id]
        if said["nextCursor"] is None:
            return found
        after = f"&cursor={said['nextCursor']}"
