"""Dead letters: one row per record, one record on the topic, whatever it held."""

import base64
import json

import pytest
from sqlalchemy import Engine, text

from app.domain.errors import Unavailable
from app.domain.routing import Topic
from app.streams.dead_letters import KEPT, DeadLetters, Letter
from tests.fakes import MemoryKafka

pytestmark = pytest.mark.service


@pytest.fixture
def letters(engine: Engine, broker: MemoryKafka) -> DeadLetters:
    return DeadLetters(engine, broker.publisher())


def kept(engine: Engine) -> list[tuple[str, str, str, str | None]]:
    with engine.connect() as sql:
        found = sql.execute(text("select origin, position, reason, payload from dead_letters"))
        return [tuple(row) for row in found]


def test_a_letter_is_a_row_and_a_record(
    letters: DeadLetters, engine: Engine, broker: MemoryKafka
) -> None:
    letters.put(Letter("low-priority-notifications", "0:7", "not JSON", b"{oops"))

    assert kept(engine) == [("low-priority-notifications", "0:7", "not JSON", "{oops")]
    [record] = broker.records(Topic.DEAD_LETTER)
    value = json.loads(record.value)
    assert (value["origin"], value["position"]) == ("low-priority-notifications", "0:7")
    assert base64.b64decode(value["payload"]) == b"{oops"


def test_a_record_that_is_read_again_stays_one_row(letters: DeadLetters, engine: Engine) -> None:
    for _ in range(2):
        letters.put(Letter("topic", "0:7", "not JSON", b"{oops"))

    assert len(kept(engine)) == 1


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        pytest.param(None, None, id="no value"),
        pytest.param(b"", "", id="empty"),
        pytest.param(b"a\x00b", "a\\x00b", id="NUL"),
        pytest.param(b"\xff\xfe", "\\xff\\xfe", id="no UTF-8"),
        pytest.param(b"x" * (KEPT + 1), "x" * KEPT, id="longer than the table keeps"),
        pytest.param("é".encode() * KEPT, "é" * (KEPT // 2), id="longer, in two bytes each"),
    ],
)
def test_any_payload_can_be_put_aside(
    letters: DeadLetters, engine: Engine, payload: bytes | None, shown: str | None
) -> None:
    letters.put(Letter("topic", "0:7", "because", payload))

    assert kept(engine)[0][3] == shown


@pytest.mark.parametrize(
    "reason",
    [
        pytest.param("x" * 5_000, id="without end"),
        pytest.param("it held 'a\x00b'", id="NUL"),
        pytest.param("it held \ud800", id="half a character"),
    ],
)
def test_any_reason_can_be_kept(letters: DeadLetters, engine: Engine, reason: str) -> None:
    letters.put(Letter("topic", "0:7", reason, b"1"))

    assert len(kept(engine)) == 1


def test_a_record_as_large_as_the_broker_takes_fits_on_the_topic_again(
    letters: DeadLetters, broker: MemoryKafka
) -> None:
    letters.put(Letter("topic", "0:7", "too large", b"x" * 1_048_576))

    [record] = broker.records(Topic.DEAD_LETTER)
    assert len(record.value) < 1_000_000


def test_without_kafka_the_row_is_kept_and_the_record_must_be_put_again(
    letters: DeadLetters, engine: Engine, broker: MemoryKafka
) -> None:
    broker.away = True
    letter = Letter("topic", "0:7", "not JSON", b"{oops")

    with pytest.raises(Unavailable):
        letters.put(letter)
    rows_while_away = len(kept(engine))
    broker.away = False
    letters.put(letter)

    assert (rows_while_away, len(kept(engine))) == (1, 1)
    assert len(broker.records(Topic.DEAD_LETTER)) == 1


def test_a_secret_is_not_logged(letters: DeadLetters, caplog: pytest.LogCaptureFixture) -> None:
    letters.put(Letter("topic", "0:7", "not JSON", b"Your code is 123456"))

    assert "123456" not in caplog.text
