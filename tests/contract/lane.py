"""A lane under test: one aggregator's partition, whose offsets count up with each event."""

from app.domain.events import Event
from app.domain.windows import Verdict
from app.stores.windows import Closing, Offered, Windows
from tests.cast import Cast, like, new_id, unknown_cast

INSTANT, GATHERED, SEEN = Verdict.INSTANT, Verdict.GATHERED, Verdict.SEEN
CAST = unknown_cast()
ANN, BEN, CEM, DAN, EVA = (new_id() for _ in range(5))
PLACE = "low:0"
DUE = 150_000
EVERYTHING = 10_000


class Lane:
    def __init__(self, windows: Windows, partition: str = PLACE) -> None:
        self.windows = windows
        self.partition = partition
        self.epoch = windows.epoch(new_id())
        self.next = 0

    def offers(self, *events: Event, places: int = 3, due: int = DUE, rows: int = EVERYTHING):
        first, self.next = self.next, self.next + len(events)
        return self.reads(first, *events, places=places, due=due, rows=rows)

    def reads(
        self, first: int, *events: Event, places: int = 3, due: int = DUE, rows: int = EVERYTHING
    ) -> list[Verdict]:
        """The events at this offset and after it, perhaps not for the first time."""
        offered = [Offered(one, first + n, places, due) for n, one in enumerate(events)]
        return self.windows.gather(self.epoch, self.partition, rows, offered)

    def applies(self, offset: int) -> int:
        return self.windows.applied(self.epoch, self.partition, offset)


def likes(*actors: str, first: int = 1, cast: Cast = CAST) -> list[Event]:
    return [like(actor, cast, seq) for seq, actor in enumerate(actors, first)]


def claimed(windows: Windows, now: int = DUE, most: int = 100) -> list[Closing]:
    return windows.claim_due(now, most, EVERYTHING)


def actors(closing: Closing) -> set[str | None]:
    return {event.actor_id for event in closing.events}
