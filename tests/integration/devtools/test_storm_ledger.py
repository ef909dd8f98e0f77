"""The ledger of a storm on the real tables: equal after normal use; lost and doubled likes are found."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from app.devtools.checker.request_log import ACKNOWLEDGED, ENTRY_TYPE_FIELD
from app.devtools.storm.ledger import StormStores
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
        for number, (kind, actor_id, object_id) in enumerate(requests):
            entry = {"operation_id": number, "attempt_number": 1}
            request = entry | {
                ENTRY_TYPE_FIELD: "request",
                "request_kind": kind,
                "actor_id": actor_id,
                "object_id": object_id,
                "sent_at": 1.0,
            }
            response = {
                ENTRY_TYPE_FIELD: "response",
                "answered_at": 2.0,
                "outcome": ACKNOWLEDGED,
                "status": 200,
            }
            log.write(f"{json.dumps(request)}\n{json.dumps(entry | response)}\n")
    return log_path


def test_ledger_of_normal_use_is_equal(stores: StormStores, request_log_path: Path) -> None:
    ledger = stores.check(request_log_path)

    total = LIKE_COUNT + COMMENT_COUNT
    assert (ledger.accepted, ledger.written, ledger.announced) == (total, total, total)
    assert (ledger.lost, ledger.doubled, ledger.problems) == (0, 0, [])
    counts = stores.count_written()
    assert (counts.announced, counts.announced_once, counts.queued) == (total, total, 0)


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
_COUNT_ONE_MORE = (
    "update outbox set payload = jsonb_set(payload, '{metadata,newCount}', "
    "to_jsonb((payload->'metadata'->>'newCount')::int + 1)) "
    "where id = (select max(id) from outbox where client_event = 'notification')"
)


@pytest.mark.parametrize(
    ("statement", "lost", "doubled"),
    [
        pytest.param(_DELETE_ONE_LIKE, 1, 0, id="lost like"),
        pytest.param("update comments set active = false", 1, 0, id="lost comment"),
        pytest.param("update comments set content = 'other'", 1, 1, id="comment of nobody"),
        pytest.param(_COUNT_ONE_MORE, 0, 1, id="counted twice"),
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
