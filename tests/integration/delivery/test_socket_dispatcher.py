"""Socket dispatcher: each client event once and in order, whichever path it arrives by first."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine

from app.clients.postgres import psycopg2_url
from app.delivery.delivered_tracker import DeliveredEventTracker
from app.delivery.history import ClientEventHistory
from app.delivery.socket_dispatcher import SocketDispatcher
from app.domain.errors import Unavailable
from app.messaging.socket_push import user_room
from app.persistence.critical_notify import CriticalClientEvent
from tests.support.event_writer_harness import EventWriterHarness
from tests.support.fixtures import insert_sample_users, like_event, otp_event

pytestmark = pytest.mark.service


@dataclass
class DispatcherHarness:
    """The dispatcher, and the client events emitted to Alice."""

    event_writer_harness: EventWriterHarness
    delivered: DeliveredEventTracker = field(default_factory=DeliveredEventTracker)
    emitted: list[tuple[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.alice_id = self.event_writer_harness.sample_users.alice_id
        self.dispatcher = self.new_dispatcher(self.event_writer_harness.engine)
        self.delivered.start_tracking(self.alice_id, 0)

    def new_dispatcher(self, engine: Engine) -> SocketDispatcher:
        return SocketDispatcher(ClientEventHistory(engine), self.delivered, self.emit)

    def emit(self, event: str, data: dict[str, Any], room: str) -> None:
        assert room == user_room(self.alice_id)
        self.emitted.append((event, data))

    def receive_from_redis(self, dispatcher: SocketDispatcher | None = None) -> None:
        """Passes all client events of Alice to the dispatcher, as the deliverer pushes them."""
        client_events = self.event_writer_harness.query(
            "select client_event, payload from outbox order by id"
        )
        for event, data in client_events:
            if (dispatcher or self.dispatcher).fill_gap_and_check_new(event, data, user_room(self.alice_id)):
                self.emit(event, data, user_room(self.alice_id))

    @property
    def emitted_seqs(self) -> list[int]:
        return [data["seq"] for event, data in self.emitted if event != "unread_count"]

    @property
    def badge_versions(self) -> list[int]:
        return [data["version"] for event, data in self.emitted if event == "unread_count"]


@pytest.fixture
def dispatcher_harness(engine: Engine) -> DispatcherHarness:
    return DispatcherHarness(EventWriterHarness(engine, insert_sample_users(engine)))


def write_likes(dispatcher_harness: DispatcherHarness, like_count: int) -> None:
    sample_users = dispatcher_harness.event_writer_harness.sample_users
    for seq, user_id in enumerate((sample_users.bob_id, sample_users.carol_id)[:like_count], 1):
        dispatcher_harness.event_writer_harness.write(like_event(user_id, sample_users, seq))


def test_notify_delivers_the_code_after_the_events_before_it(
    dispatcher_harness: DispatcherHarness,
) -> None:
    write_likes(dispatcher_harness, 2)
    [critical_event] = dispatcher_harness.event_writer_harness.write(
        otp_event(dispatcher_harness.event_writer_harness.sample_users, 9)
    ).critical_events

    dispatcher_harness.dispatcher.on_notify(f"{dispatcher_harness.alice_id} {critical_event.client_seq}")
    dispatcher_harness.receive_from_redis()

    assert dispatcher_harness.emitted_seqs == [1, 2, 3]
    assert dispatcher_harness.emitted[2][1]["message"] == "Your code is 123456"
    assert dispatcher_harness.badge_versions == [3]


def test_process_that_wrote_the_event_dispatches_it_without_a_query(
    dispatcher_harness: DispatcherHarness,
) -> None:
    write_likes(dispatcher_harness, 1)
    [critical_event] = dispatcher_harness.event_writer_harness.write(
        otp_event(dispatcher_harness.event_writer_harness.sample_users, 9)
    ).critical_events

    dispatcher_harness.dispatcher.emit_just_written_critical_event(critical_event)
    dispatcher_harness.dispatcher.on_notify(f"{dispatcher_harness.alice_id} {critical_event.client_seq}")
    dispatcher_harness.receive_from_redis()

    assert dispatcher_harness.emitted_seqs == [1, 2]


def test_code_is_sent_out_of_order_while_postgresql_is_unavailable(
    dispatcher_harness: DispatcherHarness,
) -> None:
    write_likes(dispatcher_harness, 1)
    [critical_event] = dispatcher_harness.event_writer_harness.write(
        otp_event(dispatcher_harness.event_writer_harness.sample_users, 9)
    ).critical_events
    unreachable_engine = create_engine(psycopg2_url("postgresql://nobody@127.0.0.1:1/none"))

    dispatcher_harness.new_dispatcher(unreachable_engine).emit_just_written_critical_event(critical_event)
    dispatcher_harness.receive_from_redis()

    assert dispatcher_harness.emitted_seqs == [2, 1]


def test_event_lost_by_redis_is_sent_with_the_next_one(
    dispatcher_harness: DispatcherHarness,
) -> None:
    write_likes(dispatcher_harness, 2)
    dispatcher_harness.event_writer_harness.write(
        otp_event(dispatcher_harness.event_writer_harness.sample_users, 9)
    )
    client_events = dispatcher_harness.event_writer_harness.client_events()
    for data in (client_events[0], client_events[2]):
        if dispatcher_harness.dispatcher.fill_gap_and_check_new(
            "notification", data, user_room(dispatcher_harness.alice_id)
        ):
            dispatcher_harness.emit("notification", data, user_room(dispatcher_harness.alice_id))

    assert dispatcher_harness.emitted_seqs == [1, 2, 3]


def test_client_behind_the_tables_is_resynced(dispatcher_harness: DispatcherHarness) -> None:
    write_likes(dispatcher_harness, 2)

    assert dispatcher_harness.dispatcher.emit_missed_to_connected_users() == 1
    assert dispatcher_harness.dispatcher.emit_missed_to_connected_users() == 0
    assert dispatcher_harness.emitted_seqs == [1, 2]


def test_notify_for_a_user_without_sockets_runs_no_query(
    dispatcher_harness: DispatcherHarness,
) -> None:
    unreachable_engine = create_engine(psycopg2_url("postgresql://nobody@127.0.0.1:1/none"))
    dispatcher = dispatcher_harness.new_dispatcher(unreachable_engine)
    dispatcher_harness.delivered.stop_tracking(dispatcher_harness.alice_id)

    dispatcher.on_notify(f"{dispatcher_harness.alice_id} 3")
    dispatcher.emit_just_written_critical_event(
        CriticalClientEvent(dispatcher_harness.alice_id, 3, {"seq": 3}, "notification")
    )

    assert dispatcher_harness.emitted == []


def test_notify_without_postgresql_is_unavailable(
    dispatcher_harness: DispatcherHarness,
) -> None:
    """The loop then counts NOTIFY as disconnected, and resyncs."""
    unreachable_engine = create_engine(psycopg2_url("postgresql://nobody@127.0.0.1:1/none"))
    with pytest.raises(Unavailable):
        dispatcher_harness.new_dispatcher(unreachable_engine).on_notify(f"{dispatcher_harness.alice_id} 3")


@pytest.mark.parametrize("room", [None, "signed-in", ["user:a"]])
def test_event_without_a_user_is_passed_through(dispatcher_harness: DispatcherHarness, room: object) -> None:
    assert dispatcher_harness.dispatcher.fill_gap_and_check_new("post_updated", {"seq": 1}, room)
