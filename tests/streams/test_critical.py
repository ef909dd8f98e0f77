"""The critical way: the tables first, a copy through the lanes after, one announcement."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import create_engine

from app.domain.errors import Unavailable
from app.domain.events import Event, Kind
from app.domain.routing import Topic
from app.domain.secrecy import CODE_MINUTES, MASKED_CODE
from app.seals import Seals
from app.stores.bell import Bell
from app.stores.history import History, Since
from app.stores.ledger import Ledger
from app.stores.marks import Marks
from app.stores.postgres import driver_url
from app.stores.secrets import Secrets
from app.stores.urgency import CRITICAL_CHANNEL, Urgent
from app.streams.critical import Critical
from app.streams.fallback import FallbackQueue
from app.streams.ingress import Ingress
from app.wiring import new_id
from tests.fakes import PushList
from tests.house import House, house, wired

__all__ = ["house", "wired"]
pytestmark = pytest.mark.service
NOWHERE = driver_url("postgresql://nobody@127.0.0.1:1/none")


class NoIngress:
    """Redis is away."""

    def append(self, events: Any) -> bool:
        raise Unavailable("Redis is away", "redis_unavailable")


@dataclass
class Way:
    """`tell()` for Alice, and what was said here and to the other web processes."""

    house: House
    away: frozenset[str] = frozenset()
    here: list[Urgent] = field(default_factory=list)
    push: PushList = field(default_factory=PushList)

    def __post_init__(self) -> None:
        self.seals = Seals("a secret of all processes", self.house.clock.now)

    def tell(self, kind: Kind = Kind.OTP, words: str = "Your code is 123456") -> Event:
        event = Event(new_id(), kind, self.house.alice.id, message=words)
        self.critical().tell(event)
        return event

    def critical(self) -> Critical:
        engine = create_engine(NOWHERE) if "postgres" in self.away else self.house.engine
        ledger = Ledger(engine, 12.0, self.house._ledger_hand())
        ingress: Any = NoIngress() if "redis" in self.away else self.house.wired.parts.ingress
        assert isinstance(ingress, Ingress | NoIngress)
        push: Any = self.push
        queue = FallbackQueue(engine, 5)
        now, seals = self.house.clock.now, self.seals
        one = Critical(ledger, ingress, queue, push, now, lambda act: act(), seals)
        one.here = self.here.append
        return one

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        return self.house.rows("select id::text, version, message from notifications")


@pytest.fixture
def bell(environment: dict[str, str]) -> Iterator[Bell]:
    made = Bell(environment["DATABASE_URL"], CRITICAL_CHANNEL)
    made.wait(0)  # listens from now on
    yield made
    made.close()


@pytest.mark.parametrize(
    ("kind", "listed"),
    [
        (Kind.OTP, MASKED_CODE),
        (Kind.PASSWORD_RESET, "A password reset was requested for your account."),
        (Kind.SECURITY_ALERT, "Look here"),
    ],
)
def test_it_is_told_before_any_worker_moves(
    house: House, kind: Kind, listed: str, bell: Bell
) -> None:
    way = Way(house)
    event = way.tell(kind, "Look here")

    assert way.rows == [(event.event_id, 1, listed)]
    assert bell.wait(10) == [f"{house.alice.id} 1"]
    [urgent] = way.here
    assert (urgent.data["id"], urgent.data["version"], urgent.data["seq"]) == (event.event_id, 1, 1)
    assert way.push.told(house.alice.id) == [urgent.data]


SECRET = "Your code is 493817"


def kept(house: House, way: Way) -> str:
    """All that is stored or sent of it: tables, Redis, Kafka, and frames on their way."""
    names = house.rows("select tablename from pg_tables where schemaname = 'public'")
    tables = [house.rows(f"select t::text from {name} t") for (name,) in names]  # noqa: S608
    records = [house.kafka.records(topic.value) for topic in Topic]
    streams = [house.redis.xrange(name) for name in house.redis.scan_iter("ingress:?")]
    return repr((tables, records, streams, house.push.frames, way.push.frames, way.here))


@pytest.mark.parametrize("kind", [Kind.OTP, Kind.PASSWORD_RESET])
@pytest.mark.parametrize("away", [(), ("redis",), ("postgres",)])
def test_a_code_is_encrypted_wherever_it_is_kept(
    house: House, kind: Kind, away: tuple[str, ...]
) -> None:
    way = Way(house, frozenset(away))
    way.tell(kind, SECRET)
    before = kept(house, way)
    house.run()
    house.run()

    assert "493817" not in before + kept(house, way)
    assert len(house.alice.frames()) == 1


@pytest.mark.parametrize("away", ["", "postgres"])
def test_its_owner_is_shown_the_code_and_the_list_says_that_there_is_one(
    house: House, away: str
) -> None:
    way = Way(house, frozenset({away}))
    way.tell(words=SECRET)
    house.run()

    for frame in (way.here[0].data, way.push.told(house.alice.id)[0], house.alice.frames()[0]):
        shown = way.seals.reveal(frame)
        assert (shown["message"], shown["group"]["message"]) == (SECRET, MASKED_CODE)


def missed(house: House, way: Way) -> list[str]:
    history = History(house.engine)
    since = Since(history.missed(house.alice.id, None).epoch, 0)
    frames = history.missed(house.alice.id, since).frames
    return [way.seals.reveal(one["data"])["message"] for one in frames]


def uses(kept: Secrets, user: str) -> None:
    assert kept.try_code(user, "hash")


def asks_for_another(kept: Secrets, user: str) -> None:
    kept.keep_code(user, "another")


def resets_the_password(kept: Secrets, user: str) -> None:
    kept.keep_reset(user, "token")
    assert kept.reset("token", "new hash") is not None


@pytest.mark.parametrize("ends", [uses, asks_for_another, resets_the_password])
def test_who_was_away_is_shown_a_code_until_it_is_used_or_void(
    house: House, ends: Callable[[Secrets, str], None]
) -> None:
    way, kept = Way(house), Secrets(house.engine)
    kept.keep_code(house.alice.id, "hash")
    way.tell(words=SECRET)
    assert missed(house, way) == [SECRET]

    ends(kept, house.alice.id)

    assert missed(house, way) == [MASKED_CODE]


def test_who_was_away_too_long_is_shown_no_code(house: House) -> None:
    way = Way(house)
    way.tell(words=SECRET)

    house.clock.forward(CODE_MINUTES * 60 + 1)

    assert missed(house, way) == [MASKED_CODE]


def test_all_who_ask_for_one_go_that_way(house: House) -> None:
    event = Event(new_id(), Kind.OTP, house.alice.id, message="Your code is 123456")
    house.actions.raise_event(event)
    assert [row[0] for row in Way(house).rows] == [event.event_id]


def test_the_copy_through_the_lanes_tells_nothing(house: House) -> None:
    event = Way(house).tell()
    house.run()

    lane = house.kafka.records("critical-notifications")
    assert [event.event_id.encode() in one.value for one in lane] == [True]
    assert [frame["id"] for frame in house.alice.frames()] == [event.event_id]


@pytest.mark.parametrize("mark", ["READ", "ARCHIVED", "DELETED"])
def test_nor_does_it_after_the_row_was_read_archived_or_deleted(house: House, mark: str) -> None:
    from app.stores import marks

    event = Way(house).tell()
    Marks(house.engine).mark(house.alice.id, event.event_id, getattr(marks, mark))
    house.run()
    told = len(house.alice.frames())
    house.actions.raise_event(event)
    house.run()

    assert told == 1
    assert len(house.alice.frames()) == 1
    assert len(Way(house).rows) == 1


def test_without_redis_the_copy_waits_in_the_fallback_queue(house: House) -> None:
    event = Way(house, frozenset({"redis"})).tell()

    queued = house.rows("select event_id::text, shard, topic from kafka_fallback_queue")
    assert queued == [(event.event_id, 0, "critical-notifications")]
    house.run()
    house.run()
    assert [frame["id"] for frame in house.alice.frames()] == [event.event_id]


def test_without_postgresql_a_provisional_frame_goes_ahead(house: House) -> None:
    way = Way(house, frozenset({"postgres"}))
    event = way.tell()

    [early] = way.here
    assert way.push.told(house.alice.id) == [early.data]
    assert (early.seq, way.rows) == (None, [])
    house.run()
    [frame] = house.alice.frames()
    assert frame["id"] == event.event_id
    later = {name: frame[name] for name in early.data if name != "timestamp"}
    assert later == {name: early.data[name] for name in later}
    assert set(frame) - set(early.data) == {"seq"}


def test_without_both_it_is_refused(house: House) -> None:
    way = Way(house, frozenset({"postgres", "redis"}))
    with pytest.raises(Unavailable):
        way.tell()
    assert way.here == []


def test_the_text_is_in_no_log_and_no_ring(
    house: House, bell: Bell, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    Way(house).tell()
    for away in ({"redis"}, {"postgres"}):
        Way(house, frozenset(away)).tell()

    assert "123456" not in caplog.text + str(bell.wait(10))
