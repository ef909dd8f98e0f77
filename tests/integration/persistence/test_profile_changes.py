"""Open pages get an event when the name or picture of a shown actor changes."""

from collections.abc import Iterable
from typing import Any

import pytest
from sqlalchemy import Connection, text

from app.domain.grouping import ClientEventType
from app.persistence.groups import lock_recipients
from app.persistence.profile_changes import ProfileChangeBroadcaster
from app.social.users import Users
from tests.support.event_writer_harness import EventWriterHarness
from tests.support.fixtures import insert_users, like_event
from tests.support.pipeline_harness import PipelineHarness, PipelineUser
from tests.support.renamed_users import ann as ann
from tests.support.renamed_users import liked_pipeline as liked_pipeline
from tests.support.renamed_users import rename_user

pytestmark = pytest.mark.service


def publish_profile_changes(pipeline: PipelineHarness) -> int:
    """Runs the broadcaster until no change is left, then the pipeline. Returns the number of pages."""
    changes, steps = ProfileChangeBroadcaster(pipeline.engine), 0
    while changes.step():
        steps += 1
    pipeline.run_until_idle()
    return steps


def test_open_page_gets_an_event_for_a_new_name_and_picture(
    liked_pipeline: PipelineHarness, ann: PipelineUser
) -> None:
    [before] = liked_pipeline.alice.notifications
    rename_user(ann, "Zoe", "https://pictures.example/zoe.png")

    publish_profile_changes(liked_pipeline)

    [row] = liked_pipeline.alice.notifications
    update = liked_pipeline.alice.client_events(ClientEventType.UPDATED)[-1]
    assert (update["id"], update["message"]) == (row["id"], "Zoe and 1 other liked your post")
    assert (update["version"], update["seq"]) == (before["version"] + 1, before["client_seq"] + 1)
    assert update["actors"][0]["avatarUrl"] == "https://pictures.example/zoe.png"
    assert update["metadata"]["newCount"] == 0
    assert row["updated_at"] == before["updated_at"]
    assert len(liked_pipeline.alice.toast_messages) == 2


def test_row_that_shows_only_the_avatar_is_updated_too(liked_pipeline: PipelineHarness) -> None:
    [ben] = [
        PipelineUser(liked_pipeline, actor["id"], "Ben")
        for actor in liked_pipeline.alice.notifications[0]["actors"][1:]
    ]
    rename_user(ben, "Bo")

    publish_profile_changes(liked_pipeline)

    update = liked_pipeline.alice.client_events(ClientEventType.UPDATED)[-1]
    assert update["message"] == "Ann and 1 other liked your post"
    assert [actor["name"] for actor in update["actors"]] == ["Ann", "Bo"]


@pytest.mark.parametrize(
    "change",
    [pytest.param({"name": "Ann"}, id="the same name"), pytest.param({}, id="nothing that is shown")],
)
def test_profile_change_that_is_not_shown_emits_no_event(
    liked_pipeline: PipelineHarness, ann: PipelineUser, change: Any
) -> None:
    rename_user(ann, **change)

    assert publish_profile_changes(liked_pipeline) == 0
    assert liked_pipeline.alice.client_events(ClientEventType.UPDATED) == []


@pytest.mark.parametrize("column", ["archived_at", "removed_at"])
def test_hidden_row_is_not_updated(liked_pipeline: PipelineHarness, ann: PipelineUser, column: str) -> None:
    with liked_pipeline.engine.begin() as conn:
        conn.execute(text(f"update notifications set {column} = now()"))  # noqa: S608 - a constant
    rename_user(ann, "Zoe")

    publish_profile_changes(liked_pipeline)

    assert liked_pipeline.alice.client_events(ClientEventType.UPDATED) == []


def test_row_whose_previewed_actors_exclude_the_user_is_not_updated(
    writer: EventWriterHarness,
) -> None:
    first, *others = insert_users(writer.engine, *(f"P{n}" for n in range(9)))
    events = [
        like_event(actor_id, writer.sample_users, seq) for seq, actor_id in enumerate([first, *others], 1)
    ]
    writer.close_window(*events)
    count_before = len(writer.client_events())

    Users(writer.engine).update_profile(first, "Zoe", None, None)
    while ProfileChangeBroadcaster(writer.engine).step():
        pass

    assert len(writer.client_events()) == count_before


@pytest.fixture
def small_page_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.persistence.profile_changes.PAGE_SIZE", 2)


def like_posts(pipeline: PipelineHarness, user: PipelineUser, post_count: int) -> None:
    """Alice creates so many posts, and the user likes each."""
    for number in range(post_count):
        pipeline.alice.create_post(f"Post {number}")
        user.like(f"Post {number}")
    pipeline.run_until_idle()


def test_rows_are_updated_page_by_page(
    pipeline: PipelineHarness, ann: PipelineUser, small_page_size: None
) -> None:
    like_posts(pipeline, ann, 5)
    rename_user(ann, "Zoe")

    assert publish_profile_changes(pipeline) == 3

    updates = pipeline.alice.client_events(ClientEventType.UPDATED)
    assert len(updates) == 5
    assert {client_event["message"] for client_event in updates} == {"Zoe liked your post"}
    assert pipeline.query("select count(*) from profile_changes") == [(0,)]


def test_interrupted_name_update_resumes_where_it_stopped(
    pipeline: PipelineHarness, ann: PipelineUser, small_page_size: None
) -> None:
    like_posts(pipeline, ann, 5)
    rename_user(ann, "Zoe")
    ProfileChangeBroadcaster(pipeline.engine).step()  # and the worker dies

    publish_profile_changes(pipeline)

    ids = [client_event["id"] for client_event in pipeline.alice.client_events(ClientEventType.UPDATED)]
    assert len(ids) == len(set(ids)) == 5


def test_two_workers_update_each_page_once(
    pipeline: PipelineHarness, ann: PipelineUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    like_posts(pipeline, ann, 2)
    rename_user(ann, "Zoe")

    def process_page_then_lock(conn: Connection, recipient_ids: Iterable[str]) -> set[str]:
        """Another worker processes the same page between the query and the lock."""
        monkeypatch.undo()
        assert ProfileChangeBroadcaster(pipeline.engine).step() == 2
        return lock_recipients(conn, recipient_ids)

    monkeypatch.setattr("app.persistence.profile_changes.lock_recipients", process_page_then_lock)
    ProfileChangeBroadcaster(pipeline.engine).step()
    pipeline.run_until_idle()

    assert len(pipeline.alice.client_events(ClientEventType.UPDATED)) == 2


def test_second_profile_change_starts_again(
    pipeline: PipelineHarness, ann: PipelineUser, small_page_size: None
) -> None:
    like_posts(pipeline, ann, 3)
    rename_user(ann, "Zoe")
    ProfileChangeBroadcaster(pipeline.engine).step()
    rename_user(ann, "Yara")

    publish_profile_changes(pipeline)

    last = {
        client_event["id"]: client_event["message"]
        for client_event in pipeline.alice.client_events(ClientEventType.UPDATED)
    }
    assert list(last.values()) == ["Yara liked your post"] * 3


def test_name_update_is_limited_to_the_newest_rows(
    pipeline: PipelineHarness, ann: PipelineUser, small_page_size: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.persistence.profile_changes.MAX_ROWS_PER_CHANGE", 3)
    like_posts(pipeline, ann, 5)
    newest = {row["id"] for row in pipeline.alice.notifications[:3]}
    rename_user(ann, "Zoe")

    publish_profile_changes(pipeline)

    assert {
        client_event["id"] for client_event in pipeline.alice.client_events(ClientEventType.UPDATED)
    } == newest
    assert pipeline.query("select count(*) from profile_changes") == [(0,)]
