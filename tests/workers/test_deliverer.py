"""The deliverer and the recorder: one is never held up by the other, nor by nonsense."""

import time
from typing import Any

import orjson
import pytest

from app.domain.errors import Unavailable
from app.domain.routing import Topic
from app.stores.delivery_log import TABLE, DeliveryLog, dynamodb
from app.streams.kafka import Record
from app.wiring import new_id
from tests.house import NAMES, House
from workers.deliverer import Recorder

pytestmark = pytest.mark.service
READY = Topic.READY.value


def ready(house: House, **changes: object) -> Record:
    """A frame as the relay publishes it, but for what the test changes."""
    value: dict[str, object] = {
        "id": 1,
        "targetId": house.alice.id,
        "frame": "notification",
        "seq": 1,
        "at": "2026-01-01T00:00:00.000Z",
        "data": {"id": new_id(), "version": 1, "message": "Hello", "metadata": {"channels": []}},
    }
    return Record(READY, house.alice.id, orjson.dumps(value | changes))


def data(**changes: object) -> dict[str, object]:
    return {"id": new_id(), "version": 1, "message": "Hello", "metadata": {}} | changes


def named(**changes: object) -> dict[str, object]:
    """A frame that names somebody, but for what the test changes."""
    group: object = {"title": "t", "count": 1, "quote": None}
    metadata = {"aggregatedActors": [new_id()], "aggregatedCount": 1}
    return data(type="LIKE", metadata=metadata, group=group, actorId=new_id()) | changes


STRANGE = [
    pytest.param({"frame": "unknown"}, id="an unknown frame"),
    pytest.param({"targetId": "nobody"}, id="a target without id"),
    pytest.param({"data": []}, id="no data"),
    pytest.param({"data": data(metadata=[])}, id="metadata that is no object"),
    pytest.param({"data": data(metadata={"channels": 1})}, id="channels that are no list"),
    pytest.param({"data": data(version="one")}, id="a version that is no number"),
    pytest.param({"data": data(priority="")}, id="an empty priority"),
    pytest.param({"data": data(type="x" * 500_000)}, id="larger than the log takes"),
    pytest.param({"at": ""}, id="no time"),
    pytest.param({"id": True}, id="an id that is no number"),
    pytest.param({"seq": "one"}, id="a seq that is no number"),
    pytest.param({"data": named(group="all")}, id="a group that is no object"),
    pytest.param({"data": named(group={})}, id="a group without its count"),
    pytest.param({"data": named(actorId="ann")}, id="an actor without id"),
    pytest.param({"data": named(quote=7)}, id="a quote that is no text"),
    pytest.param({"data": named(type=None)}, id="names and no type"),
    pytest.param({"data": named(metadata={"aggregatedActors": 7})}, id="actors that are no list"),
]


@pytest.mark.parametrize("changes", STRANGE)
def test_poison_on_the_ready_topic_ends_in_the_dead_letters_and_its_neighbours_pass(
    house: House, changes: dict[str, object]
) -> None:
    house.publisher.publish([ready(house), ready(house, **changes), ready(house, id=3)])

    house.deliverer.step()

    assert len(house.alice.frames()) == 2
    assert house.rows("select origin from dead_letters") == [(READY,)]


class Shelf:
    """A delivery log in memory; takes what DynamoDB would."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self.away = False

    def record(self, items: list[dict[str, Any]]) -> None:
        if self.away:
            raise Unavailable("DynamoDB is away, says the test")
        self.items += items


def recorder(house: House, shelf: Any) -> Recorder:
    subscriber: Any = house.kafka.subscriber("delivery-log-consumer", READY)
    return Recorder(subscriber, shelf, house.clock.now)


@pytest.mark.parametrize("changes", STRANGE)
def test_the_log_leaves_poison_to_the_deliverer_and_records_its_neighbours(
    house: House, environment: dict[str, str], changes: dict[str, object]
) -> None:
    log = DeliveryLog(_client(environment))
    log.create()
    house.publisher.publish([ready(house), ready(house, **changes), ready(house, id=3)])

    assert recorder(house, log).step() == 3

    deadline = time.monotonic() + 5  # an index of DynamoDB follows its table by a moment
    while len(log.of_user(house.alice.id, 10)) < 2 and time.monotonic() < deadline:
        pass
    assert len(log.of_user(house.alice.id, 10)) == 2
    assert house.rows("select count(*) from dead_letters") == [(0,)]


def _client(environment: dict[str, str]) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        client = dynamodb(environment["DYNAMODB_ENDPOINT_URL"], "us-east-1")
        client.list_tables()
    return client


def test_a_log_that_is_away_delays_no_toast_and_is_complete_afterwards(house: House) -> None:
    shelf = Shelf()
    shelf.away = True
    logging = recorder(house, shelf)
    house.alice.posts("Hello")
    for person in house.people(*NAMES[:2]):
        person.likes("Hello")
    house.run()

    with pytest.raises(Unavailable):
        logging.step()
    assert len(house.alice.toasts) == 2

    shelf.away = False
    logging.step()
    assert [item["frame"]["S"] for item in shelf.items] == ["notification", "notification"]


def test_of_several_badges_only_the_newest_is_sent(house: House) -> None:
    for caption in ("One", "Two"):
        house.alice.posts(caption)
    (ann,) = house.people("Ann")
    ann.likes("One")
    ann.likes("Two")
    house.bridge.step()
    house.bridge.step()
    house.aggregator.step()
    house.relay.step()
    (ben,) = house.people("Ben")
    ben.follows(house.alice)
    house.bridge.step()
    house.aggregator.step()
    house.relay.step()

    house.deliverer.step()

    assert [one["count"] for one in house.push.told(house.alice.id, "unread_count")] == [3]
    assert len(house.alice.frames()) == 3


def test_a_frame_that_was_polled_by_a_dead_deliverer_is_sent_by_the_next(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reach(name: str) -> None:
        if name == "deliverer.polled":
            raise SystemExit

    house.publisher.publish([ready(house)])
    with monkeypatch.context() as patch:
        patch.setattr("workers.deliverer.reach", reach)
        with pytest.raises(SystemExit):
            house.deliverer.step()
    assert house.alice.toasts == []

    house.deliverer._subscriber.close()  # the broker gave it up
    assert house.new_deliverer().step() == 1
    assert house.alice.toasts == ["Hello"]


def test_a_frame_that_redis_did_not_take_is_sent_by_the_next(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise Unavailable("Redis did not tell it in time", "redis_unavailable")

    house.publisher.publish([ready(house)])
    with monkeypatch.context() as patch:
        patch.setattr(house.push, "emit", away)
        with pytest.raises(Unavailable):
            house.deliverer.step()

    house.deliverer._subscriber.close()  # it is killed
    assert house.new_deliverer().step() == 1
    assert house.alice.toasts == ["Hello"]


def test_the_table_is_the_one_the_contract_names() -> None:
    assert TABLE == "NotificationLogs"
