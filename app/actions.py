"""STOP 3. What a person can do: count it now, append the event, answer.

In    blueprints/*
Out   stores/memberships.py and streams/ingress.py (one atomic step in Redis), stores/posts for new
      posts; app/direct.py while Redis is away
Next  workers/bridge.py
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from app.direct import Direct
from app.domain.causes import merge_mentions
from app.domain.errors import Rejected, Unavailable
from app.domain.events import CRITICAL_KINDS, Event, Kind
from app.domain.mentions import mentioned
from app.failpoints import reach
from app.stores.blocks import Blocks
from app.stores.comment_deletions import CommentDeletion
from app.stores.comments import COMMENT_MISSING, POST_MISSING, Comment, Comments
from app.stores.gate import PAST_REDIS
from app.stores.ledger import Hand
from app.stores.memberships import Asked, Memberships, Standing, Wish
from app.stores.mutes import SELF_BLOCK, Mutes
from app.stores.postgres import speaking as asking_postgres
from app.stores.subjects import PERSON, POST
from app.streams.ingress import Ingress

__all__ = ["Actions", "Clock", "Standing", "Wish"]

log = logging.getLogger(__name__)
NOT_YOUR_COMMENT = Rejected("Cannot delete another user's comment", "forbidden", 403)
SELF_FOLLOW = Rejected("Cannot follow yourself", "cannot_follow_self", 400)


@dataclass(frozen=True, slots=True)
class About:
    """What an event happened to, the post it belongs to, and what it says."""

    type: str
    id: str
    post_id: str
    text: str | None = None
    image_url: str | None = None


@dataclass(frozen=True, slots=True)
class Clock:
    """Time and ids, handed in so that tests hold them."""

    now: Callable[[], float]
    new_id: Callable[[], str]


class Actions:
    """Each verb raises Rejected (the caller's fault) or Unavailable (try again later)."""

    def __init__(
        self,
        memberships: Memberships,
        comments: Comments,
        ingress: Ingress,
        engine: Engine,
        clock: Clock,
        critical: Callable[[Event], None],
        direct: Direct | None = None,
    ) -> None:
        self._critical = critical
        self._memberships = memberships
        self._blocks = Blocks(engine)
        self._mutes = Mutes(engine, Hand(clock.now, clock.new_id))
        self._comments = comments
        self._ingress = ingress
        self._engine = engine
        self._clock = clock
        self._direct = direct
        self._again = False
        """What is done now may have been done before, with the same ids."""

    def naming(self, new_id: Callable[[], str], again: bool = False) -> "Actions":
        """The same verbs, with ids drawn elsewhere: for who wants to follow the events. The last
        one that a verb draws is its event's."""
        twin = copy(self)
        twin._clock = replace(self._clock, new_id=new_id)
        twin._again = again
        return twin

    def like(self, actor_id: str, post_id: str, wish: Wish, trace: str | None = None) -> Standing:
        """The whole of a like: one Redis call when the post is warm, and no SQL."""
        return self._wish(Asked(POST, actor_id, post_id, wish, self._clock.new_id(), trace or ""))

    def follow(self, actor_id: str, user_id: str, wish: Wish, trace: str | None = None) -> Standing:
        if actor_id == user_id:
            raise SELF_FOLLOW
        return self._wish(Asked(PERSON, actor_id, user_id, wish, self._clock.new_id(), trace or ""))

    def block(self, actor_id: str, other_id: str, trace: str | None = None) -> None:
        """Ends both follows by the ordinary way, then makes the block. Asking again completes what
        was cut off. Raises Rejected (404)."""
        if actor_id == other_id:
            raise SELF_BLOCK
        self._mutes.check_person(other_id)
        self._end_follows(actor_id, other_id, True, trace)
        self._mutes.block(actor_id, other_id)
        self._note_block(actor_id, other_id, True)

    def unblock(self, actor_id: str, other_id: str, trace: str | None = None) -> None:
        """Restores nothing. Raises Rejected (404)."""
        self._mutes.check_person(other_id)
        if actor_id == other_id:
            return
        self._end_follows(actor_id, other_id, False, trace)
        self._mutes.unblock(actor_id, other_id)
        self._note_block(actor_id, other_id, False)

    def _end_follows(self, one: str, other: str, blocked: bool, trace: str | None) -> None:
        """Past Redis these notes say as well that what Redis knows of both is out of date."""
        cache = self._memberships.warming.blocks
        for follower, followed in ((one, other), (other, one)):
            asked = Asked(PERSON, follower, followed, Wish.OFF, self._clock.new_id(), trace or "")
            self._wish(asked, lambda: cache.begin(one, other, blocked))

    def _note_block(self, one: str, other: str, blocked: bool) -> None:
        try:
            self._memberships.warming.blocks.end(one, other, blocked)
        except Unavailable as fault:
            log.warning("Redis reads the blocks of two people afresh later: %s", fault)

    def _wish(self, asked: Asked, before: Callable[[], object] = lambda: None) -> Standing:
        def by_redis() -> Standing:
            before()
            return self._memberships.want(asked)

        direct = self._direct
        if direct is None:
            standing = by_redis()
        else:
            repeatable = asked.wish is not Wish.TOGGLE
            standing = direct.either(by_redis, lambda: direct.wish(asked), repeatable=repeatable)
        reach("web.accepted")
        return standing

    def post(
        self, actor_id: str, caption: str | None, image_url: str | None, trace: str | None = None
    ) -> str:
        """A new post, in the table at once; then those who ring for it and those it mentions."""
        post_id = self._clock.new_id()
        with _author_exists(), asking_postgres("keep the post"), self._engine.begin() as sql:
            sql.execute(
                text(
                    "insert into posts (id, user_id, caption, image_url) "
                    "values (:id, :user_id, :caption, :image_url) on conflict (id) do nothing"
                ),
                {"id": post_id, "user_id": actor_id, "caption": caption, "image_url": image_url},
            )
            subscribers = sql.execute(
                text(
                    "select subscriber_id::text from bell_subscriptions "
                    "where target_user_id = :user_id"
                ),
                {"user_id": actor_id},
            ).scalars()
            recipients = list(subscribers)
        with suppress(Unavailable):  # then it is cold, and loaded when somebody asks
            self._memberships.warming.born(POST, post_id, actor_id)
            self._comments.born(post_id)
        about = About("POST", post_id, post_id, caption, image_url)
        bells = [self._event(Kind.BELL_POST, actor_id, one, about, trace) for one in recipients]
        mentions = self._mentions(actor_id, about, trace)
        if bells or mentions:
            self._raise(merge_mentions(bells, mentions))
        return post_id

    def comment(
        self, actor_id: str, post_id: str, content: str, trace: str | None = None
    ) -> Comment:
        """Readable at once by everybody; its row and its announcement follow with its window."""
        owner = self._open_to(actor_id, post_id)
        made = self._comment(post_id, actor_id, content, None)
        return self._say(Kind.COMMENT, made, owner, "POST", post_id, trace)

    def reply(
        self, actor_id: str, comment_id: str, content: str, trace: str | None = None
    ) -> Comment:
        parent = self._comments.find(comment_id)
        self._blocks.check(actor_id, parent.user_id, COMMENT_MISSING)
        self._open_to(actor_id, parent.post_id)
        made = self._comment(parent.post_id, actor_id, content, parent.id)
        return self._say(Kind.COMMENT_REPLY, made, parent.user_id, "COMMENT", parent.id, trace)

    def delete_comment(self, actor_id: str, comment_id: str, trace: str | None = None) -> None:
        """Out of everybody's sight at once; out of window, group and text as the event passes. One
        that only Redis knows, which is away, is deleted as soon as it is written."""
        direct = self._direct
        try:
            said = self._comments.find(comment_id)
        except Unavailable as fault:
            if direct is None or fault.code not in PAST_REDIS:
                raise
            later = CommentDeletion(comment_id, actor_id)
            direct.either(
                lambda: self._delete_found(actor_id, self._comments.find(comment_id), trace),
                lambda: direct.delete_later(later),
            )
            return
        self._delete_found(actor_id, said, trace)

    def _delete_found(self, actor_id: str, said: Comment, trace: str | None) -> None:
        if said.user_id != actor_id:
            raise NOT_YOUR_COMMENT
        kind, of, subject = Kind.COMMENT, "POST", said.post_id
        recipient: str | None = self._comments.owner_of(said.post_id)
        if said.parent_id:
            kind, of, subject = Kind.COMMENT_REPLY, "COMMENT", said.parent_id
            recipient = self._comments.author_of(said.parent_id)
        gone = replace(said, content="")
        # A parent nobody knows has no group to leave: then the word is to oneself.
        withdrawn = replace(
            self._said(kind, gone, recipient or actor_id, of, subject, trace), active=False
        )
        about = About("COMMENT", said.id, said.post_id, said.content)
        mentions = [
            replace(one, active=False, message=None)
            for one in self._mentions(actor_id, about, trace)
        ]
        self._append(said.post_id, merge_mentions([withdrawn], mentions), gone, deleted=True)

    def share(self, actor_id: str, post_id: str, trace: str | None = None) -> None:
        owner = self._open_to(actor_id, post_id)
        event = self._event(
            Kind.POST_SHARE, actor_id, owner, About("POST", post_id, post_id), trace
        )
        follows = self._memberships.follows_of(actor_id, [owner])[owner][1]
        self.raise_event(_as_follower(event) if follows else event)

    def _open_to(self, actor_id: str, post_id: str) -> str:
        """Whose post it is. Raises Rejected (404), also when a block hides it from the actor."""
        owner = self._comments.owner_of(post_id)
        self._blocks.check(actor_id, owner, POST_MISSING)
        return owner

    def raise_event(self, event: Event) -> None:
        """Any event of another server (POST /api/events). Critical ones go a way of their own."""
        if event.kind in CRITICAL_KINDS:
            self._critical(event)
        else:
            self._raise([event])

    def _raise(self, events: Sequence[Event]) -> None:
        """Events that are no rows."""
        direct = self._direct
        if direct is None:
            self._ingress.append(events)
        else:
            direct.either(lambda: self._append_once(events), lambda: direct.events(events))

    def _append_once(self, events: Sequence[Event]) -> None:
        self._ingress.append(events)

    def _comment(self, post_id: str, actor: str, content: str, parent: str | None) -> Comment:
        now = datetime.fromtimestamp(self._clock.now(), UTC)
        return Comment(self._clock.new_id(), post_id, actor, content, parent, now)

    def _say(
        self, kind: Kind, made: Comment, recipient: str, of: str, subject: str, trace: str | None
    ) -> Comment:
        event = self._said(kind, made, recipient, of, subject, trace)
        # Each text is a group of its own: being named again in another comment rings again.
        said = About("COMMENT", made.id, made.post_id, made.content)
        events = merge_mentions([event], self._mentions(made.user_id, said, trace))
        self._append(made.post_id, events, made)
        return made

    def _append(
        self, post_id: str, events: Sequence[Event], comment: Comment, deleted: bool = False
    ) -> None:
        direct = self._direct
        if direct is None:
            self._by_redis(post_id, events, comment, deleted)
            return
        said = None if deleted else comment.to_json()
        direct.either(
            lambda: self._by_redis(post_id, events, comment, deleted),
            lambda: direct.comment(events, post_id, said),
        )

    def _by_redis(
        self, post_id: str, events: Sequence[Event], comment: Comment, deleted: bool
    ) -> None:
        if self._again and self._comments.knows(comment.id):
            self._ingress.append(events)  # it is counted already
            return
        if not deleted:
            self._comments.remember_place(comment)
        if not self._ingress.append(events, comment, deleted):
            self._comments.warm(post_id)
            if not self._ingress.append(events, comment, deleted):
                raise Unavailable("The post could not be loaded", "busy")

    def _said(
        self, kind: Kind, made: Comment, recipient: str, of: str, subject: str, trace: str | None
    ) -> Event:
        return Event(
            event_id=self._clock.new_id(),
            kind=kind,
            recipient_id=recipient,
            actor_id=made.user_id,
            object_type=of,
            object_id=subject,
            traceparent=trace,
            metadata={
                "commentId": made.id,
                "postId": made.post_id,
                "parentId": made.parent_id,
                "content": made.content,
                "postUrl": f"/posts/{made.post_id}",
            },
        )

    def _mentions(self, actor: str, about: About, trace: str | None) -> list[Event]:
        """One MENTION for each existing user named in a text, once per text."""
        names = mentioned(about.text or "")
        if not names:
            return []
        with asking_postgres("find who is mentioned"), self._engine.connect() as sql:
            people = sql.execute(
                text("select id::text from users where username = any(:names)"), {"names": names}
            ).scalars()
            recipients = [one for one in people if one != actor]
        return [self._event(Kind.MENTION, actor, one, about, trace) for one in recipients]

    def _event(
        self, kind: Kind, actor: str, recipient: str, about: About, trace: str | None
    ) -> Event:
        comment = {"commentId": about.id} if about.type == "COMMENT" else {}
        return Event(
            event_id=self._clock.new_id(),
            kind=kind,
            recipient_id=recipient,
            actor_id=actor,
            object_type=about.type,
            object_id=about.id,
            message=about.text,
            image_url=about.image_url,
            traceparent=trace,
            metadata={"postUrl": f"/posts/{about.post_id}", "postId": about.post_id, **comment},
        )


@contextmanager
def _author_exists() -> Iterator[None]:
    """A token needs no row of its own, so its owner may be gone by the time it posts."""
    try:
        yield
    except IntegrityError as fault:
        raise PERSON.missing from fault


def _as_follower(event: Event) -> Event:
    return replace(event, follower=True)
