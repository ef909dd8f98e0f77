"""One cause, one notification: an event that also mentions its recipient."""

from dataclasses import replace

import pytest

from app.domain.causes import (
    event_variants_to_announce,
    event_variants_to_retract,
    merge_mentions_into_events,
    to_mention_event,
)
from app.domain.events import Event, Kind
from tests.support.fixtures import comment_event, like_event, new_id, unsaved_sample_users

USERS = unsaved_sample_users()


def mention_event(recipient_id: str) -> Event:
    return replace(like_event(USERS.bob_id, USERS, 1), kind=Kind.MENTION, recipient_id=recipient_id)


def test_mention_of_a_recipient_is_merged_into_their_event() -> None:
    comment = comment_event(USERS.bob_id, USERS, 1)

    merged = merge_mentions_into_events([comment], [mention_event(USERS.alice_id)])

    assert merged == [replace(comment, mentions_recipient=True)]


def test_mention_of_another_user_stays_an_event() -> None:
    comment, mention = comment_event(USERS.bob_id, USERS, 1), mention_event(new_id())

    assert merge_mentions_into_events([comment], [mention]) == [comment, mention]


@pytest.mark.parametrize(
    ("kind", "kinds"),
    [
        pytest.param(Kind.COMMENT, [Kind.MENTION, Kind.COMMENT], id="comment"),
        pytest.param(Kind.COMMENT_REPLY, [Kind.COMMENT_REPLY, Kind.MENTION], id="reply"),
    ],
)
def test_comment_that_mentions_its_recipient_has_two_candidates(kind: Kind, kinds: list[Kind]) -> None:
    comment = replace(comment_event(USERS.bob_id, USERS, 1), kind=kind, mentions_recipient=True)

    assert [event.kind for event in event_variants_to_announce(comment)] == kinds


def test_event_without_mention_is_its_only_candidate() -> None:
    comment = comment_event(USERS.bob_id, USERS, 1)

    assert event_variants_to_announce(comment) == [comment]


def test_comment_may_be_retracted_as_a_mention() -> None:
    comment, like = comment_event(USERS.bob_id, USERS, 1), like_event(USERS.bob_id, USERS, 2)

    assert event_variants_to_retract(comment) == [comment, to_mention_event(comment)]
    assert event_variants_to_retract(like) == [like]


def test_mention_in_a_comment_is_about_the_comment() -> None:
    comment = comment_event(USERS.bob_id, USERS, 1, content="hi @alice")

    mention = to_mention_event(comment)

    assert (mention.kind, mention.object_type, mention.message) == (Kind.MENTION, "COMMENT", "hi @alice")
    assert mention.object_id == comment.metadata["commentId"]
    assert set(mention.metadata) == {"postUrl", "postId", "commentId"}


def test_mention_in_a_post_is_about_the_post() -> None:
    post = replace(like_event(USERS.bob_id, USERS, 1), kind=Kind.BELL_POST)

    assert to_mention_event(post) == replace(post, kind=Kind.MENTION)
