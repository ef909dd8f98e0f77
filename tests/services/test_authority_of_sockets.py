"""Who a socket listens for: nobody without a token, and no longer than the token is good."""

from typing import Any

import pytest
import socketio

from tests.outside import PASSWORD, WAIT_SECONDS, Person, Refused, Screen
from tests.services.crew import until
from tests.services.town import Town

pytestmark = pytest.mark.service


def stranger(person: Person, token: str = "") -> Screen:
    screen = Screen(person.base, person.id, token)
    screen.open()
    return screen


def refusal(screen: Screen, said: Any) -> str:
    before = len(screen.of("error"))
    screen.say("join_room", said)
    screen.until(lambda: len(screen.of("error")) > before, "an error")
    return str(screen.of("error")[-1]["message"])


def test_nobody_joins_without_a_token_of_their_own(town: Town) -> None:
    alice, eve = town.people("Alice", "Eve")
    screen = stranger(alice)
    assert refusal(screen, alice.id) == "Authentication required"
    assert refusal(screen, {"userId": alice.id}) == "Authentication required"
    assert refusal(screen, None) == "Authentication required"
    foreign = {"userId": alice.id, "token": eve.token}
    assert refusal(screen, foreign) == "User ID does not match token"
    for bad in ("nonsense", eve.token[:-3], 7, {"a": 1}):
        given = {"userId": alice.id, "token": bad}
        assert refusal(screen, given) == "Invalid or expired token"
    with pytest.raises(Refused):
        Screen(alice.base, alice.id, "nonsense", early=True).open()
    assert screen.joined == []


def test_who_has_not_joined_hears_nothing(town: Town) -> None:
    alice, ann = town.people("Alice", "Ann")
    silent, own, early = stranger(alice), alice.screen(), Screen(alice.base, alice.id, alice.token)
    early.early = True
    early.open()
    post = alice.posts()
    ann.likes(post)
    town.hears(lambda: own.toasts and own.of("post_updated"), "the toast and the count")
    town.hears(lambda: early.toasts and early.of("post_updated"), "the same for an early token")
    assert silent.heard == []
    updated = own.of("post_updated")[-1]
    assert (updated["type"], updated["targetEntityId"]) == ("POST_UPDATED", post)
    assert updated["metadata"]["likesCount"] == 1
    assert updated["metadata"]["commentsCount"] == 0


def test_a_token_at_the_handshake_need_not_be_repeated(town: Town) -> None:
    (alice,) = town.people("Alice")
    screen = Screen(alice.base, alice.id, alice.token, early=True)
    screen.open()
    screen.say("join_room", {"userId": alice.id})
    screen.until(lambda: screen.joined, "joined")
    said = screen.joined[0]
    assert (said["userId"], said["recovered"], said["missed"], said["seq"]) == (
        alice.id,
        False,
        [],
        0,
    )
    assert said["socketId"]
    screen.until(lambda: screen.badges == [(0, 0)], "the badge")


def test_an_official_client_hears_a_toast_by_polling_too(town: Town) -> None:
    alice, ann = town.people("Alice", "Ann")
    heard: list[Any] = []
    client = socketio.Client(reconnection=False)
    client.on("notification", heard.append)
    client.on("joined", heard.append)
    client.connect(alice.base, transports=["polling"])
    try:
        client.emit("join_room", {"userId": alice.id, "token": alice.token})
        until(lambda: heard, WAIT_SECONDS, "joined")
        ann.follows(alice)
        town.hears(lambda: len(heard) > 1, "a toast")
        assert heard[1]["message"] == "Ann started following you"
    finally:
        client.disconnect()


@pytest.mark.slow
def test_a_revoked_token_ends_its_sockets_and_the_account_ends_all(town: Town) -> None:
    alice, ben = town.people("Alice", "Ben")
    screens = [one.screen() for one in (*town.both(alice), *town.both(ben))]
    alice.asks("POST", "/api/auth/logout-all")
    ben.asks("DELETE", f"/api/users/{ben.id}", {"password": PASSWORD})
    for screen in screens:
        town.hears(lambda one=screen: one.closed, "the end of the socket", 70)
    for person in (alice, ben):
        for one in town.both(person):
            assert one.call("GET", "/api/auth/me").status == 401
