"""The mail consumer: which frames become outgoing messages, each once."""

import json
from typing import Any

import pytest
from sqlalchemy import Engine, text

from app.domain.errors import Unavailable
from app.domain.routing import Topic
from app.stores.outgoing import OutgoingMessages
from app.streams.kafka import Record
from tests.cast import new_id, people
from tests.fakes import Clock, MemoryKafka
from workers.mail_consumer import LETTERS_GROUP, MailConsumer

pytestmark = pytest.mark.service
READY = Topic.READY.value


class Desk:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.kafka = MemoryKafka()
        (self.ann,) = people(engine, "Ann")
        subscriber: Any = self.kafka.subscriber(LETTERS_GROUP, READY)
        self.consumer = MailConsumer(subscriber, OutgoingMessages(engine), Clock().now)

    def announce(self, *channels: str, frame: str = "notification", **changes: Any) -> None:
        data = {
            "id": new_id(),
            "version": 1,
            "type": "LIKE",
            "message": "Ben liked your post",
            "metadata": {"channels": list(channels)},
        }
        value = {
            "id": 1,
            "targetId": changes.pop("targetId", self.ann),
            "frame": frame,
            "seq": changes.pop("seq", 1),
            "at": "2026-05-01T00:00:00.000Z",
            "data": data | changes,
        }
        self.publish(json.dumps(value).encode())

    def publish(self, value: bytes) -> None:
        self.kafka.publisher().publish([Record(READY, self.ann, value)])

    def rows(self) -> list[tuple[Any, ...]]:
        with self.engine.connect() as sql:
            found = sql.execute(
                text(
                    "select user_id::text, channel, type, critical, status, "
                    "extract(epoch from expires_at - created_at)::int "
                    "from outgoing_messages order by id"
                )
            )
            return [tuple(row) for row in found]

    def lag(self) -> int:
        committed = sum(
            offset for (group, *_), offset in self.kafka.committed.items() if group == LETTERS_GROUP
        )
        return len(self.kafka.records(READY)) - committed


@pytest.fixture
def desk(engine: Engine) -> Desk:
    return Desk(engine)


def test_a_frame_becomes_a_message_by_each_channel_that_it_names(desk: Desk) -> None:
    desk.announce("PUSH", "EMAIL", "SMS")
    assert desk.consumer.step() == 1
    assert desk.rows() == [
        (desk.ann, "EMAIL", "LIKE", False, "waiting", 24 * 3600),
        (desk.ann, "SMS", "LIKE", False, "waiting", 24 * 3600),
    ]
    assert desk.lag() == 0


@pytest.mark.parametrize(
    ("channels", "frame", "data"),
    [
        pytest.param(["PUSH"], "notification", {}, id="push alone"),
        pytest.param([], "notification", {}, id="no channel"),
        pytest.param(["EMAIL"], "notification_updated", {}, id="a change without a ring"),
        pytest.param(["EMAIL"], "notification_removed", {}, id="a removal"),
        pytest.param(["EMAIL"], "notification", {"type": "OTP"}, id="a critical one"),
        pytest.param(["EMAIL"], "notification", {"id": "../../etc/passwd"}, id="an id that climbs"),
        pytest.param(["EMAIL"], "notification", {"id": None}, id="no id"),
        pytest.param(["EMAIL"], "notification", {"type": None}, id="no type"),
        pytest.param(["EMAIL"], "notification", {"version": None}, id="no version"),
        pytest.param(["EMAIL"], "notification", {"version": 2**40}, id="a version without end"),
        pytest.param(["EMAIL"], "notification", {"seq": None}, id="no number"),
        pytest.param(["EMAIL"], "notification", {"seq": 2**70}, id="a number without end"),
        pytest.param(["EMAIL"], "notification", {"metadata": "EMAIL"}, id="metadata of no object"),
        pytest.param(["EMAIL"], "notification", {"metadata": None}, id="no metadata"),
        pytest.param(["EMAIL"], "notification", {"targetId": new_id()}, id="nobody we know"),
    ],
)
def test_no_message_comes_of(
    desk: Desk, channels: list[str], frame: str, data: dict[str, Any]
) -> None:
    desk.announce(*channels, frame=frame, **data)
    desk.publish(b"not json")
    desk.announce("EMAIL")
    while desk.consumer.step():
        pass
    assert len(desk.rows()) == 1  # the neighbour's
    assert desk.lag() == 0


def test_without_postgresql_nothing_is_committed_and_all_is_read_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise Unavailable("away")

    desk.announce("EMAIL")
    with monkeypatch.context() as patch:
        patch.setattr(OutgoingMessages, "add", away)
        with pytest.raises(Unavailable):
            desk.consumer.step()
    assert desk.lag() == 1
    assert desk.consumer.step() == 1
    assert (len(desk.rows()), desk.lag()) == (1, 0)
