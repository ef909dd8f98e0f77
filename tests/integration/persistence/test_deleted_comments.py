"""A deleted comment disappears from the page, the count, the window, the group and the text."""

from collections.abc import Callable

import pytest

from app.bootstrap import new_id
from app.devtools.checker.store_invariants import StoreInvariants
from app.domain.clock import TimeAndIdSource
from app.domain.errors import Rejected, Unavailable
from app.domain.grouping import ClientEventType
from app.social.mutes import MutesAndBlocks
from tests.support.pipeline_harness import WINDOW_AND_JITTER_SECONDS, PipelineHarness, PipelineUser
from tests.support.post_counts import count_comments
from tests.support.redis_failover_harness import RedisFailoverHarness

pytestmark = pytest.mark.service


@pytest.fixture
def ann(pipeline: PipelineHarness) -> PipelineUser:
    """A user beside Alice, who has created a post."""
    pipeline.alice.create_post("Hello")
    return pipeline.create_users("Ann")[0]


def visible_comments(pipeline: PipelineHarness) -> tuple[int, list[str]]:
    """The count and the contents of the comments of Alice's post."""
    services = pipeline.worker_services.services
    post_id = pipeline.post_id_by_caption["Hello"]
    contents = [comment.content for comment in services.comments.list_by_post(post_id)]
    return count_comments(services.memberships, post_id), contents


def find_violations(pipeline: PipelineHarness) -> list[str]:
    return StoreInvariants(pipeline.engine, pipeline.redis).find_violations()


def test_deleted_comment_is_hidden_at_once_and_not_announced(
    pipeline: PipelineHarness, ann: PipelineUser
) -> None:
    comment = ann.comment("Hello", "Nice")

    ann.delete_comment(comment)

    assert visible_comments(pipeline) == (0, [])
    pipeline.close_windows()
    assert (visible_comments(pipeline), pipeline.alice.toast_messages, pipeline.alice.unread_count) == (
        (0, []),
        [],
        0,
    )
    assert find_violations(pipeline) == []


def test_text_of_a_deleted_comment_is_removed_from_the_tables(
    pipeline: PipelineHarness, ann: PipelineUser
) -> None:
    comment = ann.comment("Hello", "a secret")
    pipeline.close_windows()

    ann.delete_comment(comment)
    pipeline.run_until_idle()

    assert pipeline.query("select content from comments") == [("",)]
    assert pipeline.query("select 1 from notifications where quote like '%secret%'") == []


def test_author_with_another_comment_stays_in_the_group(pipeline: PipelineHarness, ann: PipelineUser) -> None:
    ann.comment("Hello", "first")
    second = ann.comment("Hello", "second")
    pipeline.close_windows()

    ann.delete_comment(second)
    pipeline.run_until_idle()

    messages = [
        client_event["message"] for client_event in pipeline.alice.client_events(ClientEventType.UPDATED)
    ]
    assert messages == ['Ann commented: "first"']
    assert (visible_comments(pipeline), pipeline.alice.unread_count) == ((1, ["first"]), 1)
    assert find_violations(pipeline) == []


def test_author_of_two_comments_deleted_at_once_leaves_the_group_once(
    pipeline: PipelineHarness, ann: PipelineUser
) -> None:
    (ben,) = pipeline.create_users("Ben")
    ben.comment("Hello", "stays")
    comments = [ann.comment("Hello", content) for content in ("first", "second")]
    pipeline.close_windows()

    for comment in comments:
        ann.delete_comment(comment)
    pipeline.run_until_idle()

    assert pipeline.query("select actor_count from notifications") == [(1,)]
    assert find_violations(pipeline) == []


def update_messages(pipeline: PipelineHarness) -> list[str]:
    return [client_event["message"] for client_event in pipeline.alice.client_events(ClientEventType.UPDATED)]


def remove_account(pipeline: PipelineHarness, user: PipelineUser) -> None:
    pipeline.removals.delete_account(user.id)


def block_user(pipeline: PipelineHarness, user: PipelineUser) -> None:
    MutesAndBlocks(pipeline.engine, TimeAndIdSource(pipeline.clock.now, new_id)).block_user(
        pipeline.alice.id, user.id
    )


def delete_second_comment(pipeline: PipelineHarness, user: PipelineUser) -> None:
    user.delete_comment(pipeline.post_id_by_caption["second"])


@pytest.mark.parametrize("remove_author", [delete_second_comment, remove_account, block_user])
def test_remaining_comment_is_quoted(
    pipeline: PipelineHarness,
    ann: PipelineUser,
    remove_author: Callable[[PipelineHarness, PipelineUser], None],
) -> None:
    (ben,) = pipeline.create_users("Ben")
    first = ann.comment("Hello", "first")
    pipeline.post_id_by_caption["second"] = ben.comment("Hello", "second")
    pipeline.close_windows()

    remove_author(pipeline, ben)
    pipeline.run_until_idle()

    assert pipeline.alice.toast_messages == ["Ben and 1 other commented on your post"]
    assert update_messages(pipeline) == ['Ann commented: "first"']
    assert pipeline.alice.client_events(ClientEventType.UPDATED)[0]["metadata"]["commentId"] == first
    assert pipeline.query(
        "select quote, metadata->>'commentId' from notifications where user_id = :alice",
        alice=pipeline.alice.id,
    ) == [("first", first)]


def test_remaining_reply_is_quoted(pipeline: PipelineHarness, ann: PipelineUser) -> None:
    (ben,) = pipeline.create_users("Ben")
    parent = pipeline.alice.comment("Hello", "What do you think?")
    ann.reply(parent, "first")
    second = ben.reply(parent, "second")
    pipeline.close_windows()

    ben.delete_comment(second)
    pipeline.run_until_idle()

    assert update_messages(pipeline) == ['Ann replied: "first"']


def test_comment_of_an_earlier_row_is_not_quoted_in_a_later_row(
    pipeline: PipelineHarness, ann: PipelineUser
) -> None:
    (ben,) = pipeline.create_users("Ben")
    ann.comment("Hello", "first")
    second = ben.comment("Hello", "second")
    pipeline.close_windows()
    with pipeline.engine.begin() as conn:
        conn.exec_driver_sql("update notifications set is_read = true")
    ann.comment("Hello", "third")
    pipeline.close_windows()

    ben.delete_comment(second)
    pipeline.run_until_idle()

    assert pipeline.query("select quote from notifications order by generation") == [
        ("first",),
        ("third",),
    ]


@pytest.fixture
def emptied_redis_harness(
    pipeline: PipelineHarness, ann: PipelineUser, monkeypatch: pytest.MonkeyPatch
) -> RedisFailoverHarness:
    """Redis was emptied while Ann's comment was in an open window."""
    failover_harness = RedisFailoverHarness(pipeline)
    failover_harness.fail_back()
    pipeline.post_id_by_caption["comment"] = ann.comment("Hello", "Nice")
    pipeline.run_until_idle()
    pipeline.redis.flushall()
    return failover_harness


def test_single_comment_is_still_quoted_after_redis_was_emptied(
    pipeline: PipelineHarness, emptied_redis_harness: RedisFailoverHarness
) -> None:
    emptied_redis_harness.fail_back()

    pipeline.clock.advance(WINDOW_AND_JITTER_SECONDS)
    pipeline.run_until_idle()

    assert pipeline.alice.toast_messages == ['Ann commented: "Nice"']
    assert (
        pipeline.alice.client_events()[0]["metadata"]["commentId"] == pipeline.post_id_by_caption["comment"]
    )


def test_windowed_comment_is_not_reported_missing_while_redis_is_rebuilt(
    pipeline: PipelineHarness, ann: PipelineUser, emptied_redis_harness: RedisFailoverHarness
) -> None:
    for action in (
        lambda: ann.delete_comment(pipeline.post_id_by_caption["comment"]),
        lambda: ann.reply(pipeline.post_id_by_caption["comment"], "And again"),
    ):
        with pytest.raises(Unavailable):
            action()


def test_windowed_comment_can_be_deleted_after_redis_was_rebuilt(
    pipeline: PipelineHarness, ann: PipelineUser, emptied_redis_harness: RedisFailoverHarness
) -> None:
    emptied_redis_harness.fail_back()

    ann.delete_comment(pipeline.post_id_by_caption["comment"])
    pipeline.close_windows()

    assert (visible_comments(pipeline), pipeline.alice.toast_messages, pipeline.alice.unread_count) == (
        (0, []),
        [],
        0,
    )


def test_deleted_reply_leaves_the_group_of_its_parent(pipeline: PipelineHarness, ann: PipelineUser) -> None:
    comment = ann.comment("Hello", "Nice")
    reply = pipeline.alice.reply(comment, "Thanks")
    pipeline.close_windows()

    pipeline.alice.delete_comment(reply)
    pipeline.run_until_idle()

    assert len(ann.client_events(ClientEventType.REMOVED)) == 1


def test_reply_can_be_deleted_after_its_parent(pipeline: PipelineHarness, ann: PipelineUser) -> None:
    comment = ann.comment("Hello", "Nice")
    reply = pipeline.alice.reply(comment, "Thanks")

    ann.delete_comment(comment)
    pipeline.alice.delete_comment(reply)
    pipeline.close_windows()

    assert (visible_comments(pipeline), ann.toast_messages, ann.unread_count) == ((0, []), [], 0)
    assert find_violations(pipeline) == []


def test_deleting_twice_counts_once(pipeline: PipelineHarness, ann: PipelineUser) -> None:
    ann.comment("Hello", "stays")
    comment = ann.comment("Hello", "goes")
    ann.delete_comment(comment)

    with pytest.raises(Rejected, match="Comment not found"):
        ann.delete_comment(comment)

    assert visible_comments(pipeline)[0] == 1


def test_reloaded_comment_count_excludes_deleted_comments(
    pipeline: PipelineHarness, ann: PipelineUser
) -> None:
    ann.comment("Hello", "stays")
    comment = ann.comment("Hello", "goes")
    pipeline.close_windows()
    ann.delete_comment(comment)
    pipeline.redis.delete(f"comment:count:{pipeline.post_id_by_caption['Hello']}")

    pipeline.worker_services.services.comments.load_count_into_cache(pipeline.post_id_by_caption["Hello"])

    assert visible_comments(pipeline)[0] == 1


@pytest.mark.parametrize("kind", ["like", "comment", "follow"])
def test_event_of_an_actor_deleted_before_its_write_is_not_counted(
    pipeline: PipelineHarness, ann: PipelineUser, kind: str
) -> None:
    actions: dict[str, Callable[[], object]] = {
        "like": lambda: ann.like("Hello"),
        "comment": lambda: ann.comment("Hello", "Nice"),
        "follow": lambda: ann.follow(pipeline.alice),
    }
    actions[kind]()
    with pipeline.engine.begin() as conn:
        conn.exec_driver_sql("delete from users where name = 'Ann'")

    pipeline.close_windows()

    object_id = pipeline.alice.id if kind == "follow" else pipeline.post_id_by_caption["Hello"]
    assert pipeline.redis.get(f"{kind}:count:{object_id}") == "0"
    assert find_violations(pipeline) == []
