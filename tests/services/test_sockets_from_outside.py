"""Real sockets under load: nothing is missed and nothing comes twice, and all screens agree."""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.cast import new_id
from tests.outside import Person, Screen
from tests.services.crew import until
from tests.services.town import Town

pytestmark = [pytest.mark.service, pytest.mark.slow]
DROPS, STEPS = 100, 300


@contextmanager
def busy(doings: list[Callable[[random.Random], object]]) -> Iterator[None]:
    """Does these again and again, each in a thread, until the block ends."""
    over, faults = threading.Event(), []

    def again(doing: Callable[[random.Random], object]) -> None:
        draw = random.Random(id(doing))
        try:
            while not over.is_set():
                doing(draw)
                over.wait(0.01)
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=again, args=(doing,), daemon=True) for doing in doings]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(30)
    assert not faults, faults


def test_a_client_that_loses_its_socket_a_hundred_times_has_every_frame_once(town: Town) -> None:
    alice, *crowd = town.people("Alice", "Ann", "Ben", "Cem", "Dan")
    posts = [alice.posts(f"Post {number}") for number in range(12)]

    def wish(person: Person) -> Callable[[random.Random], object]:
        return lambda draw: draw.choice([person.likes, person.likes, person.unlikes])(
            draw.choice(posts)
        )

    draw, screen = random.Random(7), alice.screen()
    recovered = []
    with busy([wish(person) for person in crowd]):
        until(lambda: screen.seqs, 90, "the first frame")
        for _ in range(DROPS):
            threading.Event().wait(draw.uniform(0, 0.2))
            screen.drop()
            screen.base = draw.choice(town.webs).address
            screen.early = draw.random() < 0.5
            if draw.random() < 0.2:  # gone again before it was let in
                screen.join(wait=False)
                screen.drop()
            recovered.append(screen.join()["recovered"])
    town.stage.settles()
    last = screen.join()
    assert last is not None

    assert all(recovered)
    assert last["seq"] > DROPS, "there was some load"
    assert screen.seqs == list(range(1, last["seq"] + 1))
    told = town.stage.rows(
        "select seq, frame, payload->>'id', (payload->>'version')::int from outbox "
        "where user_id = :user and seq is not null order by seq",
        user=alice.id,
    )
    heard = [
        (data["seq"], event, data["id"], data["version"])
        for event, data in screen.heard
        if event.startswith("notification")
    ]
    assert heard == told
    versions = [version for version, _ in screen.badges]
    assert versions == sorted(versions)
    screen.drop()


@pytest.mark.parametrize(
    "since",
    [
        pytest.param({"epoch": new_id(), "seq": 0}, id="a history nobody knows"),
        pytest.param({"epoch": "x", "seq": 0}, id="no history at all"),
        pytest.param({"epoch": "real", "seq": 10_000}, id="a place in the future"),
        pytest.param({"epoch": "real", "seq": -1}, id="a place before the first"),
        pytest.param({"epoch": "real", "seq": "0"}, id="a place that is no number"),
        pytest.param("nonsense", id="no place"),
        pytest.param(None, id="nothing said"),
    ],
)
def test_whoever_names_no_known_place_starts_afresh(town: Town, since: Any) -> None:
    alice, ann = town.people("Alice", "Ann")
    ann.follows(alice)
    screen = alice.screen()
    until(lambda: alice.badge == 1, 90, "a row")
    if isinstance(since, dict) and since["epoch"] == "real":
        since = since | {"epoch": screen.joined[0]["epoch"]}
    screen.drop()
    said = screen.join(since=since)
    assert said is not None
    assert (said["missed"], said["recovered"]) == ([], False)
    assert said["userId"] == alice.id
    assert said["seq"] == 1
    screen.drop()


class Model:
    """What a screen can know by its frames alone: which rows there are, and which are unread."""

    def __init__(self, screen: Screen) -> None:
        rows: dict[str, dict[str, Any]] = {}
        for event, data in screen.heard:
            if event == "notification_removed":
                rows.pop(data["id"], None)
            elif event.startswith("notification"):
                assert data["version"] > rows.get(data["id"], {"version": 0})["version"]
                rows[data["id"]] = data
        self.unread = {one for one, row in rows.items() if not row["isRead"]}
        self.all = set(rows)


def test_four_sockets_and_rest_agree_on_the_badge_after_300_random_steps(town: Town) -> None:
    alice, *crowd = town.people("Alice", "Ann", "Ben", "Cem", "Dan", "Eve")
    posts = [alice.posts(f"Post {number}") for number in range(8)]
    homes = town.both(alice)
    screens = [home.screen() for home in homes * 2]
    draw = random.Random(11)
    seen_versions = [0]

    def arrive() -> None:
        person, post = draw.choice(crowd), draw.choice(posts)
        draw.choice([person.likes, person.likes, person.unlikes])(post)

    def mark(verb: str) -> None:
        rows = draw.choice(homes).inbox()
        if rows:
            row = draw.choice(rows)["id"]
            path = f"/api/notifications/{row}" + ("" if verb == "DELETE" else f"/{verb}")
            said = draw.choice(homes).call("DELETE" if verb == "DELETE" else "PATCH", path)
            # Its last actor may have left it meanwhile.
            assert said.status in (200, 404), said

    def all_rows(verb: str) -> None:
        rows = draw.choice(homes).inbox()
        up_to = draw.choice([row["seq"] for row in rows]) if rows else 0
        body = {"upTo": up_to} if draw.random() < 0.7 else {}
        draw.choice(homes).asks("PATCH", f"/api/notifications/{alice.id}/{verb}", body)

    def look() -> None:
        said = draw.choice(homes).asks("GET", f"/api/notifications/{alice.id}/unread-count")
        assert said["version"] >= seen_versions[-1], "REST went back"
        seen_versions.append(said["version"])
        assert said["count"] == sum(said["breakdown"].values())

    steps: list[Callable[[], object]] = [
        *[arrive] * 8,
        look,
        lambda: mark("read"),
        lambda: mark("unread"),
        lambda: mark("archive"),
        lambda: mark("DELETE"),
        lambda: all_rows("seen"),
        lambda: all_rows("read-all"),
    ]
    for _ in range(STEPS):
        draw.choice(steps)()
    crowd[0].follows(alice)  # so that there is something in the badge
    town.stage.settles()

    at_rest = [home.asks("GET", f"/api/notifications/{alice.id}/unread-count") for home in homes]
    assert at_rest[0] == at_rest[1]
    count, version = at_rest[0]["count"], at_rest[0]["version"]
    assert count >= 1
    for screen in screens:
        until(lambda last=screen: last.badges[-1] == (version, count), 90, f"{version}: {count}")
        versions = [one for one, _ in screen.badges]
        assert versions == sorted(set(versions)), "a badge went back"
        assert screen.seqs == list(range(1, len(screen.seqs) + 1))
        model = Model(screen)
        assert len(model.unread) == count
        assert model.all == {row["id"] for row in alice.inbox()}
        assert model.unread == {row["id"] for row in alice.inbox(unreadOnly="true")}
        screen.drop()
