"""EventTraceReader reports for each event the state that the stores of its current stage show."""

from collections.abc import Callable

import pytest
from sqlalchemy import text

from app.bootstrap import new_id
from app.domain.events import Event, Kind
from app.ingest.memberships import DesiredState
from app.operations.trace import _FALLBACK_ROWS, EventProgress, EventTraceReader
from tests.support.pipeline_harness import USER_NAMES, WINDOW_AND_JITTER_SECONDS, PipelineHarness

pytestmark = pytest.mark.service


@pytest.fixture
def event_traces(pipeline: PipelineHarness) -> EventTraceReader:
    return EventTraceReader(pipeline.redis, pipeline.engine)


def _like(pipeline: PipelineHarness, count: int) -> list[str]:
    """Likes Alice's post that many times; returns the ids of the events."""
    event_ids: list[str] = []
    actions = pipeline.actions.with_id_factory(_recording_id_factory(event_ids))
    for user in pipeline.create_users(*USER_NAMES[:count]):
        actions.set_like(user.id, pipeline.post_id_by_caption["Hello"], DesiredState.ON)
    return event_ids


def _recording_id_factory(created_ids: list[str]) -> Callable[[], str]:
    def create_id() -> str:
        created_ids.append(new_id())
        return created_ids[-1]

    return create_id


def _statuses(progress: list[EventProgress]) -> list[str]:
    return [event.status.value for event in progress]


def test_five_likes_go_from_accepted_to_announced(
    pipeline: PipelineHarness, event_traces: EventTraceReader
) -> None:
    pipeline.alice.create_post("Hello")
    event_ids = _like(pipeline, 5)
    assert _statuses(event_traces.read_progress(event_ids)) == ["accepted"] * 5

    pipeline.bridge.step()
    assert _statuses(event_traces.read_progress(event_ids)) == ["published"] * 5

    pipeline.run_until_idle()
    progress = event_traces.read_progress(event_ids)
    assert _statuses(progress) == ["announced"] * 3 + ["windowed"] * 2
    assert [event.due_at is not None for event in progress] == [False] * 3 + [True] * 2
    assert [event.to_dict()["instant"] for event in progress] == [True] * 3 + [False] * 2

    pipeline.clock.advance(WINDOW_AND_JITTER_SECONDS)
    pipeline.run_until_idle()
    progress = event_traces.read_progress(event_ids)
    assert _statuses(progress) == ["announced"] * 5
    steps = [step["name"] for step in progress[4].to_dict()["steps"]]
    assert set(steps) >= {"accepted", "published", "aggregated", "written", "closed", "emitted"}
    assert len(set(steps)) == len(steps)


def test_events_wait_in_the_fallback_queue_while_kafka_is_unavailable(
    pipeline: PipelineHarness, event_traces: EventTraceReader
) -> None:
    pipeline.alice.create_post("Hello")
    pipeline.memory_kafka.is_unavailable = True
    event_ids = _like(pipeline, 1)
    pipeline.bridge.step()

    assert _statuses(event_traces.read_progress(event_ids)) == ["queued"]


def test_event_is_found_in_a_long_fallback_queue_by_an_index(pipeline: PipelineHarness) -> None:
    """Every signed-in user may ask for an event, and the queue is long while Kafka is down."""
    pipeline.execute(
        "insert into kafka_fallback_queue (event_id, shard, seq, topic, payload) "
        "select uuidv7(), n % 8, n, 'low-priority', '{}' from generate_series(1, 20000) n"
    )
    pipeline.execute("analyze kafka_fallback_queue")

    with pipeline.engine.connect() as conn:
        explain = text(f"explain {_FALLBACK_ROWS.text}")
        plan = "\n".join(conn.execute(explain, {"unpublished": [new_id(), new_id()]}).scalars())

    assert "uq_kafka_fallback_queue_event_id_shard_seq" in plan, plan
    assert "Seq Scan" not in plan, plan


def test_own_action_ends_without_announcement(
    pipeline: PipelineHarness, event_traces: EventTraceReader
) -> None:
    pipeline.alice.create_post("Hello")
    event_ids: list[str] = []
    pipeline.actions.with_id_factory(_recording_id_factory(event_ids)).set_like(
        pipeline.alice.id, pipeline.post_id_by_caption["Hello"], DesiredState.ON
    )
    pipeline.run_until_idle()

    (progress,) = event_traces.read_progress(event_ids)
    assert (progress.status.value, progress.to_dict()["outcome"]) == ("ended", "self")


def test_code_is_tracked_until_announced(pipeline: PipelineHarness, event_traces: EventTraceReader) -> None:
    """Its row has no actors, and the time of announcement is the time of the row."""
    event = Event(new_id(), Kind.OTP, pipeline.alice.id, message="Your code is 123456.")
    pipeline.actions.publish_event(event)
    pipeline.run_until_idle()

    assert _statuses(event_traces.read_progress([event.event_id])) == ["announced"]
    steps = [step["name"] for step in event_traces.list_steps(event.event_id)]
    assert {"written", "announced", "emitted"} <= set(steps)
