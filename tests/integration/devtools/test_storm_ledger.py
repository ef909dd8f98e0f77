"""The ledger of a storm on the real tables: equal after normal use; lost and doubled likes are found."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from app.devtools.checker.request_log import (
    ACKNOWLEDGED,
    ENTRY_TYPE_FIELD,
    UNKNOWN_OUTCOME,
    read_request_log,
)
from app.devtools.storm.drain import Drain
from app.devtools.storm.ledger import AnnouncementCounts, StormStores
from app.operations.open_windows import OpenWindows
from tests.support.pipeline_harness import PipelineHarness, pipeline, worker_services

__all__ = ["pipeline", "worker_services"]
pytestmark = pytest.mark.service
LIKE_COUNT, COMMENT_COUNT = 6, 1


@pytest.fixture
def stores(pipeline: PipelineHarness) -> StormStores:
    post_id = pipeline.alice.create_post("Hello")
    return StormStores(
        pipeline.engine, pipeline.redis, "public", pipeline.alice.id, [post_id], announces=True
    )


@pytest.fixture
def request_log_path(stores: StormStores, pipeline: PipelineHarness, tmp_path: Path) -> Path:
    """Six people like Alice's post and one comments; all is written and announced."""
    log_path, (post_id,) = tmp_path / "requests.jsonl", stores.post_ids
    users = pipeline.create_users("Ann", "Ben", "Cem", "Dan", "Eve", "Fay")
    requests = [("like", user.id, post_id) for user in users]
    for user in users:
        user.like("Hello")
    users[0].comment("Hello", "marker-1")
    requests.append(("comment", users[0].id, f"{post_id} marker-1"))
    pipeline.close_windows()
    with log_path.open("w") as log:
        for number, request in enumerate(requests):
            log.writelines(_log_entries(number, request, ACKNOWLEDGED))
    return log_path


def _log_entries(number: int, request: tuple[str, str, str], outcome: str) -> list[str]:
    """Lines of a request, (kind, actor id, object id), and of its response."""
    kind, actor_id, object_id = request
    entry = {"operation_id": number, "attempt_number": 1}
    fields = {"request_kind": kind, "actor_id": actor_id, "object_id": object_id, "sent_at": 1.0}
    response = {"answered_at": 2.0, "outcome": outcome, "status": 200}
    return [
        json.dumps(entry | {ENTRY_TYPE_FIELD: "request"} | fields) + "\n",
        json.dumps(entry | {ENTRY_TYPE_FIELD: "response"} | response) + "\n",
    ]


def _actor_ids(log_path: Path) -> list[str]:
    return [attempt.actor_id for attempt in read_request_log(log_path).attempts]


def test_ledger_of_normal_use_is_equal(stores: StormStores, request_log_path: Path) -> None:
    ledger = stores.check(request_log_path)

    total = LIKE_COUNT + COMMENT_COUNT
    assert (ledger.accepted, ledger.written, ledger.announced) == (total, total, total)
    assert (ledger.lost, ledger.doubled, ledger.problems) == (0, 0, [])
    counts = stores.count_written()
    assert counts.announcements == AnnouncementCounts(total, total, 0, 0, 0)
    assert (counts.to_announce, counts.is_all_announced) == (total, True)


def test_author_was_told_in_a_few_messages(stores: StormStores, request_log_path: Path) -> None:
    message_count, messages = stores.read_messages()

    assert message_count == len(messages) < LIKE_COUNT + COMMENT_COUNT
    assert any("5 others liked your post" in message for message in messages)


def _execute(statement: str) -> Callable[[PipelineHarness], None]:
    def damage(pipeline: PipelineHarness) -> None:
        with pipeline.engine.begin() as conn:
            assert conn.execute(text(statement)).rowcount == 1

    return damage


_DELETE_ONE_LIKE = "delete from likes where ctid = (select ctid from likes limit 1)"
_OLDEST_LIKE, _COMMENT = (
    "(select min(id) from outbox where client_event = 'notification' and payload->>'type' = 'LIKE')",
    "(select id from outbox where client_event = 'notification' and payload->>'type' = 'COMMENT')",
)
_UNPUBLISH_COMMENT = f"update outbox set published_at = null where id = {_COMMENT}"  # noqa: S608 - constants


def _set_new_count(difference: int, outbox_id: str) -> str:
    return (
        "update outbox set payload = jsonb_set(payload, '{metadata,newCount}', "  # noqa: S608 - constants
        f"to_jsonb((payload->'metadata'->>'newCount')::int + {difference})) where id = {outbox_id}"
    )


@pytest.mark.parametrize(
    ("statement", "lost", "doubled"),
    [
        pytest.param(_DELETE_ONE_LIKE, 1, 0, id="lost like"),
        pytest.param("update comments set active = false", 1, 0, id="lost comment"),
        pytest.param("update comments set content = 'other'", 1, 1, id="comment of nobody"),
        pytest.param(_set_new_count(1, _OLDEST_LIKE), 0, 1, id="counted twice"),
        pytest.param(_set_new_count(-1, _OLDEST_LIKE), 1, 0, id="counted never"),
        pytest.param(_UNPUBLISH_COMMENT, 1, 0, id="not published"),
        pytest.param(
            "update notification_actors set announced = false where ctid = "
            "(select a.ctid from notification_actors a join notifications n on n.id = a.notification_id "
            "where n.type = 'LIKE' limit 1)",
            1,
            1,
            id="never announced",
        ),
    ],
)
def test_damage_is_counted(
    stores: StormStores,
    request_log_path: Path,
    pipeline: PipelineHarness,
    statement: str,
    lost: int,
    doubled: int,
) -> None:
    _execute(statement)(pipeline)

    ledger = stores.check(request_log_path)

    assert (ledger.lost, ledger.doubled) == (lost, doubled)
    assert ledger.problems


def test_announcement_too_few_does_not_hide_one_too_many(
    stores: StormStores, request_log_path: Path, pipeline: PipelineHarness
) -> None:
    for difference, outbox_id in ((1, _OLDEST_LIKE), (-1, _COMMENT)):
        _execute(_set_new_count(difference, outbox_id))(pipeline)

    ledger = stores.check(request_log_path)

    assert (ledger.announced, ledger.lost, ledger.doubled) == (LIKE_COUNT + COMMENT_COUNT, 1, 1)


def test_storm_is_not_announced_while_the_relay_is_behind(
    stores: StormStores, request_log_path: Path, pipeline: PipelineHarness
) -> None:
    _execute(_UNPUBLISH_COMMENT)(pipeline)

    counts = stores.count_written()

    assert counts.announcements == AnnouncementCounts(LIKE_COUNT, LIKE_COUNT + COMMENT_COUNT, 0, 1, 0)
    assert not counts.is_all_announced


def test_drain_waits_for_the_accepted_ones_and_not_only_for_their_number(
    stores: StormStores, request_log_path: Path, pipeline: PipelineHarness
) -> None:
    """A like without an answer was written, and an accepted one was not yet."""
    (gus,) = pipeline.create_users("Gus")
    gus.like("Hello")
    pipeline.close_windows()
    with request_log_path.open("a") as log:
        request = ("like", gus.id, stores.post_ids[0])
        log.writelines(_log_entries(LIKE_COUNT + COMMENT_COUNT, request, UNKNOWN_OUTCOME))
    drain = Drain(stores, OpenWindows(pipeline.redis), True, request_log_path)
    accepted = LIKE_COUNT + COMMENT_COUNT
    report = {"accepted": accepted, "sent": accepted + 1}
    assert drain.is_complete(stores.count_written(), report)

    with pipeline.engine.begin() as conn:
        conn.execute(text("delete from likes where user_id = :ben"), {"ben": _actor_ids(request_log_path)[1]})

    counts = stores.count_written()
    assert counts.written == accepted
    assert not drain.is_complete(counts, report)


def test_only_the_author_of_the_storm_is_checked(
    stores: StormStores, request_log_path: Path, pipeline: PipelineHarness
) -> None:
    """Somebody else's post has a like that was never announced."""
    (ben,) = pipeline.create_users("Ben")
    post_id = ben.create_post("Other")
    with pipeline.engine.begin() as conn:
        insert_like = text("insert into likes (post_id, user_id) values (:post, :user)")
        conn.execute(insert_like, {"post": post_id, "user": pipeline.alice.id})

    assert stores.check(request_log_path).problems == []
