"""Whoever is erased or blocked is gone from groups, samples, badges and lists, live and by REST."""

import json
from collections.abc import Callable

import pytest

from tests.outside import PASSWORD, Person
from tests.services.crew import until
from tests.services.town import Town

pytestmark = pytest.mark.service


def erase(alice: Person, ben: Person) -> None:
    ben.asks("DELETE", f"/api/users/{ben.id}", {"password": PASSWORD})


def block(alice: Person, ben: Person) -> None:
    alice.asks("PUT", f"/api/blocks/{ben.id}")


LEAVES = [pytest.param(erase, id="erased"), pytest.param(block, id="blocked")]


@pytest.mark.parametrize("leave", LEAVES)
def test_they_vanish_from_everything_their_victim_sees(
    town: Town, leave: Callable[[Person, Person], None]
) -> None:
    alice, ann, ben = town.people("Alice", "Ann", "Benjamin")
    screen = alice.screen()
    shared, alone, said = alice.posts("Shared"), alice.posts("Alone"), alice.posts("Said")
    ann.likes(shared)
    ben.likes(shared)
    ben.likes(alone)
    ben.comments(said, "Words")
    ben.follows(alice)
    until(lambda: len(alice.inbox()) == 4 and alice.badge == 4, 90, "four rows")
    town.stage.settles()

    leave(alice, ben)

    until(lambda: [row["message"] for row in alice.inbox()] == ["Ann liked your post"], 90, "one")
    [row] = alice.inbox()
    assert (row["aggregatedCount"], row["actorId"]) == (1, ann.id)
    assert [one["id"] for one in row["actors"]] == [ann.id]
    actors = alice.asks("GET", f"/api/notifications/{row['id']}/actors")["actors"]
    assert [one["id"] for one in actors] == [ann.id]
    assert alice.badge == 1
    until(lambda: len(screen.of("notification_removed")) == 3, 90, "three rows go")
    until(lambda: screen.badges[-1][1] == 1, 90, "the badge follows")
    assert screen.of("notification_updated")[-1]["message"] == "Ann liked your post"
    everything = json.dumps(
        [row, actors, alice.asks("GET", f"/api/notifications/{alice.id}/grouped")]
    )
    assert ben.id not in everything
    assert "Benjamin" not in everything
    again = alice.at(town.webs[-1].address).screen()
    assert len(again.joined) == 1


@pytest.mark.parametrize("leave", LEAVES)
def test_what_they_do_while_leaving_tells_nobody(
    town: Town, leave: Callable[[Person, Person], None]
) -> None:
    """Their window is still open when they go."""
    alice, ann, ben = town.people("Alice", "Ann", "Ben")
    screen, post = alice.screen(), alice.posts()
    ben.comments(post, "Too late")
    leave(alice, ben)
    ann.follows(alice)
    town.hears(lambda: screen.toasts, "Ann's toast")
    town.stage.settles()
    assert screen.toasts == ["Ann started following you"]
    assert [row["type"] for row in alice.inbox()] == ["FOLLOW"]


def test_an_erased_person_is_in_no_list_and_no_count(town: Town) -> None:
    alice, ben = town.people("Alice", "Ben")
    post = alice.posts()
    ben.likes(post)
    ben.follows(alice)
    alice.follows(ben)
    ben.comments(post, "Hello there")
    his = ben.posts("His own")
    alice.likes(his)
    town.stage.settles()

    erase(alice, ben)

    town.stage.settles()
    for one in town.both(alice):
        assert one.call("GET", f"/api/users/{ben.id}").status == 404
        assert one.call("GET", f"/api/posts/{his}").status == 404
        assert one.asks("GET", f"/api/users/search?q={ben.username}")["users"] == []
        assert one.asks("GET", f"/api/posts/{post}/likes")["users"] == []
        assert one.asks("GET", f"/api/follows/{alice.id}/followers")["followers"] == []
        assert one.asks("GET", f"/api/follows/{alice.id}/following")["following"] == []
        assert one.asks("GET", f"/api/comments?postId={post}")["comments"] == []
        shown = one.asks("GET", f"/api/posts/{post}")["post"]
        assert (shown["likesCount"], shown["commentsCount"]) == (0, 0)
        me = one.asks("GET", f"/api/users/{alice.id}")["user"]
        assert (me["followersCount"], me["followingCount"]) == (0, 0)
    assert ben.call("GET", "/api/auth/me").status == 401


def test_a_blocked_person_cannot_come_back_by_doing_it_again(town: Town) -> None:
    alice, ann, ben = town.people("Alice", "Ann", "Ben")
    screen, post = alice.screen(), alice.posts()
    block(alice, ben)
    assert [one["id"] for one in alice.asks("GET", "/api/blocks")["users"]] == [ben.id]
    for call in (
        lambda: ben.call("PUT", f"/api/posts/{post}/like"),
        lambda: ben.call(
            "POST", "/api/comments", {"postId": post, "content": f"@{alice.username}"}
        ),
        lambda: ben.call("PUT", f"/api/follows/{alice.id}"),
        lambda: ben.call("POST", "/api/posts", {"caption": f"Hey @{alice.username}"}),
    ):
        assert call().status < 500
    ann.likes(post)
    town.hears(lambda: screen.toasts, "Ann's toast")
    town.stage.settles()
    assert screen.toasts == ["Ann liked your post"]
    assert [row["aggregatedCount"] for row in alice.inbox()] == [1]
