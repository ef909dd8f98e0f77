"""What all user actions share: their collaborators, and how an event is published.

In: events of the actions and of other services. Out: app/ingest/ingress.py, app/ingest/critical_publisher.py,
or app/ingest/failover_path.py during a Redis failover; workers/bridge.py reads the ingress.
"""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from typing import Self

from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from app.clients.postgres import translate_errors as translate_postgres_errors
from app.domain.clock import TimeAndIdSource
from app.domain.events import CRITICAL_KINDS, Event
from app.ingest.comments import Comments
from app.ingest.failover_path import FailoverWriter
from app.ingest.ingress import IngressStreams
from app.ingest.membership_kinds import USER_FOLLOWS
from app.ingest.memberships import MembershipStore
from app.persistence.blocks import Blocks
from app.persistence.fan_outs import Audience, insert_fan_out
from app.social.mutes import MutesAndBlocks


class ActionBase:
    """Each action raises Rejected (invalid request) or Unavailable (try again later)."""

    def __init__(
        self,
        memberships: MembershipStore,
        comments: Comments,
        ingress: IngressStreams,
        engine: Engine,
        clock: TimeAndIdSource,
        publish_critical: Callable[[Event], None],
        failover: FailoverWriter,
    ) -> None:
        self._publish_critical = publish_critical
        self._memberships = memberships
        self._blocks = Blocks(engine)
        self._mutes = MutesAndBlocks(engine, clock)
        self._comments = comments
        self._ingress = ingress
        self._engine = engine
        self._clock = clock
        self._failover = failover
        self._is_retry = False
        """Whether the action may have been done before, with the same ids."""

    def with_id_factory(self, new_id: Callable[[], str], is_retry: bool = False) -> Self:
        """The same actions with ids from `new_id`, for callers that track the events. The last id that
        an action requests is that of its event."""
        copied = copy(self)
        copied._clock = replace(self._clock, new_id=new_id)
        copied._is_retry = is_retry
        return copied

    def publish_event(self, event: Event) -> None:
        """Publishes any event, also of another service (POST /api/events). Critical events are written
        synchronously instead of through the ingress."""
        if event.kind in CRITICAL_KINDS:
            self._publish_critical(event)
        else:
            self._publish_to_ingress_or_failover([event])

    def publish_to_many(self, event: Event, recipient_ids: Sequence[str]) -> None:
        """Stores an event for many recipients, who are notified in the background (workers/fan_out.py).
        `event.recipient_id` is not used. Raises Rejected if the actor does not exist, Unavailable."""
        event = replace(event, seq=self._clock.now_seq())
        try:
            with translate_postgres_errors("store the event"), self._engine.begin() as conn:
                insert_fan_out(conn, event, Audience.LISTED, recipient_ids=recipient_ids)
        except IntegrityError as exc:
            raise USER_FOLLOWS.not_found_error from exc

    def _publish_to_ingress_or_failover(self, events: Sequence[Event]) -> None:
        """Publishes events without a row of their own (no membership, no comment)."""
        self._failover.run_with_fallback(
            lambda: self._ingress.append_events(events), lambda: self._failover.write_events(events)
        )
