"""The aggregator: what it does when what it leans on is away, emptied, or full of nonsense."""

import json
from dataclasses import replace

import pytest
from sqlalchemy import text

from app.domain.errors import Unavailable
from app.domain.events import parse
from app.domain.routing import Topic
from app.streams.kafka import Record
from app.streams.publisher import record_of
from app.wiring import new_id
from tests.cast import EARLIEST
from tests.house import GROUPS, NAMES, RULES, WINDOW_AND_JITTER, House, Lanes

pytestmark = pytest.mark.service
LOW = Topic.LOW.value


def lag(house: House, topic: Topic = Topic.LOW) -> int:
    """Records that the lane's group has yet to commit."""
    return sum(
        len(log) - house.kafka.committed.get((GROUPS[topic], name, partition), 0)
        for (name, partition), log in house.kafka.logs.items()
        if name == topic.value
    )


def likes_in_table(house: House) -> int:
    return int(house.rows("select count(*) from active_likes")[0][0])


def test_a_batch_that_postgres_did_not_take_is_kept_and_settled_later(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.alice.posts("Hello")
    for person in house.people(*NAMES[:2]):
        person.likes("Hello")
    house.bridge.step()

    with monkeypatch.context() as patch:
        patch.setattr(house.engine.pool, "connect", away)
        with pytest.raises(Unavailable):
            house.aggregator.step()
    assert (likes_in_table(house), lag(house)) == (0, 2)

    assert house.aggregator.step() == 2
    assert (likes_in_table(house), lag(house)) == (2, 0)


def away(*_: object) -> None:
    raise Unavailable("PostgreSQL is away, says the test")


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(None, id="no value"),
        pytest.param(b"not json", id="no JSON"),
        pytest.param(b'{"type":"LIKE"}', id="fields missing"),
        pytest.param(b"\xff\xfe\x00", id="no text"),
    ],
)
def test_poison_ends_in_the_dead_letters_and_its_neighbours_pass(
    house: House, value: bytes | None
) -> None:
    house.alice.posts("Hello")
    before, after = house.people("Ann", "Ben")
    before.likes("Hello")
    house.bridge.step()
    house.publisher.publish([Record(LOW, house.alice.id, value)])  # type: ignore[arg-type]
    after.likes("Hello")
    house.bridge.step()

    house.aggregator.step()

    assert likes_in_table(house) == 2
    assert house.rows("select origin from dead_letters") == [(LOW,)]
    assert len(house.kafka.records(Topic.DEAD_LETTER.value)) == 1
    assert lag(house) == 0


STRANGE_COMMENT = {"commentId": "01890000-0000-7000-8000-00000000000A", "content": "x"}


@pytest.mark.parametrize(
    ("changes", "metadata", "dead"),
    [
        pytest.param({"type": "POST_UPDATED"}, {}, 0, id="a kind that has no words"),
        pytest.param({"type": "FOLLOW", "targetId": "actor"}, {}, 1, id="a follow of oneself"),
        pytest.param({"targetId": "nobody"}, {}, 0, id="a recipient who is gone"),
        pytest.param({"type": "MENTION", "targetType": "X" * 21}, {}, 1, id="too long a type"),
        pytest.param({"type": "COMMENT"}, STRANGE_COMMENT, 0, id="a UUID in capitals"),
        pytest.param(
            {"type": "COMMENT"}, STRANGE_COMMENT | {"parentId": "me"}, 1, id="a parent without id"
        ),
    ],
)
def test_what_parses_and_cannot_be_written_leaves_its_neighbours_alone(
    house: House, changes: dict[str, str], metadata: dict[str, str], dead: int
) -> None:
    house.alice.posts("Hello")
    _likes_marketing(house)
    house.people("Ann")[0].likes("Hello")
    house.bridge.step()
    wire = json.loads(house.kafka.records(LOW)[0].value)
    ids = {"actor": wire["actorId"], "nobody": new_id()}
    wire |= {name: ids.get(value, value) for name, value in changes.items()}
    wire["metadata"] = metadata | {"postId": house.posts["Hello"].upper()} if metadata else {}
    house.publisher.publish([Record(LOW, house.alice.id, json.dumps(wire).encode())])

    house.aggregator.step()
    house.clock.forward(WINDOW_AND_JITTER)
    house.flusher.step()
    house.aggregator.step()

    assert likes_in_table(house) == 1
    assert house.rows("select count(*) from dead_letters") == [(dead,)]
    assert lag(house) == 0


def _likes_marketing(house: House) -> None:
    """So that nothing is filtered before it comes to be written."""
    with house.engine.begin() as sql:
        statement = "insert into notification_preferences (user_id, marketing) values (:id, true)"
        sql.execute(text(statement), {"id": house.alice.id})


def test_an_open_window_holds_the_offset_back_and_its_end_lets_it_go(house: House) -> None:
    house.alice.posts("Hello")
    for person in house.people(*NAMES[:5]):
        person.likes("Hello")
    house.bridge.step()
    house.aggregator.step()
    assert lag(house) == 2  # the fourth and fifth like wait in a window

    house.clock.forward(WINDOW_AND_JITTER)
    house.flusher.step()
    house.aggregator.step()  # nothing new came: the quiet lane tells Kafka by itself

    assert lag(house) == 0


@pytest.mark.parametrize("newcomers", [0, 1], ids=["in a quiet lane", "when more comes"])
def test_lost_windows_are_rebuilt_from_kafka(house: House, newcomers: int) -> None:
    house.alice.posts("Hello")
    everybody = house.people(*NAMES[:6])
    for person in everybody[:5]:
        person.likes("Hello")
    house.bridge.step()
    house.aggregator.step()

    house.redis.flushall()
    for person in everybody[5 : 5 + newcomers]:
        house.publisher.publish([_like_of(house, person.id)])
    house.clock.forward(1)
    house.aggregator.step()  # notices
    house.aggregator.step()  # reads again
    house.clock.forward(WINDOW_AND_JITTER)
    house.flusher.step()

    assert likes_in_table(house) == 5 + newcomers
    house.clock.forward(1)
    house.aggregator.step()
    assert lag(house) == 0


def _like_of(house: House, actor: str) -> Record:
    first = house.kafka.records(LOW)[0]
    event = replace(parse(first.value), event_id=new_id(), actor_id=actor, seq=EARLIEST)
    return record_of(event)


def test_an_aggregator_that_comes_after_a_dead_one_changes_nothing_twice(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.alice.posts("Hello")
    for person in house.people(*NAMES[:5]):
        person.likes("Hello")
    house.bridge.step()
    with monkeypatch.context() as patch:
        patch.setattr("workers.aggregator.reach", dies_at("aggregator.written"))
        with pytest.raises(SystemExit):
            house.aggregator.step()
    house.aggregator.lanes[Topic.LOW]._subscriber.close()

    house.aggregator = Lanes(house)
    house.closes()

    assert [toast.split(" liked")[0] for toast in house.alice.toasts] == [
        "Ann",
        "Ben",
        "Cem",
        "Eve and 4 others",
    ]


def dies_at(point: str):  # type: ignore[no-untyped-def]
    def reach(name: str) -> None:
        if name == point:
            raise SystemExit

    return reach


def test_a_full_window_is_written_early_and_told_at_its_end(
    wired,
    engine,
    real_redis,
    monkeypatch: pytest.MonkeyPatch,  # type: ignore[no-untyped-def]
) -> None:
    monkeypatch.setattr("workers.bridge.WAIT_SECONDS", 0.001)
    house = House(wired, replace(RULES, flush_max_rows=2))
    house.alice.posts("Hello")
    for person in house.people(*NAMES[:7]):
        person.likes("Hello")

    house.run()
    assert likes_in_table(house) == 7  # three at once, two pages early
    assert len(house.alice.toasts) == 3

    house.clock.forward(WINDOW_AND_JITTER)
    house.run()
    assert house.alice.toasts[3:] == ["Gus and 6 others liked your post"]
    assert house.alice.frames()[3]["metadata"]["newCount"] == 4
