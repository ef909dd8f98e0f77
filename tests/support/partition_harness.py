"""One partition of a priority topic as an aggregator offers it to the windows; offsets count up."""

from app.aggregation.windows import ClaimedWindow, OfferedEvent, WindowStore
from app.domain.events import Event
from app.domain.windows import WindowDecision
from tests.support.fixtures import SampleUsers, like_event, new_id, unsaved_sample_users

INSTANT, GATHERED, DUPLICATE = (
    WindowDecision.INSTANT,
    WindowDecision.GATHERED,
    WindowDecision.DUPLICATE,
)
SAMPLE_USERS = unsaved_sample_users()
ANN_ID, BEN_ID, CEM_ID, DAN_ID, EVA_ID = (new_id() for _ in range(5))
PARTITION = "low:0"
DUE_MS = 150_000
NO_ROW_LIMIT = 10_000


class PartitionHarness:
    def __init__(self, window_store: WindowStore, partition: str = PARTITION) -> None:
        self.window_store = window_store
        self.partition = partition
        self.epoch = window_store.get_or_set_epoch(new_id())
        self.next_offset = 0

    def offer(
        self,
        *events: Event,
        instant_quota: int = 3,
        due_ms: int = DUE_MS,
        max_rows: int = NO_ROW_LIMIT,
    ) -> list[WindowDecision]:
        first_offset, self.next_offset = self.next_offset, self.next_offset + len(events)
        return self.offer_at_offset(
            first_offset, *events, instant_quota=instant_quota, due_ms=due_ms, max_rows=max_rows
        )

    def offer_at_offset(
        self,
        first_offset: int,
        *events: Event,
        instant_quota: int = 3,
        due_ms: int = DUE_MS,
        max_rows: int = NO_ROW_LIMIT,
    ) -> list[WindowDecision]:
        """Offers events at this offset and the following ones, perhaps again."""
        offers = [
            OfferedEvent(event, first_offset + index, instant_quota, due_ms)
            for index, event in enumerate(events)
        ]
        return self.window_store.gather_events(self.epoch, self.partition, max_rows, offers)

    def mark_applied(self, offset: int) -> int:
        return self.window_store.mark_applied_and_get_commit_offset(self.epoch, self.partition, offset)


def like_events(*actor_ids: str, first_seq: int = 1, sample_users: SampleUsers = SAMPLE_USERS) -> list[Event]:
    return [like_event(actor_id, sample_users, seq) for seq, actor_id in enumerate(actor_ids, first_seq)]


def claim_due_windows(
    window_store: WindowStore, now_ms: int = DUE_MS, max_windows: int = 100
) -> list[ClaimedWindow]:
    return window_store.claim_due_windows(now_ms, max_windows, NO_ROW_LIMIT)


def actor_ids_of(claimed_window: ClaimedWindow) -> set[str | None]:
    return {event.actor_id for event in claimed_window.events}
