"""client_seq has no gaps, and versions of the unread count only rise."""

from itertools import pairwise

import pytest

from tests.support.event_writer_harness import EventWriterHarness
from tests.support.fixtures import comment_event, follow_event, insert_users, like_event, unlike_event

pytestmark = pytest.mark.service


def test_client_seqs_have_no_gaps_and_unread_count_versions_only_rise(
    writer: EventWriterHarness,
) -> None:
    users = writer.sample_users
    actors = insert_users(writer.engine, *(f"P{n}" for n in range(6)))
    for seq, actor in enumerate(actors, 1):
        writer.write(like_event(actor, users, seq), follow_event(actor, users, 100 + seq))
        writer.write(unlike_event(actors[0], users, 200 + seq))
        writer.close_window(comment_event(actor, users, 300 + seq))

    seqs = [client_event["seq"] for client_event in writer.client_events()]
    assert seqs == list(range(1, len(seqs) + 1))
    versions = [version for _, version in writer.unread_counts]
    assert all(earlier < later for earlier, later in pairwise(versions))


def test_notification_row_has_the_seq_of_its_last_client_event(
    writer: EventWriterHarness,
) -> None:
    users = writer.sample_users
    writer.write(like_event(users.bob_id, users, 1))
    writer.write(like_event(users.carol_id, users, 2))

    assert writer.notification_row("client_seq") == (writer.client_events()[-1]["seq"],)


def test_unread_count_event_counts_unread_groups_after_each_client_event(
    writer: EventWriterHarness,
) -> None:
    users = writer.sample_users
    writer.write(like_event(users.bob_id, users, 1), follow_event(users.carol_id, users, 2))

    kinds = [row[0] for row in writer.query("select client_event from outbox order by id")]
    assert kinds == ["notification", "notification", "unread_count"]
    assert [count for count, _ in writer.unread_counts] == [2]
