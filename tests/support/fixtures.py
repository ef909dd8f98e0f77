"""Sample users and events for tests: Alice posts, Bob follows her, Carol does not, Dave is muted by Alice.

sample_users = insert_sample_users(engine)
event = like_event(sample_users.bob_id, sample_users, seq=1)
"""

from dataclasses import dataclass, replace

import uuid_utils
from sqlalchemy import Engine, text

from app.domain.events import SEQ_PER_MS, Event, Kind

FIRST_TEST_SEQ = 1_780_000_000_000 * SEQ_PER_MS
"""Seqs in tests start here, so that the times they encode match tests.support.fakes.ManualClock."""

UNKNOWN_ID = "019e0000-0000-7000-8000-000000000000"
"""A valid id of nothing. Parameters of tests must not change from run to run."""


def new_id() -> str:
    return str(uuid_utils.uuid7())


@dataclass(frozen=True)
class SampleUsers:
    """Ids of the sample users and of Alice's post."""

    alice_id: str
    bob_id: str
    carol_id: str
    dave_id: str
    post_id: str


def insert_sample_users(engine: Engine) -> SampleUsers:
    """Inserts the four users, Alice's post, one follow and one mute."""
    alice_id, bob_id, carol_id, dave_id = insert_users(engine, "Alice", "Bob", "Carol", "Dave")
    sample_users = SampleUsers(alice_id, bob_id, carol_id, dave_id, post_id=new_id())
    with engine.begin() as conn:
        conn.execute(
            text("insert into posts (id, user_id, caption) values (:post, :alice, 'Hello')"),
            {"post": sample_users.post_id, "alice": sample_users.alice_id},
        )
        conn.execute(
            text("insert into follows (follower_id, following_id) values (:bob, :alice)"),
            {"bob": sample_users.bob_id, "alice": sample_users.alice_id},
        )
        conn.execute(
            text("update users set follower_count = 1 where id = :alice"),
            {"alice": sample_users.alice_id},
        )
        conn.execute(
            text("insert into mutes (id, user_id, muted_user_id) values (:id, :alice, :dave)"),
            {"id": new_id(), "alice": sample_users.alice_id, "dave": sample_users.dave_id},
        )
    return sample_users


def insert_users(engine: Engine, *names: str) -> list[str]:
    """Inserts users with these names and returns their ids in order."""
    rows = [{"id": new_id(), "name": name} for name in names]
    with engine.begin() as conn:
        for row in rows:
            conn.execute(
                text(
                    "insert into users (id, email, username, name) "
                    "values (:id, :id || '@example.org', 'u' || right(:id, 12), :name)"
                ),
                row,
            )
    return [row["id"] for row in rows]


def unsaved_sample_users() -> SampleUsers:
    """Ids without rows, for tests without a database."""
    return SampleUsers(new_id(), new_id(), new_id(), new_id(), post_id=new_id())


def like_event(
    actor_id: str,
    sample_users: SampleUsers,
    seq: int,
    active: bool = True,
    is_follower: bool = False,
) -> Event:
    """A like of Alice's post. `seq` counts from FIRST_TEST_SEQ."""
    return Event(
        event_id=new_id(),
        kind=Kind.LIKE,
        recipient_id=sample_users.alice_id,
        actor_id=actor_id,
        object_type="POST",
        object_id=sample_users.post_id,
        seq=FIRST_TEST_SEQ + seq,
        active=active,
        is_follower=is_follower,
    )


def unlike_event(actor_id: str, sample_users: SampleUsers, seq: int) -> Event:
    return like_event(actor_id, sample_users, seq, active=False)


def follow_event(actor_id: str, sample_users: SampleUsers, seq: int, active: bool = True) -> Event:
    return replace(
        like_event(actor_id, sample_users, seq, active),
        kind=Kind.FOLLOW,
        object_type="USER",
        object_id=sample_users.alice_id,
    )


def comment_event(actor_id: str, sample_users: SampleUsers, seq: int, content: str = "Nice one") -> Event:
    return replace(
        like_event(actor_id, sample_users, seq),
        kind=Kind.COMMENT,
        metadata={
            "commentId": new_id(),
            "postId": sample_users.post_id,
            "parentId": None,
            "content": content,
            "postUrl": f"/posts/{sample_users.post_id}",
        },
    )


def otp_event(sample_users: SampleUsers, seq: int, message: str = "Your code is 123456") -> Event:
    """A log-in code for Alice."""
    return Event(
        event_id=new_id(),
        kind=Kind.OTP,
        recipient_id=sample_users.alice_id,
        seq=FIRST_TEST_SEQ + seq,
        message=message,
    )
