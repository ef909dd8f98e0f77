"""Cursor of a socket: each number once and in order, whatever arrives in which order and how often."""

import random

import pytest

from app.delivery.socket_cursor import (
    MAX_PREVIEW_IDS,
    MAX_WAITING_EVENTS,
    ClientEvent,
    SocketCursor,
    TooManyWaitingEvents,
)


def client_event(seq: int) -> ClientEvent:
    return "notification", {"id": f"id-{seq}", "version": 1, "seq": seq}


def critical_event(seq: int) -> ClientEvent:
    return "notification", client_event(seq)[1] | {"priority": "CRITICAL"}


def badge(version: int) -> ClientEvent:
    return "unread_count", {"count": version * 10, "version": version}


def preview(event_id: str) -> ClientEvent:
    return "notification", {"id": event_id, "version": 1, "priority": "CRITICAL"}


def joined(client_seq: int | None) -> SocketCursor:
    cursor = SocketCursor("alice", "socket-1")
    cursor.begin_join()
    assert cursor.end_join(client_seq) == []
    return cursor


def accepted_seqs(cursor: SocketCursor, *seqs: int) -> list[int]:
    return [data["seq"] for seq in seqs for _, data in cursor.accept(*client_event(seq))]


def fill(cursor: SocketCursor, *client_events: ClientEvent) -> list[ClientEvent]:
    return cursor.accept_history(client_events, cursor.begin_history_read())


def test_event_that_arrives_twice_is_sent_once() -> None:
    """However far apart they are: under load the copy may be hundreds of events late."""
    cursor, seqs = joined(3), range(4, 4 + 3 * MAX_WAITING_EVENTS)
    assert accepted_seqs(cursor, *seqs) == list(seqs)
    assert accepted_seqs(cursor, *seqs) == []


def test_event_beyond_a_gap_waits_for_the_events_before_it() -> None:
    cursor = joined(3)
    assert accepted_seqs(cursor, 6, 5, 6) == []
    assert cursor.is_behind
    assert accepted_seqs(cursor, 4) == [4, 5, 6]
    assert not cursor.is_behind


def test_gap_is_filled_from_the_history_and_copies_are_dropped() -> None:
    cursor = joined(3)
    accepted_seqs(cursor, 7)
    assert fill(cursor, *map(client_event, (4, 5, 6, 7)), badge(2)) == [
        *map(client_event, (4, 5, 6, 7)),
        badge(2),
    ]
    assert accepted_seqs(cursor, 5, 8) == [8]
    assert not cursor.is_behind


def test_event_that_arrives_during_the_read_still_waits_for_those_before_it() -> None:
    cursor = joined(3)
    accepted_seqs(cursor, 5)
    known_seq = cursor.begin_history_read()
    accepted_seqs(cursor, 8)  # 6 and 7 are newer than what is being read
    assert cursor.accept_history([client_event(4), client_event(5)], known_seq) == [
        client_event(4),
        client_event(5),
    ]
    assert cursor.is_behind
    assert fill(cursor, *map(client_event, (6, 7, 8))) == [*map(client_event, (6, 7, 8))]


def test_event_that_the_history_lacks_is_skipped() -> None:
    """Purged: without it the socket would wait for ever."""
    cursor = joined(3)
    accepted_seqs(cursor, 9)
    assert fill(cursor, client_event(6)) == [client_event(6), client_event(9)]
    assert not cursor.is_behind


def test_notified_number_is_read_from_the_history() -> None:
    cursor = joined(3)
    assert cursor.expect(4) == []
    assert cursor.is_behind
    assert fill(cursor, client_event(4)) == [client_event(4)]
    assert cursor.expect(4) == []
    assert not cursor.is_behind


def test_events_wait_until_the_end_of_all_joins() -> None:
    cursor = SocketCursor("alice", "socket-1")
    cursor.begin_join()
    cursor.begin_join()
    assert accepted_seqs(cursor, 4, 5) == []
    assert cursor.end_join(4) == []
    assert cursor.take_held_events() == []
    assert cursor.end_join(3) == [client_event(5)], "4 was among the missed events of the first join"


def test_connected_socket_that_does_not_join_gets_events_after_a_while() -> None:
    cursor = SocketCursor("alice", "socket-1")
    assert accepted_seqs(cursor, 4, 6) == []
    assert cursor.take_held_events() == [client_event(4)]
    assert cursor.is_behind


def test_first_number_decides_when_the_history_is_unavailable() -> None:
    cursor = joined(None)
    assert not cursor.is_behind
    assert accepted_seqs(cursor, 8, 9) == [8, 9]


def test_notified_number_decides_when_the_history_was_unavailable() -> None:
    cursor = joined(None)
    cursor.expect(8)
    assert (cursor.last_client_seq, cursor.is_behind) == (7, True)


def test_history_read_during_another_join_is_sent_after_it() -> None:
    cursor = joined(3)
    accepted_seqs(cursor, 5)
    known_seq = cursor.begin_history_read()
    cursor.begin_join()
    assert cursor.accept_history([client_event(4), client_event(5)], known_seq) == []
    assert cursor.end_join(4) == [client_event(5)]


def test_later_join_does_not_set_the_cursor_back() -> None:
    cursor = joined(3)
    cursor.begin_join()
    assert cursor.end_join(1) == []
    assert accepted_seqs(cursor, 2, 3, 4) == [4]


def test_unread_count_with_older_version_is_dropped() -> None:
    cursor = joined(3)
    versions = [version for version in (5, 4, 6, 5, 6) if cursor.accept(*badge(version))]
    assert versions == [5, 6]


def test_preview_is_sent_once_and_its_numbered_copy_in_order() -> None:
    cursor = joined(3)
    assert [len(cursor.accept(*preview("a"))) for _ in range(2)] == [1, 0]
    assert cursor.accept("notification", {"id": "a", "seq": 4}) == [("notification", {"id": "a", "seq": 4})]


def test_waiting_critical_event_is_also_sent_as_a_preview() -> None:
    cursor = joined(3)
    cursor.accept(*critical_event(6))
    accepted_seqs(cursor, 5)
    assert cursor.take_previews() == [preview("id-6")]
    assert cursor.take_previews() == []
    assert accepted_seqs(cursor, 4) == [4, 5, 6]


def test_number_of_remembered_previews_is_limited() -> None:
    cursor = joined(3)
    for number in range(3 * MAX_PREVIEW_IDS):
        cursor.accept(*preview(str(number)))
    assert len(cursor._preview_ids) == MAX_PREVIEW_IDS


def test_too_many_waiting_events_close_the_socket() -> None:
    cursor = joined(3)
    with pytest.raises(TooManyWaitingEvents):
        accepted_seqs(cursor, *range(5, 6 + MAX_WAITING_EVENTS))


class RandomUser:
    """A user whose events are pushed up to three times, in any order, or lost, and notified or not."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.cursor = joined(0)
        self.written_count = 0
        self.on_the_way: list[int] = []
        self.received: list[int] = []

    def write(self) -> None:
        self.written_count += 1
        self.on_the_way += [self.written_count] * self.rng.randint(0, 3)

    def push(self) -> None:
        if self.on_the_way:
            seq = self.on_the_way.pop(self.rng.randrange(len(self.on_the_way)))
            is_notify = self.rng.random() < 0.5
            self.receive(self.cursor.expect(seq) if is_notify else self.cursor.accept(*client_event(seq)))

    def read_history(self) -> None:
        if self.cursor.is_behind:
            after, known_seq = self.cursor.last_client_seq or 0, self.cursor.begin_history_read()
            history = [client_event(seq) for seq in range(after + 1, self.written_count + 1)]
            self.write()
            self.push()
            self.receive(self.cursor.accept_history(history, known_seq))

    def reconnect(self) -> None:
        """The client resumes from its highest number."""
        self.cursor = SocketCursor("alice", "socket-2")
        self.cursor.begin_join()
        position = self.written_count
        self.write()
        self.push()
        self.received += range(max(self.received, default=0) + 1, position + 1)
        self.receive(self.cursor.end_join(position))

    def receive(self, client_events: list[ClientEvent]) -> None:
        self.received += [data["seq"] for _, data in client_events]


@pytest.mark.parametrize("seed", range(20))
def test_copies_losses_and_reconnects_in_random_order_give_each_number_once_in_order(seed: int) -> None:
    user = RandomUser(seed)
    steps = [user.write] * 4 + [user.push] * 6 + [user.read_history] * 2 + [user.reconnect]
    for _ in range(400):
        user.rng.choice(steps)()
    user.receive(fill(user.cursor, *map(client_event, range(1, user.written_count + 1))))

    assert user.received == list(range(1, user.written_count + 1))
