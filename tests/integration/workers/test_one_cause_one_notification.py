"""One cause, one notification: COMMENT_REPLY, else MENTION, else COMMENT, else BELL_POST."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from app.domain.events import Kind
from app.domain.grouping import ClientEventType
from app.domain.routing import Topic
from app.ingest.actions import Actions
from tests.support.pipeline_harness import PipelineHarness, PipelineUser
from tests.support.redis_failover_harness import RedisFailoverHarness

pytestmark = pytest.mark.service
COMMENT, REPLY, MENTION, BELL = Kind.COMMENT, Kind.COMMENT_REPLY, Kind.MENTION, Kind.BELL_POST
TEXT_WITH_MENTION = "look, @alice"


@dataclass
class CauseScenario:
    """Alice has a post with a comment; Ann acts, through Redis or during a failover."""

    pipeline: PipelineHarness
    ann: PipelineUser
    actions: Actions
    run_workers: Callable[[], None]
    """Runs all workers until nothing moves."""
    parent_ids: dict[str, str] = field(default_factory=dict)

    def act(self, cause: str) -> str:
        act_by_cause: dict[str, Callable[[], str]] = {
            "comment": lambda: self.actions.create_comment(self.ann.id, self.post_id, TEXT_WITH_MENTION).id,
            "reply": lambda: (
                self.actions.create_reply(self.ann.id, self.parent_ids["parent"], TEXT_WITH_MENTION).id
            ),
            "post": lambda: self.actions.create_post(self.ann.id, TEXT_WITH_MENTION, None),
        }
        return act_by_cause[cause]()

    @property
    def post_id(self) -> str:
        return self.pipeline.post_id_by_caption["Hello"]

    def disable(self, *kinds: Kind) -> None:
        matrix = {kind.value: {"push": False, "email": False, "sms": False} for kind in kinds}
        with self.pipeline.engine.begin() as conn:
            conn.execute(
                text(
                    "insert into notification_preferences (user_id, matrix) "
                    "values (:alice, cast(:matrix as jsonb)) "
                    "on conflict (user_id) do update set matrix = excluded.matrix"
                ),
                {"alice": self.pipeline.alice.id, "matrix": orjson.dumps(matrix).decode()},
            )

    def mute(self, column: str, muted_id: str) -> None:
        with self.pipeline.engine.begin() as conn:
            conn.execute(
                text(f"insert into mutes (user_id, {column}) values (:alice, :other)"),  # noqa: S608
                {"alice": self.pipeline.alice.id, "other": muted_id},
            )

    @property
    def announced_kinds(self) -> list[str]:
        return [client_event["type"] for client_event in self.pipeline.alice.client_events()]

    def close_windows(self) -> None:
        """Runs the workers before and after all windows are due."""
        self.run_workers()
        self.pipeline.clock.advance(200)
        self.run_workers()

    @property
    def listed_kinds(self) -> list[str]:
        rows = self.pipeline.query(
            "select type from notifications where user_id = :alice and version > 0 "
            "and removed_at is null order by 1",
            alice=self.pipeline.alice.id,
        )
        return [row[0] for row in rows]


@pytest.fixture(params=["through Redis", "during failover"])
def cause_scenario(
    request: pytest.FixtureRequest, pipeline: PipelineHarness, monkeypatch: pytest.MonkeyPatch
) -> Iterator[CauseScenario]:
    (ann,) = pipeline.create_users("Ann")
    with pipeline.engine.begin() as conn:
        conn.execute(text("update users set username = lower(name)"))
        conn.execute(
            text("insert into bell_subscriptions (subscriber_id, target_user_id) values (:alice, :ann)"),
            {"alice": pipeline.alice.id, "ann": ann.id},
        )
    pipeline.alice.create_post("Hello")
    parent = pipeline.alice.comment("Hello", "Mine")
    pipeline.close_windows()
    if request.param == "through Redis":

        def run_until_idle() -> None:
            pipeline.run_until_idle()

        yield CauseScenario(
            pipeline,
            ann,
            pipeline.actions,
            run_until_idle,
            {"parent": parent},
        )
        return
    failover = RedisFailoverHarness(pipeline)
    for aggregator in pipeline.aggregator.aggregator_by_topic.values():
        aggregator._subscriber.close()
    failover_aggregators = [failover.new_aggregator(topic) for topic in (Topic.HIGH, Topic.LOW)]

    def run_workers() -> None:
        workers: list[Any] = [
            *failover_aggregators,
            pipeline.fan_out,
            pipeline.outbox_relay,
            pipeline.deliverer,
        ]
        while sum(worker.step() for worker in workers):
            pass

    yield CauseScenario(pipeline, ann, failover.actions, run_workers, {"parent": parent})


CASES = [
    ("comment", (), MENTION),
    ("comment", (MENTION,), COMMENT),
    ("comment", (COMMENT,), MENTION),
    ("comment", (MENTION, COMMENT), None),
    ("reply", (), REPLY),
    ("reply", (REPLY,), MENTION),
    ("reply", (MENTION,), REPLY),
    ("reply", (REPLY, MENTION), None),
    ("post", (), MENTION),
    ("post", (MENTION,), BELL),
    ("post", (BELL,), MENTION),
    ("post", (BELL, MENTION), None),
]


@pytest.mark.parametrize(("cause", "disabled", "expected"), CASES)
def test_one_cause_announces_once_as_the_most_specific_enabled_kind(
    cause_scenario: CauseScenario, cause: str, disabled: tuple[Kind, ...], expected: Kind | None
) -> None:
    cause_scenario.disable(*disabled)

    cause_scenario.act(cause)
    cause_scenario.close_windows()

    assert (
        cause_scenario.announced_kinds
        == cause_scenario.listed_kinds
        == ([expected.value] if expected else [])
    )
    assert cause_scenario.pipeline.alice.unread_count == len(cause_scenario.announced_kinds)


@pytest.mark.parametrize(("cause", "disabled", "expected"), [case for case in CASES if case[2]])
def test_preference_change_causes_no_second_announcement(
    cause_scenario: CauseScenario, cause: str, disabled: tuple[Kind, ...], expected: Kind
) -> None:
    cause_scenario.disable(*disabled)
    cause_scenario.act(cause)
    cause_scenario.run_workers()

    cause_scenario.disable(*({MENTION, COMMENT, REPLY, BELL} - set(disabled) - {expected}))
    cause_scenario.close_windows()
    repeat_records(cause_scenario.pipeline)
    cause_scenario.close_windows()

    assert cause_scenario.announced_kinds == [expected.value]


def repeat_records(pipeline: PipelineHarness) -> None:
    """Appends all records of the topic once more."""
    for (topic, _), log in pipeline.memory_kafka.log_by_partition.items():
        if topic == Topic.HIGH.value:
            log += list(log)


@pytest.mark.parametrize("disabled", [(), (MENTION,), (COMMENT,), (REPLY,)])
@pytest.mark.parametrize("cause", ["comment", "reply"])
def test_retraction_removes_whichever_kind_was_announced(
    cause_scenario: CauseScenario, cause: str, disabled: tuple[Kind, ...]
) -> None:
    cause_scenario.disable(*disabled)
    comment_id = cause_scenario.act(cause)
    cause_scenario.close_windows()
    cause_scenario.disable()

    cause_scenario.actions.delete_comment(cause_scenario.ann.id, comment_id)
    cause_scenario.close_windows()

    assert len(cause_scenario.announced_kinds) == 1
    assert (cause_scenario.listed_kinds, cause_scenario.pipeline.alice.unread_count) == ([], 0)
    assert len(cause_scenario.pipeline.alice.client_events(ClientEventType.REMOVED)) == 1


def test_mention_retracted_within_its_window_is_removed_at_once(
    cause_scenario: CauseScenario,
) -> None:
    comment_id = cause_scenario.act("comment")
    cause_scenario.run_workers()
    assert cause_scenario.listed_kinds == [MENTION.value]

    cause_scenario.actions.delete_comment(cause_scenario.ann.id, comment_id)
    cause_scenario.run_workers()

    assert cause_scenario.listed_kinds == []


@pytest.mark.parametrize("cause", ["comment", "reply", "post"])
@pytest.mark.parametrize("column", ["muted_user_id", "muted_post_id"])
def test_muted_user_or_post_suppresses_all_kinds(
    cause_scenario: CauseScenario, cause: str, column: str
) -> None:
    if cause == "post" and column == "muted_post_id":
        return  # a post cannot be muted before it exists
    cause_scenario.mute(
        column, cause_scenario.ann.id if column == "muted_user_id" else cause_scenario.post_id
    )

    cause_scenario.act(cause)
    cause_scenario.close_windows()

    assert (cause_scenario.announced_kinds, cause_scenario.listed_kinds) == ([], [])


def test_comment_with_mention_and_comment_without_are_two_notifications(
    cause_scenario: CauseScenario,
) -> None:
    cause_scenario.actions.create_comment(cause_scenario.ann.id, cause_scenario.post_id, "first")
    comment_id = cause_scenario.act("comment")
    cause_scenario.close_windows()

    assert sorted(cause_scenario.announced_kinds) == sorted([MENTION.value, COMMENT.value])
    assert cause_scenario.pipeline.query("select quote from notifications where type = 'COMMENT'") == [
        ("first",)
    ]
    cause_scenario.actions.delete_comment(cause_scenario.ann.id, comment_id)
    cause_scenario.close_windows()
    assert cause_scenario.listed_kinds == [COMMENT.value]


def test_deleting_a_comment_keeps_the_mention_in_another_one(
    cause_scenario: CauseScenario,
) -> None:
    first_comment_id = cause_scenario.actions.create_comment(
        cause_scenario.ann.id, cause_scenario.post_id, "first"
    ).id
    cause_scenario.act("comment")
    cause_scenario.close_windows()

    cause_scenario.actions.delete_comment(cause_scenario.ann.id, first_comment_id)
    cause_scenario.close_windows()

    assert cause_scenario.listed_kinds == [MENTION.value]


def test_comment_waits_though_another_comment_of_its_author_was_retracted(
    cause_scenario: CauseScenario,
) -> None:
    cause_scenario.disable(MENTION)
    cause_scenario.actions.create_comment(cause_scenario.ann.id, cause_scenario.post_id, "first")
    comment_id = cause_scenario.act("comment")
    cause_scenario.run_workers()

    cause_scenario.actions.delete_comment(cause_scenario.ann.id, comment_id)
    cause_scenario.close_windows()

    assert cause_scenario.listed_kinds == [COMMENT.value]
    assert cause_scenario.pipeline.query("select quote from notifications where type = 'COMMENT'") == [
        ("first",)
    ]


def test_other_mentioned_users_are_notified_too(cause_scenario: CauseScenario) -> None:
    (ben,) = cause_scenario.pipeline.create_users("Ben")
    with cause_scenario.pipeline.engine.begin() as conn:
        conn.execute(text("update users set username = 'ben' where name = 'Ben'"))

    cause_scenario.actions.create_comment(cause_scenario.ann.id, cause_scenario.post_id, "@alice and @ben")
    cause_scenario.close_windows()

    assert cause_scenario.announced_kinds == [MENTION.value]
    assert [client_event["type"] for client_event in ben.client_events()] == [MENTION.value]
