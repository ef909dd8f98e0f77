"""Names are looked up when a notification is read: a former name appears nowhere after a change."""

import json
from typing import Any

import pytest

from app.delivery.history import ClientEventHistory, ResumePoint
from app.domain.errors import Unavailable
from app.domain.routing import Topic
from app.persistence.pages import PageRequest
from app.social.notifications import Notifications
from tests.support.event_writer_harness import EventWriterHarness
from tests.support.fixtures import comment_event
from tests.support.mailer_harness import FailingTransport, create_mailer, send_all
from tests.support.pipeline_harness import PipelineHarness, PipelineUser
from tests.support.renamed_users import ann as ann
from tests.support.renamed_users import liked_pipeline as liked_pipeline
from tests.support.renamed_users import rename_user

pytestmark = pytest.mark.service


def test_missed_client_events_show_the_current_name(
    liked_pipeline: PipelineHarness, ann: PipelineUser
) -> None:
    history = ClientEventHistory(liked_pipeline.engine)
    epoch = history.load_missed_events(liked_pipeline.alice.id, None).epoch
    rename_user(ann, "Zoe", "https://pictures.example/zoe.png")

    missed: Any = history.load_missed_events(liked_pipeline.alice.id, ResumePoint(epoch, 0)).client_events
    later: Any = history.load_events_after_by_user({liked_pipeline.alice.id: 0})[liked_pipeline.alice.id]

    last = missed[-1]["data"]
    assert (last["message"], last["actorName"]) == ("Zoe liked your post", "Zoe")
    assert last["actorAvatar"] == "https://pictures.example/zoe.png"
    assert last["group"]["message"] == "Zoe and 1 other liked your post"
    assert [event["data"] for event in missed] == [data for _, data in later if "seq" in data]
    assert "Ann" not in json.dumps(missed)


def test_client_event_delayed_in_kafka_shows_the_current_name(
    pipeline: PipelineHarness, ann: PipelineUser
) -> None:
    pipeline.alice.create_post("Hello")
    ann.like("Hello")
    for worker in (pipeline.bridge, pipeline.aggregator, pipeline.outbox_relay):
        worker.step()
    rename_user(ann, "Zoe")

    pipeline.deliverer.step()

    assert pipeline.alice.toast_messages == ["Zoe liked your post"]


def test_email_shows_the_name_at_the_time_of_sending(pipeline: PipelineHarness, ann: PipelineUser) -> None:
    transport = FailingTransport()
    mailer = create_mailer(pipeline.engine, {"EMAIL": transport}, pipeline.clock.now, pipeline.record_stats)
    pipeline.alice.set_preferences(matrix={"FOLLOW": {"email": True}})
    ann.follow(pipeline.alice)
    pipeline.run_until_idle()
    rename_user(ann, "Zoe")

    send_all(mailer)

    assert [message.text for message in transport.messages] == ["Zoe started following you"]


def test_no_table_and_no_record_stores_an_actor_name(
    liked_pipeline: PipelineHarness, ann: PipelineUser
) -> None:
    stored = liked_pipeline.query("select row_to_json(n)::text from notifications n")
    stored += liked_pipeline.query("select row_to_json(o)::text from outbox o")
    stored += [(str(record.value),) for record in liked_pipeline.memory_kafka.records(Topic.READY.value)]

    assert len(stored) > 4
    assert [row for row in stored if ann.name in row[0]] == []


def test_removed_account_is_not_named_in_missed_client_events(
    liked_pipeline: PipelineHarness, ann: PipelineUser
) -> None:
    epoch = ClientEventHistory(liked_pipeline.engine).load_missed_events(liked_pipeline.alice.id, None).epoch
    liked_pipeline.execute("delete from users where id = :id", id=ann.id)

    missed: Any = (
        ClientEventHistory(liked_pipeline.engine)
        .load_missed_events(liked_pipeline.alice.id, ResumePoint(epoch, 0))
        .client_events
    )

    assert missed[-1]["data"]["message"] == "Someone liked your post"
    assert missed[-1]["data"]["group"]["message"] == "Ben and 1 other liked your post"


def test_missed_client_events_do_not_quote_deleted_comments(writer: EventWriterHarness) -> None:
    users = writer.sample_users
    comment = comment_event(users.bob_id, users, 1, "a secret")
    writer.close_window(comment)
    assert writer.announcement_messages == ['Bob commented: "a secret"']

    writer.execute("delete from posts where id = :post", post=users.post_id)
    writer.execute("delete from notifications")

    assert writer.announcement_messages == ["Bob commented on your post"]


def test_codes_are_delivered_and_the_rest_waits_while_names_cannot_be_read(
    pipeline: PipelineHarness, ann: PipelineUser
) -> None:
    pipeline.alice.create_post("Hello")
    ann.like("Hello")
    for worker in (pipeline.bridge, pipeline.aggregator, pipeline.outbox_relay):
        worker.step()
    code = {"type": "OTP", "id": ann.id, "version": 1, "message": "123456"}
    code |= {"group": {"title": "", "count": 0, "quote": None}}
    code |= {"metadata": {"aggregatedActors": [], "aggregatedCount": 0, "channels": ["PUSH"]}}
    [record] = [
        record
        for record in pipeline.memory_kafka.records(Topic.READY.value)
        if b"LIKE" in (record.value or b"")
    ]
    value = json.loads(record.value or b"") | {"id": 10_000, "seq": 10_000, "data": code}
    pipeline.publisher.publish([type(record)(record.topic, record.key, json.dumps(value).encode())])

    with pipeline.without_postgresql(), pytest.raises(Unavailable):
        pipeline.deliverer.step()
    assert pipeline.alice.toast_messages == ["123456"]

    pipeline.deliverer.step()
    assert "Ann liked your post" in pipeline.alice.toast_messages


def test_actors_are_listed_in_the_same_order_everywhere(pipeline: PipelineHarness) -> None:
    """Followers first, then the newest: in rows, client events, /actors and explanations."""
    fan, *others = pipeline.create_users("Fan", "Ben", "Cem", "Dan")
    pipeline.alice.create_post("Hello")
    fan.follow(pipeline.alice)
    pipeline.run_until_idle()
    for user in (fan, *others):
        user.like("Hello")
        pipeline.run_until_idle()
    pipeline.close_windows()

    [row] = [row for row in pipeline.alice.notifications if row["type"] == "LIKE"]
    notifications, expected = Notifications(pipeline.engine), ["Fan", "Dan", "Cem", "Ben"]
    last_event = pipeline.alice.client_events()[-1]
    explanation = notifications.explain_notification(row["id"], 120)
    names = {user.id: user.name for user in (fan, *others)}
    assert [actor["name"] for actor in row["actors"]] == expected
    assert [actor["name"] for actor in last_event["actors"]] == expected
    assert [names[actor_id] for actor_id in last_event["metadata"]["aggregatedActors"]] == expected
    assert [
        actor.name for actor in notifications.list_group_actors(row["id"], PageRequest(10)).items
    ] == expected
    assert explanation is not None
    assert [actor["name"] for actor in explanation.actors] == expected
    assert row["message"] == "Fan and 3 others liked your post"
