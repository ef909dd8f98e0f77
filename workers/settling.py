"""What the writers do after the ledger has written: put aside what PostgreSQL refused, say what
became of each event, and drop the pending comments and follows whose rows are there."""

from collections.abc import Iterable, Sequence
from itertools import islice

from app.domain.events import COMMENT_KINDS, Event, Kind
from app.domain.windows import Verdict
from app.stores.comments import Comments
from app.stores.figures import GATHERED
from app.stores.ledger import Settled
from app.stores.pending_follows import PendingFollows
from app.stores.windows import WindowsLost
from app.streams.dead_letters import DeadLetters, Letter
from app.streams.publisher import record_of

PAGE = 500
MOST = 100_000


def places_of(events: Iterable[Event]) -> list[tuple[str, str]]:
    """Where the comments among them may be pending: (post, comment)."""
    return [(str(e.metadata["postId"]), e.member) for e in events if e.kind in COMMENT_KINDS]


class Written:
    """Comments and follows whose rows are in the tables, while Redis may still list them as
    pending.

    An offset may be called applied only after `forget`: then whoever dies in between leaves the
    event to be read again, and a successor forgets it.
    """

    def __init__(self) -> None:
        self._places: dict[tuple[str, str], None] = {}
        self._follows: dict[tuple[str, str], int] = {}
        self._too_many = False

    def note(self, events: Iterable[Event]) -> None:
        """Of a committed transaction. A word past Redis left nothing pending; had it gone by way of
        Redis as well, that copy comes too."""
        by_redis = [one for one in events if not one.direct]
        self._places |= dict.fromkeys(places_of(by_redis))
        for one in by_redis:
            if one.kind is Kind.FOLLOW:
                follow = str(one.actor_id), one.recipient_id
                self._follows[follow] = max(one.seq, self._follows.get(follow, 0))
        if len(self._places) + len(self._follows) > MOST:
            self._too_many = True
            self._places.clear()
            self._follows.clear()

    def forget(self, comments: Comments, follows: PendingFollows) -> None:
        """Raises Unavailable, and keeps the rest in mind; WindowsLost when there were more than can
        be kept in mind: all that is not committed must be read again, now that Redis answers."""
        while page := list(islice(self._places, PAGE)):
            comments.forget(page)
            for place in page:
                del self._places[place]
        while pairs := dict(islice(self._follows.items(), PAGE)):
            follows.forget(pairs)
            for pair in pairs:
                del self._follows[pair]
        if self._too_many:
            self._too_many = False
            raise WindowsLost


def after_writing(settled: Settled, dead_letters: DeadLetters) -> None:
    for event, reason in settled.refused:
        record = record_of(event)
        dead_letters.put(Letter(record.topic, f"event:{event.event_id}", reason, record.value))


def outcomes(
    events: Sequence[tuple[int, Event]], verdicts: Sequence[Verdict], settled: Settled
) -> list[str]:
    """The coded outcome of each, in order. Who went on into a window is settled there."""
    pairs = zip(events, verdicts, strict=True)
    return [_outcome(event, verdict, settled) for (_, event), verdict in pairs]


def _outcome(event: Event, verdict: Verdict, settled: Settled) -> str:
    """One that names its recipient may be settled before its window ends."""
    known = settled.outcomes.get(event.event_id)
    if verdict is Verdict.INSTANT and known is not None:
        return known
    waits = known is None or (known == "delivered" and event.event_id not in settled.told_as)
    if verdict is Verdict.GATHERED and waits:
        return GATHERED
    return known or "merged"


def passings(
    events: Sequence[tuple[int, Event]], became: Sequence[str], settled: Settled
) -> dict[str, str]:
    """For the trace: what became of it, and where the tables keep it."""
    told = [settled.told_as.get(event.event_id, event) for _, event in events]
    return {
        event.event_id: f"{outcome} {event.seq} {event.recipient_id} {event.kind.value} "
        f"{event.group_object} {event.actor_id or '-'}"
        for event, outcome in zip(told, became, strict=True)
    }
