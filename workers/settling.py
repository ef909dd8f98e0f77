"""What the writers do after the ledger has written: put aside what PostgreSQL refused, and say what
became of each event."""

from collections.abc import Sequence

from app.domain.events import Event
from app.domain.windows import Verdict
from app.stores.figures import GATHERED
from app.stores.ledger import Settled
from app.streams.dead_letters import DeadLetters, Letter
from app.streams.publisher import record_of


def after_writing(settled: Settled, dead_letters: DeadLetters) -> None:
    for event, reason in settled.refused:
        record = record_of(event)
        dead_letters.put(Letter(record.topic, f"event:{event.event_id}", reason, record.value))


def outcomes(
    events: Sequence[tuple[int, Event]], verdicts: Sequence[Verdict], settled: Settled
) -> list[str]:
    """The coded outcome of each, in order. Who went on into a window is settled there."""
    return [
        settled.outcomes[event.event_id]
        if verdict is Verdict.INSTANT
        else (GATHERED if verdict is Verdict.GATHERED else "merged")
        for (_, event), verdict in zip(events, verdicts, strict=True)
    ]


def passings(events: Sequence[tuple[int, Event]], became: Sequence[str]) -> dict[str, str]:
    """For the trace: what became of it, and where the tables keep it."""
    return {
        event.event_id: f"{outcome} {event.seq} {event.recipient_id} {event.kind.value} "
        f"{event.group_object} {event.actor_id or '-'}"
        for (_, event), outcome in zip(events, became, strict=True)
    }
