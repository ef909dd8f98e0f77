"""One cause, one notification: COMMENT_REPLY, else MENTION, else COMMENT, else BELL_POST.

A test runs all its cases through one pipeline, each with a recipient and an actor of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from app.domain.events import Kind
from app.domain.grouping import ClientEventType
from app.domain.routing import Topic
from app.ingest.actions import Actions
from tests.support.pipeline_harness import PipelineHarness, PipelineUser
from tests.support.redis_failover_harness import RedisFailoverHarness

pytestmark = pytest.mark.service
COMMENT, REPLY, MENTION, BELL = Kind.COMMENT, Kind.COMMENT_REPLY, Kind.MENTION, Kind.BELL_POST
ALL_KINDS = {MENTION, COMMENT, REPLY, BELL}
CASES: list[tuple[str, tuple[Kind, ...], Kind | None]] = [
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


@dataclass
class CauseCase:
    """A recipient with a post and a comment, and an actor whose posts the recipient wants to hear of."""

    pipeline: PipelineHarness
    actions: Actions
    recipient: PipelineUser
    actor: PipelineUser
    post_id: str
    parent_id: str

    def act(self, cause: str) -> str:
        mention = f"look, @u{self.recipient.id[-12:]}"
        if cause == "comment":
            return self.actions.create_comment(self.actor.id, self.post_id, mention).id
        if cause == "reply":
            return self.actions.create_reply(self.actor.id, self.parent_id, mention).id
        return self.actions.create_post(self.actor.id, mention, None)

    def comment_without_mention(self) -> str:
        return self.actions.create_comment(self.actor.id, self.post_id, "first").id

    def delete_comment(self, comment_id: str) -> None:
        self.actions.delete_comment(self.actor.id, comment_id)

    def disable(self, *kinds: Kind) -> None:
        matrix = {kind.value: {"push": False, "email": False, "sms": False} for kind in kinds}
        self.recipient.set_preferences(matrix=matrix)

    def mute(self, column: str) -> None:
        muted_id = self.actor.id if column == "muted_user_id" else self.post_id
        statement = f"insert into mutes (user_id, {column}) values (:recipient, :muted)"  # noqa: S608
        self.pipeline.execute(statement, recipient=self.recipient.id, muted=muted_id)

    @property
    def announced_kinds(self) -> list[str]:
        return [client_event["type"] for client_event in self.recipient.client_events()]

    @property
    def listed_kinds(self) -> list[str]:
        return [row[0] for row in self._rows("type")]

    @property
    def quotes(self) -> list[str | None]:
        return [row[0] for row in self._rows("quote", "and type = 'COMMENT'")]

    def _rows(self, column: str, condition: str = "") -> list[tuple[Any, ...]]:
        return self.pipeline.query(
            f"select {column} from notifications where user_id = :recipient "  # noqa: S608
            f"and version > 0 and removed_at is null {condition} order by 1",
            recipient=self.recipient.id,
        )


@dataclass
class CauseScenario:
    """Actions through Redis or during a failover, and the workers that process them."""

    pipeline: PipelineHarness
    actions: Actions
    run_workers: Callable[[], object]
    """Runs all workers until nothing moves."""

    def create_cases(self, count: int) -> list[CauseCase]:
        cases = [self._create_case() for _ in range(count)]
        self.pipeline.close_windows()
        return cases

    def _create_case(self) -> CauseCase:
        pipeline = self.pipeline
        recipient, actor = pipeline.create_users("Alice", "Ann")
        recipient.subscribe_to(actor)
        post_id = pipeline.actions.create_post(recipient.id, "Hello", None)
        parent_id = pipeline.actions.create_comment(recipient.id, post_id, "Mine").id
        return CauseCase(pipeline, self.actions, recipient, actor, post_id, parent_id)

    def close_windows(self) -> None:
        """Runs the workers before and after all windows are due."""
        self.run_workers()
        self.pipeline.clock.advance(200)
        self.run_workers()


@pytest.fixture(params=["through Redis", "during failover"])
def scenario(request: pytest.FixtureRequest, pipeline: PipelineHarness) -> CauseScenario:
    if request.param == "through Redis":
        return CauseScenario(pipeline, pipeline.actions, pipeline.run_until_idle)
    failover = RedisFailoverHarness(pipeline)
    failover_aggregators: list[Any] = []

    def run_workers() -> None:
        if not failover_aggregators:  # the cases exist; from here on no aggregator reaches Redis
            for aggregator in pipeline.aggregator.aggregator_by_topic.values():
                aggregator._subscriber.close()
            failover_aggregators.extend(failover.new_aggregator(topic) for topic in (Topic.HIGH, Topic.LOW))
        workers: list[Any] = [
            *failover_aggregators,
            pipeline.fan_out,
            pipeline.outbox_relay,
            pipeline.deliverer,
        ]
        while sum(worker.step() for worker in workers):
            pass

    return CauseScenario(pipeline, failover.actions, run_workers)


@pytest.fixture
def case(scenario: CauseScenario) -> CauseCase:
    return scenario.create_cases(1)[0]


def test_one_cause_announces_once_as_the_most_specific_enabled_kind(scenario: CauseScenario) -> None:
    cases = scenario.create_cases(len(CASES))
    for case, (cause, disabled, _) in zip(cases, CASES, strict=True):
        case.disable(*disabled)
        case.act(cause)
    scenario.close_windows()

    expected = [[kind.value] if kind else [] for _, _, kind in CASES]
    assert [case.announced_kinds for case in cases] == expected
    assert [case.listed_kinds for case in cases] == expected
    assert [case.recipient.unread_count for case in cases] == [len(kinds) for kinds in expected]


def test_preference_change_causes_no_second_announcement(scenario: CauseScenario) -> None:
    cases = scenario.create_cases(len(CASES))
    for case, (cause, disabled, _) in zip(cases, CASES, strict=True):
        case.disable(*disabled)
        case.act(cause)
    scenario.run_workers()

    for case, (_, disabled, kind) in zip(cases, CASES, strict=True):
        case.disable(*(ALL_KINDS - set(disabled) - {kind} if kind else ALL_KINDS))
    scenario.close_windows()
    repeat_records(scenario.pipeline)
    scenario.close_windows()

    assert [case.announced_kinds for case in cases] == [[kind.value] if kind else [] for _, _, kind in CASES]


def repeat_records(pipeline: PipelineHarness) -> None:
    """Appends all records of the topic once more."""
    for (topic, _), log in pipeline.memory_kafka.log_by_partition.items():
        if topic == Topic.HIGH.value:
            log += list(log)


def test_retraction_removes_whichever_kind_was_announced(scenario: CauseScenario) -> None:
    retracted = [(cause, kinds) for cause, kinds, kind in CASES if kind and cause != "post"]
    cases = scenario.create_cases(len(retracted))
    comment_ids = []
    for case, (cause, disabled) in zip(cases, retracted, strict=True):
        case.disable(*disabled)
        comment_ids.append(case.act(cause))
    scenario.close_windows()
    for case, comment_id in zip(cases, comment_ids, strict=True):
        case.disable()
        case.delete_comment(comment_id)
    scenario.close_windows()

    for case in cases:
        assert len(case.announced_kinds) == 1
        assert (case.listed_kinds, case.recipient.unread_count) == ([], 0)
        assert len(case.recipient.client_events(ClientEventType.REMOVED)) == 1


def test_mention_retracted_within_its_window_is_removed_at_once(
    scenario: CauseScenario, case: CauseCase
) -> None:
    comment_id = case.act("comment")
    scenario.run_workers()
    assert case.listed_kinds == [MENTION.value]

    case.delete_comment(comment_id)
    scenario.run_workers()

    assert case.listed_kinds == []


def test_muted_user_or_post_suppresses_all_kinds(scenario: CauseScenario) -> None:
    muted = [("muted_user_id", cause) for cause in ("comment", "reply", "post")]
    muted += [("muted_post_id", cause) for cause in ("comment", "reply")]
    cases = scenario.create_cases(len(muted))
    for case, (column, cause) in zip(cases, muted, strict=True):
        case.mute(column)
        case.act(cause)
    scenario.close_windows()

    assert [(case.announced_kinds, case.listed_kinds) for case in cases] == [([], [])] * len(cases)


def test_comment_with_mention_and_comment_without_are_two_notifications(
    scenario: CauseScenario, case: CauseCase
) -> None:
    case.comment_without_mention()
    comment_id = case.act("comment")
    scenario.close_windows()

    assert sorted(case.announced_kinds) == sorted([MENTION.value, COMMENT.value])
    assert case.quotes == ["first"]
    case.delete_comment(comment_id)
    scenario.close_windows()
    assert case.listed_kinds == [COMMENT.value]


def test_deleting_a_comment_keeps_the_mention_in_another_one(
    scenario: CauseScenario, case: CauseCase
) -> None:
    first_comment_id = case.comment_without_mention()
    case.act("comment")
    scenario.close_windows()

    case.delete_comment(first_comment_id)
    scenario.close_windows()

    assert case.listed_kinds == [MENTION.value]


def test_comment_waits_though_another_comment_of_its_author_was_retracted(
    scenario: CauseScenario, case: CauseCase
) -> None:
    case.disable(MENTION)
    case.comment_without_mention()
    comment_id = case.act("comment")
    scenario.run_workers()

    case.delete_comment(comment_id)
    scenario.close_windows()

    assert (case.listed_kinds, case.quotes) == ([COMMENT.value], ["first"])
