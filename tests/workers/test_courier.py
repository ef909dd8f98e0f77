"""The courier: codes by e-mail and text message, once, without Kafka and without Redis."""

from collections.abc import Mapping

import pytest
from sqlalchemy import Engine

from app.domain.errors import Rejected, Unavailable
from app.seals import Seals
from app.stores.leases import Lease
from app.stores.urgent_letters import UrgentLetters
from app.stores.users import Users
from app.streams.dead_letters import DeadLetters
from app.wiring import new_id
from tests.cast import assemble, code, like
from tests.fakes import MemoryKafka
from tests.stores.books import Books
from tests.workers.test_postman import Box
from workers.courier import Courier, Scribe

pytestmark = pytest.mark.service
SEALS = Seals("a test's secret")


class Post:
    """Alice's mailbox and telephone."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.books = Books(engine, assemble(engine))
        self.boxes: Mapping[str, Box] = {"EMAIL": Box(), "SMS": Box()}
        self.kafka = MemoryKafka(away=True)

    def courier(self) -> Courier:
        return Courier(
            UrgentLetters(self.engine),
            self.boxes,
            Scribe(Users(self.engine).emails, SEALS),
            DeadLetters(self.engine, self.kafka.publisher()),
            Lease(self.engine, "courier", new_id()),
        )

    def texts(self, channel: str) -> list[str]:
        return [one.text for one in self.boxes[channel].letters]

    @property
    def waiting(self) -> int:
        return self.books.count("urgent_letters")


@pytest.fixture
def post(engine: Engine) -> Post:
    return Post(engine)


def test_a_code_goes_by_both_channels_once(post: Post) -> None:
    event = code(post.books.cast, 1)
    post.books.writes(event)
    courier = post.courier()

    assert [courier.step(), courier.step()] == [2, 0]
    post.books.writes(event)  # the copy out of its lane
    assert courier.step() == 0
    assert post.texts("EMAIL") == post.texts("SMS") == ["Your code is 123456"]
    [letter] = post.boxes["EMAIL"].letters
    assert (letter.id, letter.to) == (
        f"{event.event_id}-1",
        f"{post.books.cast.alice}@example.org",
    )


def test_what_is_not_critical_is_the_postmans(post: Post) -> None:
    post.books.writes(like(post.books.cast.bob, post.books.cast, 1))
    assert post.waiting == 0


def test_a_channel_that_is_away_keeps_its_letters_and_no_others(post: Post) -> None:
    post.boxes["EMAIL"].fault = Unavailable("away")
    for seq in (1, 2):
        post.books.writes(code(post.books.cast, seq))
    courier = post.courier()

    with pytest.raises(Unavailable):
        courier.step()
    assert (len(post.texts("SMS")), post.waiting) == (2, 2)
    post.boxes["EMAIL"].fault = None
    assert courier.step() == 2
    assert (len(post.texts("EMAIL")), len(post.texts("SMS")), post.waiting) == (2, 2, 0)


def test_a_letter_that_is_refused_for_good_is_put_aside_without_its_text(post: Post) -> None:
    post.boxes["SMS"].fault = Rejected("no such number")
    post.books.writes(code(post.books.cast, 1))

    post.courier().step()

    assert post.waiting == 0
    assert post.books.ask("select reason, payload from dead_letters") == [
        ("SMS: no such number", None)
    ]


def test_one_courier_at_a_time(post: Post) -> None:
    post.books.writes(code(post.books.cast, 1))
    first, second = post.courier(), post.courier()

    assert [first.step(), second.step()] == [2, 0]
    post.books.writes(code(post.books.cast, 2))
    assert [second.step(), first.step()] == [0, 2]


@pytest.mark.parametrize(
    "gone", ["delete from outbox", "update users set is_simulated = true"], ids=["frame", "address"]
)
def test_a_letter_that_is_nobodys_any_more_goes_nowhere(post: Post, gone: str) -> None:
    post.books.writes(code(post.books.cast, 1))
    post.books.tell(gone)

    assert post.courier().step() == 2
    assert (post.texts("EMAIL"), post.texts("SMS"), post.waiting) == ([], [], 0)


def test_what_only_a_letter_may_say_is_in_no_toast(post: Post) -> None:
    event = SEALS.hide(code(post.books.cast, 1, "token=abc"), "Look into your mailbox")
    post.books.writes(event)
    post.courier().step()

    assert post.texts("EMAIL") == ["token=abc"]
    assert post.books.lines == ["Look into your mailbox"]
