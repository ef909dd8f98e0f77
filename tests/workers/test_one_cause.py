"""One cause, one notification: COMMENT_REPLY, else MENTION, else COMMENT, else BELL_POST."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import orjson
import pytest
from sqlalchemy import text

from app.actions import Actions
from app.domain.events import Kind
from app.domain.ledger import Frame
from app.domain.routing import Topic
from tests.house import House, Person
from tests.workers.past_redis import PastRedis

pytestmark = pytest.mark.service
COMMENT, REPLY, MENTION, BELL = Kind.COMMENT, Kind.COMMENT_REPLY, Kind.MENTION, Kind.BELL_POST
NAMED = "look, @alice"


@dataclass
class Scene:
    """Alice has a post and a comment there; Ann does something, by way of Redis or past it."""

    house: House
    ann: Person
    acting: Actions
    moves: Callable[[], None]
    """All workers, until nothing moves."""
    ids: dict[str, str] = field(default_factory=dict)

    def does(self, what: str) -> str:
        act: dict[str, Callable[[], str]] = {
            "comment": lambda: self.acting.comment(self.ann.id, self.post, NAMED).id,
            "reply": lambda: self.acting.reply(self.ann.id, self.ids["parent"], NAMED).id,
            "post": lambda: self.acting.post(self.ann.id, NAMED, None),
        }
        return act[what]()

    @property
    def post(self) -> str:
        return self.house.posts["Hello"]

    def switches_off(self, *kinds: Kind) -> None:
        off = {kind.value: {"push": False, "email": False, "sms": False} for kind in kinds}
        with self.house.engine.begin() as sql:
            sql.execute(
                text(
                    "insert into notification_preferences (user_id, matrix) "
                    "values (:alice, cast(:matrix as jsonb)) "
                    "on conflict (user_id) do update set matrix = excluded.matrix"
                ),
                {"alice": self.house.alice.id, "matrix": orjson.dumps(off).decode()},
            )

    def mutes(self, column: str, other: str) -> None:
        with self.house.engine.begin() as sql:
            sql.execute(
                text(f"insert into mutes (user_id, {column}) values (:alice, :other)"),  # noqa: S608
                {"alice": self.house.alice.id, "other": other},
            )

    @property
    def rang(self) -> list[str]:
        return [one["type"] for one in self.house.alice.frames()]

    def ends(self) -> None:
        """The windows end."""
        self.moves()
        self.house.clock.forward(200)
        self.moves()

    @property
    def listed(self) -> list[str]:
        rows = self.house.rows(
            "select type from notifications where user_id = :alice and version > 0 "
            "and removed_at is null order by 1",
            alice=self.house.alice.id,
        )
        return [row[0] for row in rows]


@pytest.fixture(params=["by Redis", "past Redis"])
def scene(
    request: pytest.FixtureRequest, house: House, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Scene]:
    monkeypatch.setattr("workers.keeper.HOLD_SECONDS", 0.0)
    (ann,) = house.people("Ann")
    with house.engine.begin() as sql:
        sql.execute(text("update users set username = lower(name)"))
        sql.execute(
            text(
                "insert into bell_subscriptions (subscriber_id, target_user_id) "
                "values (:alice, :ann)"
            ),
            {"alice": house.alice.id, "ann": ann.id},
        )
    house.alice.posts("Hello")
    parent = house.alice.comments("Hello", "Mine")
    house.closes()
    if request.param == "by Redis":
        yield Scene(house, ann, house.actions, lambda: void(house.run()), {"parent": parent})
        return
    past = PastRedis(house)
    for lane in house.aggregator.lanes.values():
        lane._subscriber.close()
    lanes = [past.new_lane(topic) for topic in (Topic.HIGH, Topic.LOW)]

    def moves() -> None:
        while sum(one.step() for one in (*lanes, house.relay, house.deliverer)):
            """On."""

    yield Scene(house, ann, past.actions, moves, {"parent": parent})


def void(_: object) -> None:
    return None


CASES = [
    ("comment", (), MENTION),
    ("comment", (MENTION,), COMMENT),
    ("comment", (COMMENT,), MENTION),
    ("comment", (MENTION, COMMENT), None),
    ("reply", (), REPLY),
    ("reply", (REPLY,), MENTION),
    ("reply", (MENTION,), REPLY),
    ("reply", (REPLY, MENTION), None),
    ("post", (), MENTION),
    ("post", (MENTION,), BELL),
    ("post", (BELL,), MENTION),
    ("post", (BELL, MENTION), None),
]


@pytest.mark.parametrize(("what", "off", "expected"), CASES)
def test_one_cause_rings_once_by_the_most_specific_kind_that_is_on(
    scene: Scene, what: str, off: tuple[Kind, ...], expected: Kind | None
) -> None:
    scene.switches_off(*off)

    scene.does(what)
    scene.ends()

    assert scene.rang == scene.listed == ([expected.value] if expected else [])
    assert scene.house.alice.badge == len(scene.rang)


@pytest.mark.parametrize(("what", "off", "expected"), [one for one in CASES if one[2]])
def test_a_choice_that_changes_meanwhile_rings_no_second_time(
    scene: Scene, what: str, off: tuple[Kind, ...], expected: Kind
) -> None:
    scene.switches_off(*off)
    scene.does(what)
    scene.moves()

    scene.switches_off(*({MENTION, COMMENT, REPLY, BELL} - set(off) - {expected}))
    scene.ends()
    again(scene.house)
    scene.ends()

    assert scene.rang == [expected.value]


def again(house: House) -> None:
    """Kafka brings all of it once more."""
    for (topic, _), log in house.kafka.logs.items():
        if topic == Topic.HIGH.value:
            log += list(log)


@pytest.mark.parametrize("off", [(), (MENTION,), (COMMENT,), (REPLY,)])
@pytest.mark.parametrize("what", ["comment", "reply"])
def test_withdrawn_it_leaves_whichever_was_announced(
    scene: Scene, what: str, off: tuple[Kind, ...]
) -> None:
    scene.switches_off(*off)
    comment = scene.does(what)
    scene.ends()
    scene.switches_off()

    scene.acting.delete_comment(scene.ann.id, comment)
    scene.ends()

    assert len(scene.rang) == 1
    assert (scene.listed, scene.house.alice.badge) == ([], 0)
    assert len(scene.house.alice.frames(Frame.REMOVED)) == 1


def test_withdrawn_inside_its_window_a_mention_goes_at_once(scene: Scene) -> None:
    comment = scene.does("comment")
    scene.moves()
    assert scene.listed == [MENTION.value]

    scene.acting.delete_comment(scene.ann.id, comment)
    scene.moves()

    assert scene.listed == []


@pytest.mark.parametrize("what", ["comment", "reply", "post"])
@pytest.mark.parametrize("column", ["muted_user_id", "muted_post_id"])
def test_a_muted_person_or_post_silences_all_kinds(scene: Scene, what: str, column: str) -> None:
    if what == "post" and column == "muted_post_id":
        return  # nobody can mute a post before it exists
    scene.mutes(column, scene.ann.id if column == "muted_user_id" else scene.post)

    scene.does(what)
    scene.ends()

    assert (scene.rang, scene.listed) == ([], [])


def test_a_comment_that_names_nobody_and_one_that_does_are_two_notifications(scene: Scene) -> None:
    scene.acting.comment(scene.ann.id, scene.post, "first")
    named = scene.does("comment")
    scene.ends()

    assert sorted(scene.rang) == sorted([MENTION.value, COMMENT.value])
    assert scene.house.rows("select quote from notifications where type = 'COMMENT'") == [
        ("first",)
    ]
    scene.acting.delete_comment(scene.ann.id, named)
    scene.ends()
    assert scene.listed == [COMMENT.value]


def test_what_was_announced_as_a_mention_does_not_keep_its_author_in_the_row(scene: Scene) -> None:
    first = scene.acting.comment(scene.ann.id, scene.post, "first").id
    scene.does("comment")
    scene.ends()

    scene.acting.delete_comment(scene.ann.id, first)
    scene.ends()

    assert scene.listed == [MENTION.value]


def test_a_comment_waits_though_another_of_its_author_was_withdrawn(scene: Scene) -> None:
    scene.switches_off(MENTION)
    scene.acting.comment(scene.ann.id, scene.post, "first")
    named = scene.does("comment")
    scene.moves()

    scene.acting.delete_comment(scene.ann.id, named)
    scene.ends()

    assert scene.listed == [COMMENT.value]
    assert scene.house.rows("select quote from notifications where type = 'COMMENT'") == [
        ("first",)
    ]


def test_others_whom_it_names_are_told_as_well(scene: Scene) -> None:
    (ben,) = scene.house.people("Ben")
    with scene.house.engine.begin() as sql:
        sql.execute(text("update users set username = 'ben' where name = 'Ben'"))

    scene.acting.comment(scene.ann.id, scene.post, "@alice and @ben")
    scene.ends()

    assert scene.rang == [MENTION.value]
    assert [one["type"] for one in ben.frames()] == [MENTION.value]
