"""Socket dispatcher: each client event once and in order at each socket, whichever path is the fastest."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine

from app.clients.postgres import psycopg2_url
from app.delivery.history import ClientEventHistory, ResumeResult
from app.delivery.socket_cursor import MAX_WAITING_EVENTS
from app.delivery.socket_dispatcher import CATCH_UP_BATCH_SIZE, SocketDispatcher
from app.domain.errors import Unavailable
from app.persistence.critical_notify import CriticalClientEvent
from tests.support.event_writer_harness import EventWriterHarness
from tests.support.fixtures import like_event, new_id, otp_event

pytestmark = pytest.mark.service
PHONE, LAPTOP = "phone", "laptop"


@dataclass
class DispatcherHarness:
    """The dispatcher of a web process to which Alice is connected with her phone, and what it sent."""

    writer: EventWriterHarness
    sent: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    """(socket, event, data)"""
    closed_sids: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.alice_id = self.writer.sample_users.alice_id
        self.history = ClientEventHistory(self.writer.engine)
        self.dispatcher = self.new_dispatcher(self.writer.engine)
        self.join(PHONE, 0)

    def new_dispatcher(self, engine: Engine) -> SocketDispatcher:
        return SocketDispatcher(ClientEventHistory(engine), self.send, self.closed_sids.append)

    def send(self, event: str, data: dict[str, Any], sid: str) -> None:
        self.sent.append((sid, event, data))

    def join(self, sid: str, client_seq: int, user_id: str = "") -> None:
        cursor = self.dispatcher.add_socket(user_id or self.alice_id, sid)
        cursor.begin_join()
        self.dispatcher.end_join(cursor, ResumeResult("epoch", client_seq))

    def lose_postgresql(self) -> None:
        self.dispatcher._history = ClientEventHistory(
            create_engine(psycopg2_url("postgresql://nobody@127.0.0.1:1/none"))
        )

    def write_likes(self, count: int) -> None:
        sample_users = self.writer.sample_users
        for seq, user_id in enumerate((sample_users.bob_id, sample_users.carol_id)[:count], 1):
            self.writer.write(like_event(user_id, sample_users, seq))

    def write_code(self) -> CriticalClientEvent:
        event = otp_event(self.writer.sample_users, 9)
        [critical_event] = self.writer.write(event).critical_events
        return critical_event

    def notify(self, critical_event: CriticalClientEvent) -> None:
        self.dispatcher.on_notify(f"{self.alice_id} {critical_event.client_seq}")

    def receive_from_redis(self, *client_seqs: int) -> None:
        """All client events of Alice, or those with these numbers, as the deliverer pushes them."""
        for event, data in self.writer.query("select client_event, payload from outbox order by id"):
            if not client_seqs or data.get("seq") in client_seqs:
                self.dispatcher.deliver(self.alice_id, event, data, "redis")

    def seqs(self, sid: str = PHONE) -> list[int | None]:
        """Of a preview: None."""
        return [
            data.get("seq") for to, event, data in self.sent if to == sid and event.startswith("notification")
        ]

    def badge_versions(self, sid: str = PHONE) -> list[int]:
        return [data["version"] for to, event, data in self.sent if (to, event) == (sid, "unread_count")]


@pytest.fixture
def harness(writer: EventWriterHarness) -> DispatcherHarness:
    return DispatcherHarness(writer)


def test_notify_delivers_the_code_after_the_events_before_it(harness: DispatcherHarness) -> None:
    harness.write_likes(2)

    harness.notify(harness.write_code())
    harness.dispatcher.send_missed_events()
    harness.receive_from_redis()

    assert harness.seqs() == [1, 2, 3]
    assert harness.sent[2][2]["message"] == "Your code is 123456"
    assert harness.badge_versions() == [3]


def test_process_that_wrote_the_event_delivers_it_once(harness: DispatcherHarness) -> None:
    harness.write_likes(1)
    critical_event = harness.write_code()

    harness.dispatcher.deliver_just_written_critical_event(critical_event)
    harness.notify(critical_event)
    harness.receive_from_redis()
    harness.dispatcher.send_missed_events()

    assert harness.seqs() == [1, 2]


def test_code_that_follows_the_last_event_is_delivered_without_a_query(harness: DispatcherHarness) -> None:
    harness.lose_postgresql()
    critical_event = harness.write_code()

    harness.dispatcher.deliver_just_written_critical_event(critical_event)
    harness.notify(critical_event)
    harness.dispatcher.send_missed_events()

    assert harness.seqs() == [1]


def test_code_that_cannot_wait_for_the_history_is_sent_as_a_preview(harness: DispatcherHarness) -> None:
    """The event before it is in Kafka when PostgreSQL becomes unavailable."""
    harness.write_likes(1)
    critical_event = harness.write_code()
    harness.lose_postgresql()

    harness.dispatcher.deliver_just_written_critical_event(critical_event)
    with pytest.raises(Unavailable):
        harness.dispatcher.send_missed_events()
    harness.dispatcher.send_previews(harness.alice_id)
    harness.receive_from_redis(2)
    harness.dispatcher.send_previews(harness.alice_id)
    assert harness.seqs() == [None]

    harness.dispatcher._history = harness.history
    harness.dispatcher.send_missed_events()
    harness.receive_from_redis()
    assert harness.seqs() == [None, 1, 2]
    assert harness.sent[0][2]["message"] == "Your code is 123456"


def test_event_lost_by_redis_is_sent_before_the_next_one(harness: DispatcherHarness) -> None:
    harness.write_likes(2)
    harness.write_code()

    harness.receive_from_redis(1, 3)
    harness.dispatcher.send_missed_events()

    assert harness.seqs() == [1, 2, 3]


def test_user_behind_the_outbox_catches_up_after_a_lost_connection(harness: DispatcherHarness) -> None:
    harness.write_likes(2)

    for _ in range(2):
        harness.dispatcher.mark_all_behind()
        harness.dispatcher.send_missed_events()

    assert harness.seqs() == [1, 2]
    assert harness.badge_versions() == [2]


def test_recipient_of_a_fan_out_page_catches_up(harness: DispatcherHarness) -> None:
    harness.write_likes(1)

    harness.dispatcher.on_notify(f"{'0' * 8}-0000-0000-0000-{'0' * 12} {'f' * 8}-ffff-ffff-ffff-{'f' * 12}")
    harness.dispatcher.send_missed_events()

    assert harness.seqs() == [1]


def test_page_for_other_users_reads_nothing(harness: DispatcherHarness) -> None:
    harness.lose_postgresql()

    harness.dispatcher.on_notify(f"{harness.alice_id[:-1]} {harness.alice_id[:-1]}")

    harness.dispatcher.send_missed_events()


def test_each_socket_of_a_user_gets_what_it_lacks(harness: DispatcherHarness) -> None:
    harness.write_likes(2)
    harness.join(LAPTOP, 1)

    harness.receive_from_redis(2)
    harness.dispatcher.send_missed_events()

    assert (harness.seqs(PHONE), harness.seqs(LAPTOP)) == ([1, 2], [2])


def test_user_stays_marked_until_postgresql_answers(harness: DispatcherHarness) -> None:
    critical_event = harness.write_code()
    harness.lose_postgresql()
    harness.notify(critical_event)
    for _ in range(2):
        with pytest.raises(Unavailable):
            harness.dispatcher.send_missed_events()

    harness.dispatcher._history = harness.history
    harness.dispatcher.send_missed_events()

    assert harness.seqs() == [1]


def test_sockets_whose_history_cannot_be_read_are_closed(
    harness: DispatcherHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their clients reconnect and resume. Nothing is lost, and the others are not held up."""

    def fail(*_: object) -> None:
        raise ValueError("a payload that cannot be rendered")

    monkeypatch.setattr(harness.dispatcher._history, "load_events_after_by_user", fail)
    harness.dispatcher.mark_all_behind()

    with pytest.raises(ValueError, match="cannot be rendered"):
        harness.dispatcher.send_missed_events()

    assert harness.closed_sids == [PHONE]
    harness.dispatcher.send_missed_events()  # nobody is left who is behind


def test_notify_for_a_user_without_sockets_runs_no_query(harness: DispatcherHarness) -> None:
    harness.lose_postgresql()
    harness.dispatcher.remove_socket(harness.alice_id, PHONE)

    harness.dispatcher.on_notify(f"{harness.alice_id} 3")
    harness.dispatcher.deliver_just_written_critical_event(
        CriticalClientEvent(harness.alice_id, 3, {"seq": 3}, "notification")
    )
    harness.dispatcher.send_missed_events()

    assert harness.sent == []


def test_more_users_than_a_batch_catch_up(harness: DispatcherHarness) -> None:
    harness.write_likes(1)
    harness.dispatcher.remove_socket(harness.alice_id, PHONE)
    for _ in range(CATCH_UP_BATCH_SIZE):
        harness.join("other", 0, new_id())
    harness.join(PHONE, 0)

    harness.dispatcher.mark_all_behind()
    harness.dispatcher.send_missed_events()

    assert harness.seqs() == [1]


def test_socket_with_too_many_waiting_events_is_closed(harness: DispatcherHarness) -> None:
    harness.lose_postgresql()
    for seq in range(2, 3 + MAX_WAITING_EVENTS):
        harness.dispatcher.deliver(harness.alice_id, "notification", {"seq": seq}, "redis")

    assert harness.closed_sids == [PHONE]
    harness.dispatcher.send_missed_events()
    assert harness.sent == []
