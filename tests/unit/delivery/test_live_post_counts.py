"""Live counts of a web process: to whom a changed post is emitted, and with which counts."""

from collections.abc import Collection, Sequence
from typing import Any

import pytest

from app.delivery.live_post_counts import LivePostCounts
from app.delivery.post_watchers import PostWatchers
from app.delivery.watch_posts import parse_post_ids
from app.domain.errors import Rejected, Unavailable
from app.domain.post_update_throttle import WATCHED_INTERVAL_SECONDS
from app.ingest.membership_reader import PostCounts
from tests.support.fixtures import new_id


class LiveCountsHarness:
    """Counts that rise with each read, a clock set by the test, and the emitted updates."""

    def __init__(self) -> None:
        self.now = 100.0
        self.read_count = 0
        self.read_seconds = 0.0
        self.is_unavailable = False
        self.emitted: list[tuple[str, str, int]] = []
        """(sockets, post id, likes)"""
        self.watchers = PostWatchers()
        self.live_counts = LivePostCounts(
            self,  # type: ignore[arg-type]
            self.watchers,
            self._emit,
            lambda: self.now,
            new_id,
        )

    def read_post_counts(self, _viewer_id: None, post_ids: Sequence[str]) -> dict[str, PostCounts]:
        self.now += self.read_seconds
        if self.is_unavailable:
            raise Unavailable("Redis does not answer")
        self.read_count += 1
        return {post_id: PostCounts(self.read_count, 0, False) for post_id in post_ids}

    def change(self, *post_ids: str) -> None:
        self.live_counts.record_changes({"posts": {post_id: ["event", "actor"] for post_id in post_ids}})

    def emit_due(self) -> list[tuple[str, str, int]]:
        self.emitted = []
        self.live_counts.emit_due_counts()
        return self.emitted

    def _emit(self, event: str, data: dict[str, Any], sids: Collection[str]) -> None:
        assert (event, data["type"]) == ("post_updated", "POST_UPDATED")
        self.emitted.append((",".join(sids), data["targetEntityId"], data["metadata"]["likesCount"]))


@pytest.fixture
def harness() -> LiveCountsHarness:
    return LiveCountsHarness()


def test_changed_post_is_emitted_to_watchers_and_to_sockets_without_list(harness: LiveCountsHarness) -> None:
    harness.watchers.add_socket_without_list("s1")
    harness.watchers.replace_list("s2", ["a"])
    harness.change("a", "b")

    assert harness.emit_due() == [("s2", "a", 1), ("s1", "a", 1)]
    harness.now += 0.1
    assert harness.emit_due() == [("s1", "b", 2)]


def test_post_that_nobody_receives_is_not_even_read(harness: LiveCountsHarness) -> None:
    harness.watchers.add_socket_without_list("s1")
    harness.change("b")
    harness.watchers.replace_list("s1", ["a"])
    harness.change("b")

    assert (harness.emit_due(), harness.read_count) == ([], 0)


def test_post_is_not_emitted_after_its_last_watcher_left(harness: LiveCountsHarness) -> None:
    harness.watchers.replace_list("s1", ["a"])
    harness.watchers.replace_list("s2", ["b"])
    harness.watchers.replace_list("s3", ["c"])
    harness.change("a", "b", "c")
    harness.watchers.remove_socket("s1")
    harness.watchers.replace_list("s2", [])
    harness.watchers.remove_posts_from_list("s3", ["c"])

    assert harness.emit_due() == []
    assert harness.read_count == 0


def test_socket_that_begins_to_watch_during_the_emission_gets_no_older_counts(
    harness: LiveCountsHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    for sid, post_id in (("s1", "a"), ("s2", "b")):
        harness.watchers.replace_list(sid, [post_id])
    emit = harness.live_counts._emit_to_sockets

    def emit_while_s3_begins_to_watch(event: str, data: dict[str, Any], sids: Collection[str]) -> None:
        harness.watchers.replace_list("s3", ["b"])
        emit(event, data, sids)

    monkeypatch.setattr(harness.live_counts, "_emit_to_sockets", emit_while_s3_begins_to_watch)
    harness.change("a", "b")

    assert harness.emit_due() == [("s1", "a", 1), ("s2", "b", 1)]


def test_unreadable_counts_are_emitted_later(harness: LiveCountsHarness) -> None:
    harness.watchers.add_socket_without_list("s1")
    harness.watchers.replace_list("s2", ["a"])
    harness.change("a")
    harness.is_unavailable = True
    with pytest.raises(Unavailable):
        harness.emit_due()
    harness.is_unavailable = False
    harness.now += WATCHED_INTERVAL_SECONDS

    assert harness.emit_due() == [("s2", "a", 1), ("s1", "a", 1)]


def test_watched_posts_are_emitted_after_a_lost_connection_to_redis(harness: LiveCountsHarness) -> None:
    harness.watchers.add_socket_without_list("s1")
    harness.watchers.replace_list("s2", ["a"])

    harness.live_counts.record_missed_changes()

    assert harness.emit_due() == [("s2", "a", 1)]


def test_new_watcher_gets_the_current_counts(harness: LiveCountsHarness) -> None:
    harness.watchers.replace_list("s1", ["a"])

    assert harness.live_counts.read_for_new_watcher(["a"]) == {"a": PostCounts(1, 0, False)}
    assert harness.emit_due() == []


def test_new_watcher_gets_no_count_older_than_an_emitted_one(
    harness: LiveCountsHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.watchers.replace_list("s1", ["a", "b"])
    read = harness.read_post_counts

    def read_during_which_a_is_emitted(_viewer_id: None, post_ids: Sequence[str]) -> dict[str, PostCounts]:
        counts_by_post = read(None, post_ids)
        monkeypatch.setattr(harness, "read_post_counts", read)
        harness.change("a")
        assert harness.emit_due() == [("s1", "a", 2)]
        return counts_by_post

    monkeypatch.setattr(harness, "read_post_counts", read_during_which_a_is_emitted)

    assert harness.live_counts.read_for_new_watcher(["a", "b"]) == {"b": PostCounts(1, 0, False)}


@pytest.mark.parametrize("is_unavailable", [False, True])
def test_counts_that_a_new_watcher_cannot_get_soon_are_emitted(
    harness: LiveCountsHarness, is_unavailable: bool
) -> None:
    harness.watchers.replace_list("s1", ["a"])
    harness.read_seconds, harness.is_unavailable = WATCHED_INTERVAL_SECONDS, is_unavailable

    assert harness.live_counts.read_for_new_watcher(["a"]) == {}
    harness.is_unavailable = False
    assert [update[:2] for update in harness.emit_due()] == [("s1", "a")]


@pytest.mark.parametrize(
    "payload",
    [
        None,
        [],
        {},
        {"postIds": "x"},
        {"postIds": ["x"]},
        {"postIds": [1]},
        {"postIds": [None]},
        {"postIds": [new_id() for _ in range(101)]},
    ],
    ids=lambda payload: str(payload)[:20],
)
def test_invalid_list_is_refused(payload: Any) -> None:
    with pytest.raises(Rejected, match="at most 100 post ids"):
        parse_post_ids(payload)


def test_list_is_parsed_to_canonical_ids() -> None:
    post_id = new_id()

    assert parse_post_ids({"postIds": [post_id.upper()]}) == [post_id]
    assert len(parse_post_ids({"postIds": [post_id] * 100})) == 100
    assert parse_post_ids({"postIds": []}) == []
