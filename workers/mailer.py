"""Mailer: sends outgoing e-mails and text messages, each separately, several at a time.

Input: table outgoing_messages (app/persistence/outgoing_messages.py); NOTIFY for critical ones.
Output: a transport per channel (app/delivery/message_transport.py).

Each channel has two queues, for critical and for ordinary messages, with separate send slots: a server that
hangs blocks one slot, and ordinary messages never use the slots of critical ones. The loop settles finished
messages, in one transaction for all since the last step. A process that dies between sending and settling
leaves a claim; the message is then sent again with the same Message-ID. Several mailers may run.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import gevent

from app.clients import circuit_breaker
from app.delivery.message_transport import EMAIL, SMS, DeliveryDeferred, MessageTransport
from app.domain.errors import Poisoned, Rejected, Unavailable
from app.domain.mail_policy import mail_retry_delay_seconds
from app.domain.preferences import Channel, SendNow, decide_delivery
from app.failpoints import hit_failpoint
from app.messaging.stage_counters import BatchStats, RecordStats, discard_stats
from app.persistence.claimed_messages import (
    STATUS_DELIVERED,
    STATUS_EXPIRED,
    STATUS_FAILED,
    STATUS_SUPPRESSED,
    STATUS_WAITING,
    ClaimedMessage,
    DeliveryOutcome,
    SendQueue,
)
from app.persistence.outgoing_messages import OutgoingMessages
from workers.message_renderer import MessageRenderer

log = logging.getLogger(__name__)
MAX_RECENT_SENDS, MAX_CONCURRENT_SENDS = 8, 20
"""Sends in progress per queue and process. A slow send counts towards the second limit only, so that a few
hanging ones leave room for others. Both queues together stay below the number of connections that mail
servers allow one client (Postfix: 50)."""
SLOW_SEND_SECONDS = 1.0
MAX_SETTLE_BATCH = 200
UNAVAILABLE_RETRY_DELAY_SECONDS = 1.0
CLOSE_TIMEOUT_SECONDS = 2.0
BREAKER_BY_CHANNEL = {EMAIL: circuit_breaker.EMAIL, SMS: circuit_breaker.SMS}


class SendSlots:
    """The sends of one queue that are in progress."""

    def __init__(self) -> None:
        self.started_at_by_greenlet: dict[gevent.Greenlet[[ClaimedMessage], None], float] = {}
        """Monotonic start times."""

    def free_count(self, breaker_state: str) -> int:
        """How many more may start: none while the circuit is open, one as a probe while it is half open."""
        max_concurrent = {
            circuit_breaker.CLOSED: MAX_CONCURRENT_SENDS,
            circuit_breaker.OPEN: 0,
        }.get(breaker_state, 1)
        slow_before = time.monotonic() - SLOW_SEND_SECONDS
        recent_count = sum(started_at > slow_before for started_at in self.started_at_by_greenlet.values())
        return min(MAX_RECENT_SENDS - recent_count, max_concurrent - len(self.started_at_by_greenlet))

    def start_send(self, attempt: Callable[[ClaimedMessage], None], message: ClaimedMessage) -> None:
        greenlet = gevent.spawn(attempt, message)
        self.started_at_by_greenlet[greenlet] = time.monotonic()
        greenlet.link(lambda ended: self.started_at_by_greenlet.pop(ended, None))


class Mailer:
    def __init__(
        self,
        outgoing_messages: OutgoingMessages,
        transports: Mapping[str, MessageTransport],
        renderer: MessageRenderer,
        now: Callable[[], float],
        random_fraction: Callable[[], float],
        record_stats: RecordStats = discard_stats,
    ) -> None:
        self._outgoing_messages = outgoing_messages
        self._transports = transports
        self._renderer = renderer
        self._now = now
        self._random_fraction = random_fraction
        self._record_stats = record_stats
        self._slots_by_queue = {
            SendQueue(channel, critical): SendSlots() for critical in (True, False) for channel in transports
        }
        self._unsettled: list[DeliveryOutcome] = []
        """Finished but not settled yet; kept while PostgreSQL is unavailable."""

    def step(self) -> int:
        """Settles finished messages and starts due ones; returns the number of both. Never waits for a
        mail server."""
        settled_count = self._settle_finished()
        return settled_count + sum(
            self._claim_and_start_due_sends(queue, slots) for queue, slots in self._slots_by_queue.items()
        )

    def wait_for_send_to_end(self, seconds: float) -> bool:
        """Waits until one send ends, at most this long. Returns False if none is in progress."""
        greenlets = self._active_greenlets()
        if greenlets:
            gevent.wait(greenlets, timeout=seconds, count=1)
        return bool(greenlets)

    def close(self) -> None:
        """Waits briefly for sends in progress; the claims of the others expire."""
        gevent.joinall(self._active_greenlets(), timeout=CLOSE_TIMEOUT_SECONDS)
        with suppress(Unavailable):
            self._settle_finished()

    def _active_greenlets(self) -> "list[gevent.Greenlet[[ClaimedMessage], None]]":
        return [
            greenlet for slots in self._slots_by_queue.values() for greenlet in slots.started_at_by_greenlet
        ]

    def _claim_and_start_due_sends(self, queue: SendQueue, slots: SendSlots) -> int:
        free_count = slots.free_count(BREAKER_BY_CHANNEL[queue.channel].state)
        if free_count <= 0:
            return 0
        claimed_messages = self._outgoing_messages.claim(queue, free_count, self._now())
        for message in claimed_messages:
            slots.start_send(self._send_and_buffer_outcome, message)
        return len(claimed_messages)

    def _send_and_buffer_outcome(self, message: ClaimedMessage) -> None:
        self._unsettled.append(self._outcome_without_sending(message) or self._attempt_send(message))

    def _outcome_without_sending(self, message: ClaimedMessage) -> DeliveryOutcome | None:
        """The outcome of a message that must not be sent (any more); None: send it."""
        if message.payload is None or message.email_address is None:
            return DeliveryOutcome(message, STATUS_EXPIRED, message.attempts)
        now = datetime.fromtimestamp(self._now(), UTC)
        decision = decide_delivery(message.kind, replace(message.preferences, quiet_hours_enabled=False), now)
        if not isinstance(decision, SendNow) or Channel(message.channel) not in decision.channels:
            return DeliveryOutcome(message, STATUS_SUPPRESSED, message.attempts)
        if now >= message.expires_at:
            last_reason = message.last_error or "an earlier message to the same recipient was still unsent"
            error = f"not sent in time, after {message.attempts} attempts: {last_reason}"
            return DeliveryOutcome(message, STATUS_FAILED, message.attempts, error)
        return None

    def _attempt_send(self, message: ClaimedMessage) -> DeliveryOutcome:
        attempts = message.attempts + 1
        try:
            rendered = self._renderer.render(message)
        except Exception as exc:  # a later attempt would fail in the same way
            error = f"cannot be rendered: {type(exc).__name__}"
            return DeliveryOutcome(message, STATUS_FAILED, attempts, error)
        try:
            self._transports[message.channel].send(rendered)
            hit_failpoint("mailer.sent")
        except (Rejected, Poisoned) as exc:
            return DeliveryOutcome(message, STATUS_FAILED, attempts, str(exc))
        except DeliveryDeferred as exc:
            return self._retry_later_outcome(message, attempts, str(exc))
        except Unavailable as exc:
            # Not caused by the message: the attempt does not count. The circuit breaker stops others.
            due_at = self._time_after(UNAVAILABLE_RETRY_DELAY_SECONDS)
            return DeliveryOutcome(message, STATUS_WAITING, message.attempts, str(exc), due_at)
        except Exception as exc:
            log.exception("Sending failed with an unexpected error", extra={"event": "message_send_failed"})
            return self._retry_later_outcome(message, attempts, type(exc).__name__)
        return DeliveryOutcome(message, STATUS_DELIVERED, attempts)

    def _retry_later_outcome(self, message: ClaimedMessage, attempts: int, reason: str) -> DeliveryOutcome:
        due_at = min(
            self._time_after(mail_retry_delay_seconds(attempts, self._random_fraction())),
            message.expires_at,
        )
        return DeliveryOutcome(message, STATUS_WAITING, attempts, reason, due_at)

    def _time_after(self, seconds: float) -> datetime:
        return datetime.fromtimestamp(self._now(), UTC) + timedelta(seconds=seconds)

    def _settle_finished(self) -> int:
        batch = self._unsettled[:MAX_SETTLE_BATCH]
        if not batch:
            return 0
        settled_ids = set(self._outgoing_messages.settle(batch, self._now()))
        del self._unsettled[: len(batch)]
        settled = [outcome for outcome in batch if outcome.message.id in settled_ids]
        for outcome in settled:
            _log_outcome(outcome)
        final_statuses = [outcome.status for outcome in settled if outcome.status != STATUS_WAITING]
        if final_statuses:
            self._record_stats(BatchStats("mail", Counter(final_statuses)))
        return len(batch)


def _log_outcome(outcome: DeliveryOutcome) -> None:
    message = outcome.message
    message_name = f"{message.channel} {message.notification_id}-{message.version}"
    if outcome.status == STATUS_FAILED:
        log.warning(
            "%s failed permanently: %s", message_name, outcome.error, extra={"event": "message_failed"}
        )
    elif outcome.status == STATUS_WAITING and outcome.attempts > message.attempts:
        log.info(
            "%s is deferred until %s: %s",
            message_name,
            outcome.due_at,
            outcome.error,
            extra={"event": "message_deferred"},
        )
