"""The searches of the dashboard: events and notifications by person, post, kind and time."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
import redis
from sqlalchemy import text

from app.bootstrap import SharedServices, new_id
from app.operations import event_search, notification_search
from tests.support.api_user import ApiUser
from tests.support.api_user import admin as admin
from tests.support.fixtures import insert_sample_users, otp_event
from tests.support.pipeline_harness import PipelineHarness, PipelineUser
from tests.support.pipeline_harness import pipeline as pipeline
from tests.support.pipeline_harness import worker_services as worker_services

pytestmark = pytest.mark.service
BOTH = pytest.mark.parametrize("what", ["events", "notifications"])


@dataclass
class SampleActivity:
    """Ann and Ben like Alice's "Swim", Ann likes "Bread" and follows Alice, Ben comments on "Swim" and Ann
    replies to that."""

    pipeline: PipelineHarness
    ann: PipelineUser
    ben: PipelineUser

    def post(self, caption: str) -> str:
        return self.pipeline.post_id_by_caption[caption]


@pytest.fixture
def activity(pipeline: PipelineHarness) -> SampleActivity:
    for caption in ("Swim", "Bread"):
        pipeline.alice.create_post(caption)
    ann, ben = pipeline.create_users("Ann", "Ben")
    for user, caption in ((ann, "Swim"), (ben, "Swim"), (ann, "Bread")):
        user.like(caption)
    ann.follow(pipeline.alice)
    ann.reply(ben.comment("Swim", "Me too"), "Thursday?")
    pipeline.run_until_idle()
    pipeline.clock.advance(151)
    pipeline.run_until_idle()
    return SampleActivity(pipeline, ann, ben)


def _found(admin: ApiUser, what: str, query: str = "") -> list[tuple[str, str | None]]:
    """Kind and post of what is found, sorted."""
    answer = admin("GET", f"/api/admin/{what}?{query}")
    assert answer["status"] == 200, answer
    return sorted((item["type"], item["post"] and item["post"]["caption"]) for item in answer["items"])


def test_events_of_a_person_are_those_that_the_person_did_or_was_told(
    admin: ApiUser, activity: SampleActivity
) -> None:
    # The object of a reply is a comment, so no post is named.
    of_ann = [("COMMENT_REPLY", None), ("FOLLOW", None), ("LIKE", "Bread"), ("LIKE", "Swim")]
    of_ben = [("COMMENT", "Swim"), ("COMMENT_REPLY", None), ("LIKE", "Swim")]

    assert _found(admin, "events", f"person={activity.ann.id}") == of_ann
    assert _found(admin, "events", f"person={activity.ben.id}") == of_ben
    assert _found(admin, "events", f"person=%40{_username(activity.ben)}") == of_ben


def _username(user: PipelineUser) -> str:
    return str(user.pipeline.query("select username from users where id = :id", id=user.id)[0][0])


def test_notifications_of_a_person_are_those_of_recipient_and_actor(
    admin: ApiUser, activity: SampleActivity
) -> None:
    assert _found(admin, "notifications", f"person={activity.ben.id}") == [
        ("COMMENT", "Swim"),
        ("COMMENT_REPLY", "Swim"),
        ("LIKE", "Swim"),
    ]
    (like,) = admin("GET", f"/api/admin/notifications?person={activity.ben.id}&type=LIKE")["items"]
    assert like["recipient"]["name"] == "Alice"
    assert (like["state"], like["actorCount"]) == ("listed", 2)
    assert like["message"].endswith("and 1 other liked your post")


@BOTH
def test_post_finds_also_replies_to_its_comments(admin: ApiUser, activity: SampleActivity, what: str) -> None:
    kinds = [kind for kind, _ in _found(admin, what, f"postId={activity.post('Swim')}")]

    assert kinds == ["COMMENT", "COMMENT_REPLY", "LIKE", *(["LIKE"] if what == "events" else [])]


@BOTH
def test_criteria_narrow_each_other(admin: ApiUser, activity: SampleActivity, what: str) -> None:
    query = f"person={activity.ann.id}&postId={activity.post('Bread')}"

    assert _found(admin, what, f"{query}&type=LIKE") == [("LIKE", "Bread")]
    assert _found(admin, what, f"{query}&type=COMMENT") == []


@BOTH
def test_time_limits_what_is_found(admin: ApiUser, activity: SampleActivity, what: str) -> None:
    def at(minutes: int) -> str:
        return quote((datetime.now(UTC) + timedelta(minutes=minutes)).isoformat())

    everything = _found(admin, what)

    assert everything != []
    assert _found(admin, what, f"from={at(-5)}&to={at(5)}") == everything
    assert _found(admin, what, f"from={at(5)}") == _found(admin, what, f"to={at(-5)}") == []


@BOTH
def test_pages_continue_where_the_one_before_ended(
    admin: ApiUser, activity: SampleActivity, what: str
) -> None:
    everything = [
        item["id" if what == "notifications" else "eventId"] for item in _all_pages(admin, what, 50)
    ]

    in_pages = [item["id" if what == "notifications" else "eventId"] for item in _all_pages(admin, what, 2)]

    assert in_pages == everything
    assert len(set(everything)) == len(everything) >= 5


def _all_pages(admin: ApiUser, what: str, limit: int) -> list[Any]:
    items, cursor = [], ""
    while True:
        page = admin("GET", f"/api/admin/{what}?limit={limit}{cursor}")
        items += page["items"]
        if page["nextCursor"] is None:
            return items
        cursor = f"&cursor={page['nextCursor']}"


def test_event_search_continues_after_the_traces_that_one_request_reads(
    admin: ApiUser, activity: SampleActivity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page may be empty and not the last."""
    everything = [item["eventId"] for item in _all_pages(admin, "events", 50)]
    monkeypatch.setattr(event_search, "MAX_TRACES_PER_CALL", 2)

    assert [item["eventId"] for item in _all_pages(admin, "events", 50)] == everything


def test_event_without_announcement_is_found_with_its_outcome(
    admin: ApiUser, pipeline: PipelineHarness
) -> None:
    pipeline.alice.create_post("Hello")
    pipeline.alice.like("Hello")
    pipeline.run_until_idle()

    (event,) = admin("GET", f"/api/admin/events?person={pipeline.alice.id}")["items"]

    assert (event["type"], event["status"], event["outcome"]) == ("LIKE", "ended", "self")
    assert event["actor"] == event["recipient"]
    assert event["actor"]["name"] == "Alice"


def test_event_that_waits_in_its_topic_is_listed_and_found_by_time_only(
    admin: ApiUser, pipeline: PipelineHarness
) -> None:
    pipeline.alice.create_post("Hello")
    (ann,) = pipeline.create_users("Ann")
    ann.like("Hello")
    pipeline.bridge.step()

    (event,) = admin("GET", "/api/admin/events")["items"]
    assert (event["type"], event["status"], event["actor"]) == (None, "published", None)
    assert admin("GET", f"/api/admin/events?person={ann.id}")["items"] == []


def test_code_is_redacted_and_leads_to_its_trace(admin: ApiUser, pipeline: PipelineHarness) -> None:
    event = otp_event(insert_sample_users(pipeline.engine), 1)
    pipeline.actions.publish_event(event)
    pipeline.run_until_idle()

    (notification,) = admin("GET", "/api/admin/notifications?type=OTP")["items"]

    assert notification["eventId"] == event.event_id
    assert "123456" not in str(notification)


@pytest.mark.parametrize(
    ("columns", "state"),
    [
        ("removed_at = now()", "removed"),
        ("archived_at = now()", "archived"),
        ("deferred_until = now() + interval '1 hour'", "held"),
        ("snoozed_until = now() + interval '1 hour'", "snoozed"),
        ("snoozed_until = now() + interval '1 hour', deferred_until = now()", "snoozed"),
    ],
)
def test_notification_that_is_not_simply_listed_says_so(
    admin: ApiUser, activity: SampleActivity, pipeline: PipelineHarness, columns: str, state: str
) -> None:
    with pipeline.engine.begin() as conn:
        conn.execute(text(f"update notifications set {columns} where type = 'FOLLOW'"))  # noqa: S608

    (follow,) = admin("GET", "/api/admin/notifications?type=FOLLOW")["items"]
    assert follow["state"] == state


@BOTH
def test_unknown_person_and_invalid_criteria_are_refused(admin: ApiUser, what: str) -> None:
    assert admin("GET", f"/api/admin/{what}?person=nobody_has_this_name")["code"] == "user_not_found"
    assert admin("GET", f"/api/admin/{what}?person={new_id()}")["items"] == []
    for query in ("type=nothing", "postId=1", "from=yesterday", "limit=51", "cursor=WzFd"):
        assert admin("GET", f"/api/admin/{what}?{query}")["status"] == 400, query


def test_search_that_takes_too_long_is_refused(
    admin: ApiUser, activity: SampleActivity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notification_search, "SEARCH_TIMEOUT_MS", 50)
    slow = "select n.id::text from notifications n, pg_sleep(5) where {condition} limit :limit"
    monkeypatch.setattr(notification_search, "_FIND_ANY", slow)

    answer = admin("GET", "/api/admin/notifications")

    assert (answer["status"], answer["code"]) == (400, "search_too_broad")


def test_without_redis_the_search_of_events_is_empty_and_stale(
    isolated_services: SharedServices,
    admin: ApiUser,
    activity: SampleActivity,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(isolated_services.redis, "connection_pool", redis.ConnectionPool(port=1))

    answer = admin("GET", "/api/admin/events")

    assert (answer["status"], answer["items"], answer["stale"]) == (200, [], True)


@pytest.mark.parametrize(
    ("condition", "index_condition"),
    [
        ("user_id = '{id}'", "Index Cond: (user_id ="),
        ("object_id = '{id}'", "Index Cond: (object_id ="),
        ("id < '{id}' order by id desc", "Index Cond: (id <"),
    ],
)
def test_each_criterion_has_an_index(pipeline: PipelineHarness, condition: str, index_condition: str) -> None:
    with pipeline.engine.begin() as conn:
        conn.execute(text("set local enable_seqscan = off"))
        plan = conn.execute(
            text(f"explain select 1 from notifications where {condition.format(id=new_id())}")  # noqa: S608
        )
        assert index_condition in "\n".join(plan.scalars())
