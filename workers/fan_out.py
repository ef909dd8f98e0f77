"""Fan-out: announces one event to many recipients, a page per step.

Input: table fan_outs (app/persistence/fan_outs.py), filled by new posts, events with many targets and deleted
posts. Output: app/persistence/fan_out_pages.py, and app/persistence/event_writer.py for the mentions in a new
post, which do not wait for pages.

Everything is in PostgreSQL, so a fan-out needs neither Redis nor Kafka. A worker that dies repeats at most
one page, which changes nothing.
"""

from collections import Counter
from dataclasses import replace

from sqlalchemy import Engine
from sqlalchemy.exc import DataError, IntegrityError

from app.clients.postgres import translate_errors
from app.domain.causes import merge_mentions_into_events
from app.domain.events import Event
from app.domain.grouping import AnnounceWhen
from app.failpoints import hit_failpoint
from app.messaging.dead_letters import DeadLetter, DeadLetterQueue
from app.messaging.publisher import event_to_record
from app.messaging.stage_counters import BatchStats, RecordStats, discard_stats
from app.persistence.event_writer import EventBatch, EventToWrite, EventWriter
from app.persistence.fan_out_pages import FanOutPageWriter
from app.persistence.fan_outs import (
    Audience,
    FanOut,
    FanOutPageResult,
    list_subscribers_among,
    mark_mentions_written,
    save_progress,
)
from workers.after_write import dead_letter_rejected_events


class FanOutWorker:
    def __init__(
        self,
        engine: Engine,
        pages: FanOutPageWriter,
        event_writer: EventWriter,
        dead_letters: DeadLetterQueue,
        record_stats: RecordStats = discard_stats,
    ) -> None:
        self._engine = engine
        self._pages = pages
        self._event_writer = event_writer
        self._dead_letters = dead_letters
        self._record_stats = record_stats

    def step(self) -> int:
        """Writes the mentions of one fan-out, or one page. Returns 0 when there is nothing to do."""
        fan_out = self._pages.find_next()
        if fan_out is None:
            return 0
        try:
            outcomes = self._advance(fan_out)
        except (DataError, IntegrityError, ValueError) as exc:
            outcomes = self._end_as_failed(fan_out, exc)
        self._record_stats(BatchStats("fan-out", count_by_outcome=outcomes))
        return max(1, sum(outcomes.values()))

    def _advance(self, fan_out: FanOut) -> dict[str, int]:
        if not fan_out.mentions_written:
            return self._write_mentions(fan_out)
        count_by_outcome = self._pages.write_next_page(fan_out)
        hit_failpoint("fan-out.page")
        return count_by_outcome

    def _end_as_failed(self, fan_out: FanOut, exc: Exception) -> dict[str, int]:
        """A fan-out that PostgreSQL rejects becomes a dead letter, so that it does not delay the others."""
        reason = f"refused by PostgreSQL: {type(exc).__name__}"
        payload = event_to_record(fan_out.event).value
        self._dead_letters.store_and_publish(DeadLetter("fan_outs", fan_out.id, reason, payload))
        with translate_errors("end a fan-out"), self._engine.begin() as conn:
            save_progress(conn, fan_out, FanOutPageResult(None, 0, {"failed": 1}))
        return {"failed": 1}

    def _write_mentions(self, fan_out: FanOut) -> dict[str, int]:
        """A mentioned subscriber is notified once: of the mention, or of the post if mentions are switched
        off."""
        events = merge_mentions_into_events(self._events_of_mentioned_subscribers(fan_out), fan_out.mentions)
        batch = EventBatch(tuple(EventToWrite(event, AnnounceWhen.NOW) for event in events))
        write_outcome = self._event_writer.write(batch)
        dead_letter_rejected_events(write_outcome, self._dead_letters)
        hit_failpoint("fan-out.mentions")
        with translate_errors("mark mentions as written"), self._engine.begin() as conn:
            mark_mentions_written(conn, fan_out)
        return dict(Counter(write_outcome.outcomes.values()))

    def _events_of_mentioned_subscribers(self, fan_out: FanOut) -> list[Event]:
        if fan_out.audience is not Audience.SUBSCRIBERS:
            return []
        with translate_errors("find mentioned subscribers"), self._engine.connect() as conn:
            subscriber_ids = set(
                list_subscribers_among(conn, str(fan_out.event.actor_id), fan_out.mentioned_ids)
            )
        return [
            replace(fan_out.event, event_id=mention.event_id, recipient_id=mention.recipient_id)
            for mention in fan_out.mentions
            if mention.recipient_id in subscriber_ids
        ]
