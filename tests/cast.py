"""The cast: Alice posts, Bob follows her, Carol does not, Dave is muted; and what they do.

cast = assemble(engine)
event = like(cast.bob, cast, seq=1)
"""

from dataclasses import dataclass, replace

import uuid_utils
from sqlalchemy import Engine, text

from app.domain.events import SEQ_PER_MS, Event, Kind

EARLIEST = 1_780_000_000_000 * SEQ_PER_MS
"""Seqs of tests count from here, so that the times they name are those of tests.fakes.Clock."""


def new_id() -> str:
    return str(uuid_utils.uuid7())


@dataclass(frozen=True)
class Cast:
    """Ids. `post` is Alice's."""

    alice: str
    bob: str
    carol: str
    dave: str
    post: str


def assemble(engine: Engine) -> Cast:
    """Puts them on the stage: PostgreSQL with these four, Alice's post, one follow and one mute."""
    cast = Cast(*people(engine, "Alice", "Bob", "Carol", "Dave"), new_id())
    with engine.begin() as sql:
        sql.execute(
            text("insert into posts (id, user_id, caption) values (:post, :alice, 'Hello')"),
            {"post": cast.post, "alice": cast.alice},
        )
        sql.execute(
            text("insert into follows (follower_id, following_id) values (:bob, :alice)"),
            {"bob": cast.bob, "alice": cast.alice},
        )
        sql.execute(
            text("update users set follower_count = 1 where id = :alice"), {"alice": cast.alice}
        )
        sql.execute(
            text("insert into mutes (id, user_id, muted_user_id) values (:id, :alice, :dave)"),
            {"id": new_id(), "alice": cast.alice, "dave": cast.dave},
        )
    return cast


def people(engine: Engine, *names: str) -> list[str]:
    """Further people, by name."""
    rows = [{"id": new_id(), "name": name} for name in names]
    with engine.begin() as sql:
        for row in rows:
            sql.execute(
                text(
                    "insert into users (id, email, username, name) "
                    "values (:id, :id || '@example.org', 'u' || right(:id, 12), :name)"
                ),
                row,
            )
    return [row["id"] for row in rows]


def unknown_cast() -> Cast:
    """Ids that no table knows, for what needs none."""
    return Cast(*(new_id() for _ in range(5)))


def like(actor: str, cast: Cast, seq: int, active: bool = True, follower: bool = False) -> Event:
    """The `seq`-th doing of the test."""
    return Event(
        event_id=new_id(),
        kind=Kind.LIKE,
        recipient_id=cast.alice,
        actor_id=actor,
        object_type="POST",
        object_id=cast.post,
        seq=EARLIEST + seq,
        active=active,
        follower=follower,
    )


def unlike(actor: str, cast: Cast, seq: int) -> Event:
    return like(actor, cast, seq, active=False)


def follow(actor: str, cast: Cast, seq: int, active: bool = True) -> Event:
    return replace(
        like(actor, cast, seq, active), kind=Kind.FOLLOW, object_type="USER", object_id=cast.alice
    )


def comment(actor: str, cast: Cast, seq: int, content: str = "Nice one") -> Event:
    return replace(
        like(actor, cast, seq),
        kind=Kind.COMMENT,
        metadata={
            "commentId": new_id(),
            "postId": cast.post,
            "parentId": None,
            "content": content,
            "postUrl": f"/posts/{cast.post}",
        },
    )


def code(cast: Cast, seq: int, text_: str = "Your code is 123456") -> Event:
    """A log-in code for Alice."""
    return Event(
        event_id=new_id(), kind=Kind.OTP, recipient_id=cast.alice, seq=EARLIEST + seq, message=text_
    )
