"""The mailer: each message is retried and ends by itself, whatever the server does to others."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import gevent
import gevent.event
import pytest
from sqlalchemy import Engine

from app import breakers
from app.domain.errors import Poisoned, Rejected, Unavailable
from app.domain.events import Event, Kind
from app.domain.mail import Sender
from app.links import Links
from app.seals import Seals
from app.stores.figures import Passing
from app.stores.outgoing import LEASE_SECONDS, Claimed, OutgoingMessages, SendQueue
from app.stores.queues import Doing, Queues
from app.streams.dead_letters import DeadLetters
from app.streams.mail_message import Message
from app.streams.relay import Relay
from app.streams.transports import Deferred, Smtp, Transport, Waits
from tests.cast import assemble, code, follow, new_id, people
from tests.fakes import Clock, MemoryKafka
from tests.mail_server import DROP_AFTER_DATA, HANG, MailServer
from tests.stores.books import Books
from workers.mail_consumer import LETTERS_GROUP, MailConsumer
from workers.mailer import Hand, Mailer, Places, Writer

pytestmark = pytest.mark.service
SEALS = Seals("a test's secret")
DAY = 24 * 3600.0


@dataclass
class Box:
    """A channel that can be away, or refuse; `faults` are for single addresses."""

    fault: Exception | None = None
    faults: dict[str, Exception] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    tries: int = 0

    def send(self, message: Message) -> None:
        self.tries += 1
        fault = self.fault or self.faults.get(message.to)
        if fault:
            raise fault
        self.messages.append(message)


class Post:
    """Everything between the ledger and the transports, with time in our hand."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.books = Books(engine, assemble(engine))
        self.cast, self.clock = self.books.cast, self.books.clock
        self.mail, self.sms = Box(), Box()
        self.kafka = MemoryKafka()
        self.noted: list[Passing] = []
        self.seq = 0
        self.mailer = self.new_mailer()

    def new_mailer(self, transports: Mapping[str, Transport] | None = None) -> Mailer:
        links = Links("a test's secret", "https://chime.example.org")
        return Mailer(
            OutgoingMessages(self.engine),
            transports or {"EMAIL": self.mail, "SMS": self.sms},
            Writer(SEALS, links),
            Hand(self.clock.now, lambda: 0.0),
            self.noted.append,
        )

    def runs(self, mailer: Mailer | None = None) -> None:
        """Until nothing is due."""
        mailer = mailer or self.mailer
        while mailer.step() or mailer.wait(10):
            pass

    def forward(self, seconds: float) -> None:
        self.clock.forward(seconds)
        self.runs()

    def code(self, to: str | None = None, **changes: Any) -> Event:
        """Writes a log-in code of this moment."""
        self.seq += 1
        event = code(self.cast, self.seq, f"Your code is {self.seq:06d}")
        moment = int((self.clock.now() - 1_780_000_000) * 1000) * 1024
        given = {"recipient_id": to or self.cast.alice, "seq": event.seq + moment} | changes
        event = Event(**{name: getattr(event, name) for name in event.__slots__} | given)
        self.books.writes(event)
        return event

    def wants(self, kind: Kind, *channels: str) -> None:
        cells = json.dumps({kind.value: dict.fromkeys(channels, True)})
        self.books.tell(
            "insert into notification_preferences (user_id, sms_enabled, matrix) "
            "select id, true, cast(:cells as jsonb) from users "
            "on conflict (user_id) do update set matrix = excluded.matrix",
            cells=cells,
        )

    def followed(self, name: str = "Ben") -> None:
        """Alice gets a follower, and the frame of it gets into the table by the ready topic."""
        self.seq += 1
        (actor,) = people(self.engine, name)
        self.books.writes(follow(actor, self.cast, self.seq))
        self.relays()
        self.consumes()

    def relays(self) -> None:
        letters = DeadLetters(self.engine, self.kafka.publisher())
        relay = Relay(self.engine, self.kafka.publisher(), new_id(), letters)
        while relay.step():
            pass
        relay.release()

    def consumes(self) -> None:
        subscriber: Any = self.kafka.subscriber(LETTERS_GROUP, "ready-notifications")
        MailConsumer(subscriber, OutgoingMessages(self.engine), self.clock.now).step()
        subscriber.close()

    def states(self, channel: str = "EMAIL") -> list[tuple[Any, ...]]:
        return self.books.ask(
            "select status, attempts, last_error from outgoing_messages where channel = :c "
            "order by id",
            c=channel,
        )

    def due_in(self) -> float:
        """Seconds until the first waiting e-mail is due."""
        [(at,)] = self.books.ask(
            "select extract(epoch from min(due_at)) from outgoing_messages "
            "where channel = 'EMAIL' and status = 'waiting'"
        )
        return round(float(at) - self.clock.now(), 3)

    def dead(self) -> list[str]:
        rows = self.books.ask("select reason from dead_letters where status = 'waiting' order by 1")
        return [row[0] for row in rows]


@pytest.fixture
def post(engine: Engine) -> Post:
    return Post(engine)


def address(user_id: str) -> str:
    return f"{user_id}@example.org"


def test_a_code_goes_by_both_channels_once(post: Post) -> None:
    event = post.code()
    post.runs()
    post.books.writes(event)  # the copy out of its lane
    post.runs()

    [mail], [sms] = post.mail.messages, post.sms.messages
    assert mail == sms
    assert (mail.id, mail.to, mail.text) == (
        f"{event.event_id}-1",
        address(post.cast.alice),
        "Your code is 000001",
    )
    assert post.states() == post.states("SMS") == [("delivered", 1, None)]


def test_an_ordinary_message_comes_from_the_ready_topic_once(post: Post) -> None:
    post.wants(Kind.FOLLOW, "email")
    post.followed()
    post.kafka.committed.clear()  # the consumer died before it committed
    post.consumes()
    post.runs()

    [mail] = post.mail.messages
    assert "Ben" in mail.text
    assert mail.unsubscribe is not None
    assert (post.sms.messages, post.states()) == ([], [("delivered", 1, None)])


def test_a_deferred_address_delays_no_other(post: Post) -> None:
    """The fault that users reported: one 450, and nobody got mail any more."""
    others = people(post.engine, *(f"P{n}" for n in range(12)))
    post.mail.faults[address(others[0])] = Deferred("450 4.1.2 Domain not found at RCPT")
    for one in others:
        post.code(one)
    post.runs()

    assert {one.to for one in post.mail.messages} == {address(one) for one in others[1:]}
    assert len(post.sms.messages) == 12


def test_a_deferred_message_is_retried_with_doubling_pauses_until_it_is_accepted(
    post: Post,
) -> None:
    post.wants(Kind.FOLLOW, "email")
    post.mail.fault = Deferred("450 busy at RCPT")
    post.followed()
    pauses = []
    for _ in range(8):
        post.runs()
        pauses.append(post.due_in())
        post.clock.forward(pauses[-1])
    assert pauses == [30, 60, 120, 240, 480, 900, 900, 900]
    assert post.states() == [("waiting", 8, "450 busy at RCPT")]

    post.mail.fault = None
    post.runs()
    assert post.states() == [("delivered", 9, None)]


@pytest.mark.parametrize(
    ("kind", "seconds"),
    [(Kind.OTP, 300.0), (Kind.PASSWORD_RESET, 1800.0), (Kind.SECURITY_ALERT, DAY)],
)
def test_a_critical_message_ends_with_its_validity(post: Post, kind: Kind, seconds: float) -> None:
    post.mail.fault = Deferred("450 busy at RCPT")
    post.code(kind=kind)
    spent = 0.0
    while post.states()[0][0] == "waiting":
        post.runs()
        if post.states()[0][0] == "waiting":
            spent += post.due_in()
            post.clock.forward(post.due_in())
    assert abs(spent - seconds) < 1
    [reason] = post.dead()
    assert reason.startswith("EMAIL: not sent in time, after ")
    assert reason.endswith("450 busy at RCPT")


def test_an_ordinary_message_ends_after_a_day(post: Post) -> None:
    post.wants(Kind.FOLLOW, "email")
    post.mail.fault = Deferred("450 busy at RCPT")
    post.followed()
    for _ in range(120):
        post.forward(900)
    [reason] = post.dead()
    assert reason.startswith("EMAIL: not sent in time")
    assert post.states()[0][0] == "failed"
    assert 90 < post.mail.tries < 105


def test_what_is_refused_for_good_ends_at_once_without_its_text(post: Post) -> None:
    post.sms.fault = Rejected("the webhook answered 400")
    post.code()
    post.runs()

    assert post.states("SMS") == [("failed", 1, "the webhook answered 400")]
    [(reason, payload)] = post.books.ask("select reason, payload from dead_letters")
    assert reason == "SMS: the webhook answered 400"
    assert "000001" not in payload
    assert post.states() == [("delivered", 1, None)]


@pytest.mark.parametrize(
    "break_it",
    [
        pytest.param(
            "update outbox set payload = jsonb_set(payload, '{metadata,aggregatedActors}', '[0]')",
            id="the frame",
        ),
        pytest.param("update users set email = 'a,b@example.org'", id="the address"),
    ],
)
def test_a_message_that_cannot_be_written_is_a_dead_letter_at_once(
    post: Post, break_it: str
) -> None:
    post.wants(Kind.FOLLOW, "email")
    post.followed()
    post.books.tell(break_it.replace("email = 'a", "email = id::text || 'a"))
    smtp = Smtp("smtp://127.0.0.1:1", Sender("", "us@example.org"))
    post.runs(post.new_mailer({"EMAIL": smtp, "SMS": post.sms}))

    assert post.states()[0][0] == "failed"
    assert len(post.dead()) == 1


def test_a_poisoned_message_delays_no_other(post: Post) -> None:
    (other,) = people(post.engine, "Other")
    post.mail.faults[address(other)] = Poisoned("cannot be written as an e-mail: ValueError")
    post.code(other)
    post.code()
    post.runs()
    assert [one.to for one in post.mail.messages] == [address(post.cast.alice)]
    assert post.dead() == ["EMAIL: cannot be written as an e-mail: ValueError"]


def test_a_server_that_is_away_costs_no_tries_and_one_probe_at_a_time(post: Post) -> None:
    post.mail.fault = Unavailable("The mail server is away: ConnectionRefusedError")
    for _ in range(10):
        post.code(kind=Kind.SECURITY_ALERT)
    post.runs()
    assert {row[:2] for row in post.states()} == {("waiting", 0)}
    assert len(post.sms.messages) == 10
    assert post.dead() == []

    post.mail.fault = None
    post.forward(2)
    assert [row[0] for row in post.states()] == ["delivered"] * 10


def test_while_its_breaker_is_open_a_channel_claims_nothing(post: Post) -> None:
    breakers.EMAIL.configure(failures=1, reset_seconds=3600)
    breakers.EMAIL.failed(0, Unavailable("away, says the test"))
    post.code()
    post.runs()
    assert (post.mail.tries, len(post.sms.messages)) == (0, 1)
    breakers.EMAIL.configure(failures=1, reset_seconds=3600)
    post.runs()
    assert post.mail.tries == 1


def test_messages_that_take_long_leave_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, over = Clock(), gevent.event.Event()
    monkeypatch.setattr("workers.mailer.time.monotonic", clock.now)
    places, message = Places(), cast(Claimed, None)
    free = []
    for _ in range(4):
        free.append(places.free(breakers.CLOSED))
        for _ in range(free[-1]):
            places.take(lambda _: over.wait(), message)
        clock.forward(2)
    assert free == [8, 8, 4, 0]
    over.set()
    gevent.joinall(list(places.taken))
    gevent.sleep(0)
    states = (breakers.CLOSED, breakers.HALF_OPEN, breakers.OPEN)
    assert [places.free(one) for one in states] == [8, 1, 0]


def test_one_recipients_messages_keep_their_order(post: Post) -> None:
    post.wants(Kind.FOLLOW, "email")
    post.mail.fault = Deferred("450 busy at RCPT")
    post.followed()
    post.runs()
    post.followed("Cem")
    post.runs()
    assert post.mail.tries == 1  # the second waits for the first

    post.mail.fault = None
    post.forward(30)
    assert [one.id[-2:] for one in post.mail.messages] == ["-1", "-2"]


def test_a_code_does_not_wait_for_an_older_one_that_is_being_retried(post: Post) -> None:
    post.mail.fault = Deferred("450 greylisted at RCPT")
    post.code(kind=Kind.SECURITY_ALERT)
    post.runs()
    post.mail.fault = None
    post.code()
    post.runs()
    assert [one.kind for one in post.mail.messages] == [Kind.OTP]


def test_a_code_waits_for_an_older_one_that_was_just_begun_and_not_for_one_that_hangs(
    post: Post,
) -> None:
    post.code()
    hangs = OutgoingMessages(post.engine).claim(SendQueue("EMAIL", True), 1, post.clock.now())
    post.code()
    post.runs()
    assert (len(hangs), post.mail.messages) == (1, [])
    post.forward(2.1)
    assert [one.text for one in post.mail.messages] == ["Your code is 000002"]


def test_two_mailers_share_the_work_and_send_nothing_twice(post: Post) -> None:
    for one in people(post.engine, *(f"P{n}" for n in range(20))):
        post.code(one)
    first, second = post.mailer, post.new_mailer()
    assert first.step() > 0
    assert second.step() > 0
    post.runs(first)
    post.runs(second)
    assert len(post.mail.messages) == len({one.id for one in post.mail.messages}) == 20


def test_a_claim_of_a_dead_mailer_runs_out_and_the_copy_is_the_same(post: Post) -> None:
    """It was sent, and its mailer died before it said so."""
    post.code()
    dead = post.new_mailer()
    dead.step()
    dead.wait(10)  # sent; never settled
    post.runs()
    assert len(post.mail.messages) == 1
    post.forward(LEASE_SECONDS + 1)
    assert post.mail.messages[0] == post.mail.messages[1]
    assert post.states()[0][0] == "delivered"


def test_who_wakes_up_late_changes_nothing(post: Post) -> None:
    post.wants(Kind.FOLLOW, "email")
    post.followed()
    frozen = post.new_mailer()
    frozen.step()
    frozen.wait(10)
    post.mail.fault = Rejected("550 at RCPT")
    post.forward(LEASE_SECONDS + 1)
    frozen.step()  # its word about the first attempt comes too late
    assert post.states() == [("failed", 1, "550 at RCPT")]


def test_results_wait_while_postgresql_is_away(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    post.code()
    post.mailer.step()
    post.mailer.wait(10)
    settle = OutgoingMessages.settle

    def away(*_: object) -> list[int]:
        raise Unavailable("away")

    monkeypatch.setattr(OutgoingMessages, "settle", away)
    with pytest.raises(Unavailable):
        post.mailer.step()
    monkeypatch.setattr(OutgoingMessages, "settle", settle)
    post.runs()
    assert post.states() == [("delivered", 1, None)]
    assert len(post.mail.messages) == 1


@pytest.mark.parametrize(
    ("change", "state"),
    [
        pytest.param("delete from outbox", "expired", id="its frame was cleared"),
        pytest.param("update users set is_simulated = true", "expired", id="nobody's address"),
        pytest.param(
            "update notification_preferences set matrix = '{}'", "preference", id="switched off"
        ),
    ],
)
def test_what_is_wanted_no_more_is_not_sent(post: Post, change: str, state: str) -> None:
    post.wants(Kind.FOLLOW, "email")
    post.followed()
    post.books.tell(change)
    post.runs()
    assert post.mail.messages == []
    assert post.states() == [(state, 0, None)]


def test_simulated_people_get_no_rows(post: Post) -> None:
    post.books.tell("update users set is_simulated = true")
    post.code()
    assert post.books.count("outgoing_messages") == 0


def test_what_only_a_message_may_say_is_in_no_toast(post: Post) -> None:
    hidden = SEALS.hide(code(post.cast, 1, "token=abc"), "Look into your mailbox")
    post.books.writes(hidden)
    post.runs()
    assert [one.text for one in post.mail.messages] == ["token=abc"]
    assert post.books.lines == ["Look into your mailbox"]


def test_what_another_key_sealed_says_what_the_toast_says(post: Post) -> None:
    hidden = Seals("another").hide(code(post.cast, 1, "token=abc"), "Look into your mailbox")
    post.books.writes(hidden)
    post.runs()
    assert [one.text for one in post.mail.messages] == ["Look into your mailbox"]


def test_the_figures_say_how_each_message_ended(post: Post) -> None:
    post.sms.fault = Rejected("the webhook answered 400")
    post.code()
    post.code()
    post.runs()
    sums: dict[str, int] = {}
    for passing in post.noted:
        assert passing.stage == "mail"
        for name, count in passing.outcomes.items():
            sums[name] = sums.get(name, 0) + count
    assert sums == {"delivered": 2, "failed": 2}


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        pytest.param(Kind.SECURITY_ALERT, "delivered", id="it is sent"),
        pytest.param(Kind.OTP, "failed", id="a code that is no longer valid is not"),
    ],
)
def test_a_replayed_dead_letter_is_sent_if_it_is_still_valid(
    post: Post, kind: Kind, outcome: str
) -> None:
    post.mail.fault = Rejected("550 at RCPT")
    post.code(kind=kind)
    post.runs()
    [(letter,)] = post.books.ask("select id::text from dead_letters")
    post.mail.fault = None
    post.clock.forward(2 * DAY)
    queues = Queues(post.engine, 5, 4, post.clock.now)

    assert queues.replay_letters(Doing(post.cast.alice, (letter,))) == 1
    assert queues.replay_letters(Doing(post.cast.alice, (letter,))) == 0
    post.runs()

    assert post.states()[0][0] == outcome
    waiting = post.books.ask("select id::text from dead_letters where status = 'waiting'")
    assert waiting == ([] if outcome == "delivered" else [(letter,)])


def test_a_message_without_its_account_is_not_replayed(post: Post) -> None:
    post.mail.fault = Rejected("550 at RCPT")
    post.code()
    post.runs()
    post.books.tell("delete from users where id = :alice", alice=post.cast.alice)
    [(letter,)] = post.books.ask("select id::text from dead_letters")
    queues = Queues(post.engine, 5, 4, post.clock.now)
    assert queues.replay_letters(Doing(post.cast.bob, (letter,))) == 0


def test_a_claim_takes_no_more_than_asked_for(post: Post) -> None:
    for one in people(post.engine, *(f"P{n}" for n in range(5))):
        post.code(one)
    messages, queue = OutgoingMessages(post.engine), SendQueue("EMAIL", True)
    counts = [len(messages.claim(queue, 2, post.clock.now())) for _ in range(4)]
    assert counts == [2, 2, 1, 0]


def test_a_real_server_that_refuses_defers_hangs_and_drops_costs_the_others_nothing(
    post: Post,
) -> None:
    bad = people(post.engine, "Refused", "Deferred", "Hangs", "Drops")
    good = people(post.engine, *(f"P{n}" for n in range(6)))
    sender = Sender("Chime", "hello@chime.example.org")
    waits = Waits(connect=2.0, answer=0.3, attempt=2.0)
    with MailServer() as server:
        rules = ("550 5.1.1 No such user", "450 4.1.2 Domain not found", HANG, DROP_AFTER_DATA)
        server.rules = dict(zip(map(address, bad), rules, strict=True))
        mailer = post.new_mailer({"EMAIL": Smtp(server.url, sender, waits), "SMS": post.sms})
        for one in [*bad, *good]:
            post.code(one, kind=Kind.SECURITY_ALERT)
        post.runs(mailer)

        assert set(server.accepted) == {address(one) for one in good}
        assert post.states()[:4] == [
            ("failed", 1, "550 5.1.1 No such user at RCPT"),
            ("waiting", 1, "450 4.1.2 Domain not found at RCPT"),
            ("waiting", 1, "the connection ended at RCPT"),
            (
                "waiting",
                1,
                "the connection ended at DATA; whether the message was accepted is not known",
            ),
        ]
        assert post.due_in() == 30

        server.rules.clear()
        post.clock.forward(30)
        post.runs(mailer)
        assert [row[0] for row in post.states()] == ["failed"] + ["delivered"] * 9
        first, second = server.raw[address(bad[3])]
        assert first == second  # the copy of what was perhaps accepted: the same to the byte
    assert post.dead() == ["EMAIL: 550 5.1.1 No such user at RCPT"]


def test_a_date_is_that_of_the_event_for_each_attempt(post: Post) -> None:
    post.mail.fault = Deferred("450 busy")
    post.code(kind=Kind.SECURITY_ALERT)
    post.runs()
    post.mail.fault = None
    post.forward(30)
    [mail] = post.mail.messages
    age = timedelta(seconds=post.clock.now() - mail.created_at.timestamp())
    assert timedelta(seconds=29) < age < timedelta(seconds=31)
