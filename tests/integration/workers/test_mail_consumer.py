"""Mail consumer: which client events become outgoing messages, each once."""

import json
from typing import Any

import pytest
from sqlalchemy import Engine, text

from app.domain.errors import Unavailable
from app.domain.routing import Topic
from app.messaging.records import ProducerRecord
from app.persistence.outgoing_messages import OutgoingMessages
from tests.support.fakes import ManualClock, MemoryKafka
from tests.support.fixtures import insert_users, new_id
from workers.mail_consumer import CONSUMER_GROUP, OutgoingMessagesWriter

pytestmark = pytest.mark.service
READY = Topic.READY.value


class MailConsumerHarness:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.kafka = MemoryKafka()
        (self.ann_id,) = insert_users(engine, "Ann")
        subscriber: Any = self.kafka.subscriber(CONSUMER_GROUP, READY)
        self.consumer = OutgoingMessagesWriter(subscriber, OutgoingMessages(engine), ManualClock().now)

    def announce(self, *channels: str, client_event: str = "notification", **changes: Any) -> None:
        data = {
            "id": new_id(),
            "version": 1,
            "type": "LIKE",
            "message": "Ben liked your post",
            "metadata": {"channels": list(channels)},
        }
        value = {
            "id": 1,
            "targetId": changes.pop("targetId", self.ann_id),
            "clientEvent": client_event,
            "seq": changes.pop("seq", 1),
            "at": "2026-05-01T00:00:00.000Z",
            "data": data | changes,
        }
        self.publish(json.dumps(value).encode())

    def publish(self, value: bytes) -> None:
        self.kafka.publisher().publish([ProducerRecord(READY, self.ann_id, value)])

    def rows(self) -> list[tuple[Any, ...]]:
        with self.engine.connect() as conn:
            rows = conn.execute(
                text(
                    "select user_id::text, channel, type, critical, status, "
                    "extract(epoch from expires_at - created_at)::int "
                    "from outgoing_messages order by id"
                )
            )
            return [tuple(row) for row in rows]

    def lag(self) -> int:
        committed = sum(
            offset for (group, *_), offset in self.kafka.committed_offsets.items() if group == CONSUMER_GROUP
        )
        return len(self.kafka.records(READY)) - committed


@pytest.fixture
def mail_consumer_harness(engine: Engine) -> MailConsumerHarness:
    return MailConsumerHarness(engine)


def test_client_event_becomes_a_message_for_each_channel(
    mail_consumer_harness: MailConsumerHarness,
) -> None:
    mail_consumer_harness.announce("PUSH", "EMAIL", "SMS")
    assert mail_consumer_harness.consumer.step() == 1
    assert mail_consumer_harness.rows() == [
        (mail_consumer_harness.ann_id, "EMAIL", "LIKE", False, "waiting", 24 * 3600),
        (mail_consumer_harness.ann_id, "SMS", "LIKE", False, "waiting", 24 * 3600),
    ]
    assert mail_consumer_harness.lag() == 0


@pytest.mark.parametrize(
    ("channels", "client_event", "data"),
    [
        pytest.param(["PUSH"], "notification", {}, id="push only"),
        pytest.param([], "notification", {}, id="no channel"),
        pytest.param(["EMAIL"], "notification_updated", {}, id="update"),
        pytest.param(["EMAIL"], "notification_removed", {}, id="removal"),
        pytest.param(["EMAIL"], "notification", {"type": "OTP"}, id="critical kind"),
        pytest.param(["EMAIL"], "notification", {"id": "../../etc/passwd"}, id="path as id"),
        pytest.param(["EMAIL"], "notification", {"id": None}, id="no id"),
        pytest.param(["EMAIL"], "notification", {"type": None}, id="no type"),
        pytest.param(["EMAIL"], "notification", {"version": None}, id="no version"),
        pytest.param(["EMAIL"], "notification", {"version": 2**40}, id="version too large"),
        pytest.param(["EMAIL"], "notification", {"seq": None}, id="no seq"),
        pytest.param(["EMAIL"], "notification", {"seq": 2**70}, id="seq too large"),
        pytest.param(["EMAIL"], "notification", {"metadata": "EMAIL"}, id="metadata is not an object"),
        pytest.param(["EMAIL"], "notification", {"metadata": None}, id="no metadata"),
        pytest.param(["EMAIL"], "notification", {"targetId": new_id()}, id="unknown recipient"),
    ],
)
def test_event_without_an_email_or_sms_to_send_creates_no_message(
    mail_consumer_harness: MailConsumerHarness,
    channels: list[str],
    client_event: str,
    data: dict[str, Any],
) -> None:
    mail_consumer_harness.announce(*channels, client_event=client_event, **data)
    mail_consumer_harness.publish(b"not json")
    mail_consumer_harness.announce("EMAIL")
    while mail_consumer_harness.consumer.step():
        pass
    assert len(mail_consumer_harness.rows()) == 1  # the valid one
    assert mail_consumer_harness.lag() == 0


def test_offset_is_not_committed_without_postgresql(
    mail_consumer_harness: MailConsumerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raise_unavailable(*_: object) -> None:
        raise Unavailable("PostgreSQL is unavailable")

    mail_consumer_harness.announce("EMAIL")
    with monkeypatch.context() as patch:
        patch.setattr(OutgoingMessages, "add_messages", raise_unavailable)
        with pytest.raises(Unavailable):
            mail_consumer_harness.consumer.step()
    assert mail_consumer_harness.lag() == 1
    assert mail_consumer_harness.consumer.step() == 1
    assert (len(mail_consumer_harness.rows()), mail_consumer_harness.lag()) == (1, 0)
