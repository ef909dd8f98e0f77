"""client_seq has no gaps, and versions of the unread count only rise."""

from itertools import pairwise

import pytest

from tests.support.event_writer_harness import EventWriterHarness
from tests.support.fixtures import comment_event, follow_event, insert_users, like_event, unlike_event

pytestmark = pytest.mark.service


def test_client_seqs_have_no_gaps_and_unread_count_versions_only_rise(
    event_writer_harness: EventWriterHarness,
) -> None:
    sample_users = event_writer_harness.sample_users
    actors = insert_users(event_writer_harness.engine, *(f"P{n}" for n in range(6)))
    for seq, actor in enumerate(actors, 1):
        event_writer_harness.write(
            like_event(actor, sample_users, seq), follow_event(actor, sample_users, 100 + seq)
        )
        event_writer_harness.write(unlike_event(actors[0], sample_users, 200 + seq))
        event_writer_harness.close_window(comment_event(actor, sample_users, 300 + seq))

    seqs = [client_event["seq"] for client_event in event_writer_harness.client_events()]
    assert seqs == list(range(1, len(seqs) + 1))
    versions = [version for _, version in event_writer_harness.unread_counts]
    assert all(earlier < later for earlier, later in pairwise(versions))


def test_notification_row_has_the_seq_of_its_last_client_event(
    event_writer_harness: EventWriterHarness,
) -> None:
    sample_users = event_writer_harness.sample_users
    event_writer_harness.write(like_event(sample_users.bob_id, sample_users, 1))
    event_writer_harness.write(like_event(sample_users.carol_id, sample_users, 2))

    assert event_writer_harness.notification_row("client_seq") == (
        event_writer_harness.client_events()[-1]["seq"],
    )


def test_unread_count_event_counts_unread_groups_after_each_client_event(
    event_writer_harness: EventWriterHarness,
) -> None:
    sample_users = event_writer_harness.sample_users
    event_writer_harness.write(
        like_event(sample_users.bob_id, sample_users, 1), follow_event(sample_users.carol_id, sample_users, 2)
    )

    kinds = [row[0] for row in event_writer_harness.query("select client_event from outbox order by id")]
    assert kinds == ["notification", "notification", "unread_count"]
    assert [count for count, _ in event_writer_harness.unread_counts] == [2]
