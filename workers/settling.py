"""What both writers do after the ledger has written: put aside what PostgreSQL refused."""

from app.stores.ledger import Settled
from app.streams.dead_letters import DeadLetters, Letter
from app.streams.publisher import record_of


def after_writing(settled: Settled, dead_letters: DeadLetters) -> None:
    for event, reason in settled.refused:
        record = record_of(event)
        dead_letters.put(Letter(record.topic, f"event:{event.event_id}", reason, record.value))
