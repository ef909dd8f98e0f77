"""Dead letters: one row and one record on the topic per dead record, for any payload."""

import base64
import json

import pytest
from sqlalchemy import Engine, text

from app.domain.errors import Unavailable
from app.domain.routing import Topic
from app.messaging.dead_letters import MAX_STORED_PAYLOAD_CHARS, DeadLetter, DeadLetterQueue
from tests.support.fakes import MemoryKafka

pytestmark = pytest.mark.service


@pytest.fixture
def dead_letter_queue(engine: Engine, memory_kafka: MemoryKafka) -> DeadLetterQueue:
    return DeadLetterQueue(engine, memory_kafka.publisher())


def stored_rows(engine: Engine) -> list[tuple[str, str, str, str | None]]:
    with engine.connect() as conn:
        rows = conn.execute(text("select origin, position, reason, payload from dead_letters"))
        return [tuple(row) for row in rows]


def test_dead_letter_is_stored_as_row_and_as_record(
    dead_letter_queue: DeadLetterQueue, engine: Engine, memory_kafka: MemoryKafka
) -> None:
    dead_letter_queue.store_and_publish(DeadLetter("low-priority-notifications", "0:7", "not JSON", b"{oops"))

    assert stored_rows(engine) == [("low-priority-notifications", "0:7", "not JSON", "{oops")]
    [record] = memory_kafka.records(Topic.DEAD_LETTER)
    message = json.loads(record.value)
    assert (message["origin"], message["position"]) == ("low-priority-notifications", "0:7")
    assert base64.b64decode(message["payload"]) == b"{oops"


def test_record_read_again_adds_no_row(dead_letter_queue: DeadLetterQueue, engine: Engine) -> None:
    for _ in range(2):
        dead_letter_queue.store_and_publish(DeadLetter("topic", "0:7", "not JSON", b"{oops"))

    assert len(stored_rows(engine)) == 1


@pytest.mark.parametrize(
    ("payload", "stored_payload"),
    [
        pytest.param(None, None, id="no value"),
        pytest.param(b"", "", id="empty"),
        pytest.param(b"a\x00b", "a\\x00b", id="NUL"),
        pytest.param(b"\xff\xfe", "\\xff\\xfe", id="not UTF-8"),
        pytest.param(
            b"x" * (MAX_STORED_PAYLOAD_CHARS + 1),
            "x" * MAX_STORED_PAYLOAD_CHARS,
            id="longer than the limit of the table",
        ),
        pytest.param(
            "é".encode() * MAX_STORED_PAYLOAD_CHARS,
            "é" * (MAX_STORED_PAYLOAD_CHARS // 2),
            id="longer, in two bytes per character",
        ),
    ],
)
def test_any_payload_can_be_stored(
    dead_letter_queue: DeadLetterQueue, engine: Engine, payload: bytes | None, stored_payload: str | None
) -> None:
    dead_letter_queue.store_and_publish(DeadLetter("topic", "0:7", "reason", payload))

    assert stored_rows(engine)[0][3] == stored_payload


@pytest.mark.parametrize(
    "reason",
    [
        pytest.param("x" * 5_000, id="too long"),
        pytest.param("value 'a\x00b'", id="NUL"),
        pytest.param("value \ud800", id="lone surrogate"),
    ],
)
def test_any_reason_can_be_stored(dead_letter_queue: DeadLetterQueue, engine: Engine, reason: str) -> None:
    dead_letter_queue.store_and_publish(DeadLetter("topic", "0:7", reason, b"1"))

    assert len(stored_rows(engine)) == 1


def test_largest_record_fits_on_the_dead_letter_topic(
    dead_letter_queue: DeadLetterQueue, memory_kafka: MemoryKafka
) -> None:
    dead_letter_queue.store_and_publish(DeadLetter("topic", "0:7", "too large", b"x" * 1_048_576))

    [record] = memory_kafka.records(Topic.DEAD_LETTER)
    assert len(record.value) < 1_000_000


def test_row_is_kept_without_kafka_and_the_record_is_published_again(
    dead_letter_queue: DeadLetterQueue, engine: Engine, memory_kafka: MemoryKafka
) -> None:
    memory_kafka.is_unavailable = True
    dead_letter = DeadLetter("topic", "0:7", "not JSON", b"{oops")

    with pytest.raises(Unavailable):
        dead_letter_queue.store_and_publish(dead_letter)
    rows_without_kafka = len(stored_rows(engine))
    memory_kafka.is_unavailable = False
    dead_letter_queue.store_and_publish(dead_letter)

    assert (rows_without_kafka, len(stored_rows(engine))) == (1, 1)
    assert len(memory_kafka.records(Topic.DEAD_LETTER)) == 1


def test_code_in_a_dead_letter_is_not_logged(
    dead_letter_queue: DeadLetterQueue, caplog: pytest.LogCaptureFixture
) -> None:
    dead_letter_queue.store_and_publish(DeadLetter("topic", "0:7", "not JSON", b"Your code is 123456"))

    assert "123456" not in caplog.text
