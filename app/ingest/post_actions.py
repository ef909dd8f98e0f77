"""Posts, comments and shares of a user.

In: blueprints. Out: the tables posts and fan_outs; comments and events go to app/ingest/ingress.py, or to
app/ingest/failover_path.py during a Redis failover.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import text

from app.clients.postgres import translate_errors as translate_postgres_errors
from app.domain.causes import merge_mentions_into_events
from app.domain.errors import RedisFailoverActive, RedisUnavailable, Unavailable, define_rejection
from app.domain.events import Event, Kind
from app.domain.mentions import mentioned_usernames
from app.ingest.action_base import ActionBase
from app.ingest.comments import COMMENT_NOT_FOUND, POST_NOT_FOUND, Comment
from app.ingest.event_builders import (
    EventObject,
    build_comment_event,
    build_object_event,
    comment_object,
    post_object,
)
from app.ingest.membership_kinds import POST_LIKES
from app.ingest.new_posts import NewPost, store_post
from app.ingest.pending_comment_deletions import PendingCommentDeletion
from app.persistence.fan_outs import MANY_RECIPIENTS

NOT_COMMENT_AUTHOR = define_rejection("Cannot delete another user's comment", "forbidden", 403)


class PostActions(ActionBase):
    def create_post(
        self,
        actor_id: str,
        caption: str | None,
        image_url: str | None,
        traceparent: str | None = None,
    ) -> str:
        """Stores a post and, in the same transaction, the request to announce it to the author's subscribers
        and to mentioned users (workers/fan_out.py). It takes the same time for any number of subscribers."""
        post_id = self._clock.new_id()
        event_object = post_object(post_id, caption, image_url)
        seq = self._clock.now_seq()
        mention_events = [
            replace(mention, seq=seq)
            for mention in self._build_mention_events(actor_id, event_object, traceparent)
        ]
        post_event = build_object_event(
            self._clock.new_id(), Kind.BELL_POST, actor_id, MANY_RECIPIENTS, event_object, traceparent
        )
        store_post(
            self._engine,
            NewPost(post_id, actor_id, caption, image_url),
            replace(post_event, seq=seq),
            mention_events,
        )
        with suppress(Unavailable):  # the cache is loaded by the first like or comment then
            self._memberships.cache_loader.cache_as_empty(POST_LIKES, post_id, actor_id)
            self._comments.cache_zero_count(post_id)
        return post_id

    def create_comment(
        self, actor_id: str, post_id: str, content: str, traceparent: str | None = None
    ) -> Comment:
        """The comment is readable at once by all; its row and its announcement follow with its window."""
        owner_id = self._check_access_and_get_post_owner_id(actor_id, post_id)
        comment = self._build_comment(post_id, actor_id, content, None)
        self._publish_comment(comment, owner_id, traceparent)
        return comment

    def create_reply(
        self, actor_id: str, comment_id: str, content: str, traceparent: str | None = None
    ) -> Comment:
        parent = self._comments.find_or_raise(comment_id)
        self._blocks.raise_if_blocked(actor_id, parent.user_id, COMMENT_NOT_FOUND)
        self._check_access_and_get_post_owner_id(actor_id, parent.post_id)
        reply = self._build_comment(parent.post_id, actor_id, content, parent.id)
        self._publish_comment(reply, parent.user_id, traceparent)
        return reply

    def delete_comment(self, actor_id: str, comment_id: str, traceparent: str | None = None) -> None:
        """Hides the comment at once; the pipeline then removes it from window, group and text. During a
        failover, a comment that only Redis has is deleted once it is written."""
        try:
            comment = self._comments.find_or_raise(comment_id)
        except (RedisUnavailable, RedisFailoverActive):
            deletion = PendingCommentDeletion(comment_id, actor_id)
            self._failover.run_with_fallback(
                lambda: self._delete_existing_comment(
                    actor_id, self._comments.find_or_raise(comment_id), traceparent
                ),
                lambda: self._failover.delete_comment_later(deletion),
            )
            return
        self._delete_existing_comment(actor_id, comment, traceparent)

    def _delete_existing_comment(self, actor_id: str, comment: Comment, traceparent: str | None) -> None:
        if comment.user_id != actor_id:
            raise NOT_COMMENT_AUTHOR
        recipient_id: str | None = self._comments.get_post_owner_id(comment.post_id)
        if comment.parent_id:
            recipient_id = self._comments.find_author_id(comment.parent_id)
        emptied_comment = replace(comment, content="")
        # A parent without a known author has no group: the retraction is then addressed to the actor.
        retraction = replace(
            build_comment_event(self._clock.new_id(), emptied_comment, recipient_id or actor_id, traceparent),
            active=False,
        )
        mention_retractions = [
            replace(mention, active=False, message=None)
            for mention in self._build_mention_events(actor_id, comment_object(comment), traceparent)
        ]
        self._write_comment_and_events(
            comment.post_id,
            merge_mentions_into_events([retraction], mention_retractions),
            emptied_comment,
            is_deleted=True,
        )

    def share_post(self, actor_id: str, post_id: str, traceparent: str | None = None) -> None:
        owner_id = self._check_access_and_get_post_owner_id(actor_id, post_id)
        self.publish_event(
            build_object_event(
                self._clock.new_id(), Kind.POST_SHARE, actor_id, owner_id, post_object(post_id), traceparent
            )
        )

    def _check_access_and_get_post_owner_id(self, actor_id: str, post_id: str) -> str:
        """Returns the owner of the post. Raises Rejected (404), also if a block hides it from the actor."""
        owner_id = self._comments.get_post_owner_id(post_id)
        self._blocks.raise_if_blocked(actor_id, owner_id, POST_NOT_FOUND)
        return owner_id

    def _build_comment(self, post_id: str, actor_id: str, content: str, parent_id: str | None) -> Comment:
        now = datetime.fromtimestamp(self._clock.now(), UTC)
        return Comment(self._clock.new_id(), post_id, actor_id, content, parent_id, now)

    def _publish_comment(self, comment: Comment, recipient_id: str, traceparent: str | None) -> None:
        event = build_comment_event(self._clock.new_id(), comment, recipient_id, traceparent)
        # Mentions are grouped by comment: a mention in another comment is announced again.
        mention_events = self._build_mention_events(comment.user_id, comment_object(comment), traceparent)
        self._write_comment_and_events(
            comment.post_id, merge_mentions_into_events([event], mention_events), comment
        )

    def _write_comment_and_events(
        self, post_id: str, events: Sequence[Event], comment: Comment, is_deleted: bool = False
    ) -> None:
        self._failover.run_with_fallback(
            lambda: self._append_comment_to_ingress(post_id, events, comment, is_deleted),
            lambda: self._failover.write_events(events),
        )

    def _append_comment_to_ingress(
        self, post_id: str, events: Sequence[Event], comment: Comment, is_deleted: bool
    ) -> None:
        if self._is_retry and self._comments.exists(comment.id):
            self._ingress.append_events(events)  # the comment is counted already
            return
        if not is_deleted:
            self._comments.cache_post_and_author_ids(comment)
        if not self._ingress.append_events(events, comment, is_deleted):
            self._comments.load_count_into_cache(post_id)
            if not self._ingress.append_events(events, comment, is_deleted):
                raise Unavailable("The post could not be loaded", "busy")

    def _build_mention_events(
        self, actor_id: str, event_object: EventObject, traceparent: str | None
    ) -> list[Event]:
        """One MENTION for each existing user mentioned in a text, once per text."""
        usernames = mentioned_usernames(event_object.text or "")
        if not usernames:
            return []
        with translate_postgres_errors("find the mentioned users"), self._engine.connect() as conn:
            mentioned_ids = conn.execute(
                text("select id::text from users where username = any(:names)"),
                {"names": usernames},
            ).scalars()
            recipient_ids = [user_id for user_id in mentioned_ids if user_id != actor_id]
        return [
            build_object_event(
                self._clock.new_id(), Kind.MENTION, actor_id, recipient_id, event_object, traceparent
            )
            for recipient_id in recipient_ids
        ]
