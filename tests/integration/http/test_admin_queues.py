"""The admin API of the fallback queue and the dead letters, on real services."""

import json
import time
from typing import Any

import pytest
from sqlalchemy import Engine, text

from app.bootstrap import new_id
from app.domain.errors import Rejected
from app.domain.events import Event, Kind, Priority
from tests.support.api_user import ApiUser
from tests.support.api_user import admin as admin
from tests.support.fixtures import UNKNOWN_ID, insert_sample_users, like_event
from tests.support.mailer_harness import FailingTransport, create_mailer, send_all
from tests.support.pipeline_harness import PipelineHarness

pytestmark = pytest.mark.service


def test_failed_message_is_a_dead_letter_and_is_sent_when_replayed(
    admin: ApiUser, pipeline: PipelineHarness
) -> None:
    transport = FailingTransport(Rejected("550 5.1.1 No such user at RCPT"))
    secret = pipeline.worker_services.services.settings.web.secret_key
    mailer = create_mailer(
        pipeline.engine, {"EMAIL": transport, "SMS": transport}, time.time, pipeline.record_stats, secret
    )

    def find_mail_stage() -> Any:
        (stage,) = [
            stage for stage in admin("GET", "/api/admin/pipeline")["stages"] if stage["name"] == "mail"
        ]
        return stage

    def send_all_and_count() -> Any:
        send_all(mailer)
        stage = find_mail_stage()
        return {name: stage[name] for name in ("in", "out", "held", "failed")}

    alert = Event(new_id(), Kind.SECURITY_ALERT, pipeline.alice.id, message="Was this you?")
    pipeline.actions.publish_event(alert)
    before = find_mail_stage()
    assert (before["in"], before["held"], before["oldestAgeSeconds"] is not None) == (2, 2, True)
    assert send_all_and_count() == {"in": 2, "out": 0, "held": 0, "failed": 2}

    dead_letters = admin("GET", "/api/admin/dead-letters")["items"]
    assert {dead_letter["origin"] for dead_letter in dead_letters} == {"outgoing_messages"}
    assert {dead_letter["reason"] for dead_letter in dead_letters} == {
        f"{channel}: 550 5.1.1 No such user at RCPT" for channel in ("EMAIL", "SMS")
    }
    assert "Was this you" not in str(dead_letters)

    transport.error = None
    ids = [dead_letter["id"] for dead_letter in dead_letters]
    assert admin("POST", "/api/admin/dead-letters/replay", {"ids": ids})["changed"] == 2
    assert send_all_and_count() == {"in": 4, "out": 2, "held": 0, "failed": 2}
    assert len(transport.messages) == 2
    assert admin("GET", "/api/admin/dead-letters")["items"] == []


def _insert_fallback_row(pipeline: PipelineHarness, retries: int) -> int:
    pipeline.memory_kafka.is_unavailable = True
    pipeline.alice.create_post("Hello")
    pipeline.create_users("Ann")[0].like("Hello")
    pipeline.bridge.step()
    pipeline.memory_kafka.is_unavailable = False
    with pipeline.engine.begin() as conn:
        conn.execute(text("update kafka_fallback_queue set retry_count = :n"), {"n": retries})
    return int(pipeline.query("select id from kafka_fallback_queue")[0][0])


def test_failed_fallback_row_is_published_when_replayed(admin: ApiUser, pipeline: PipelineHarness) -> None:
    row = _insert_fallback_row(pipeline, retries=6)
    pipeline.run_until_idle()
    assert admin("GET", "/api/admin/fallback")["items"][0]["status"] == "failed"
    assert admin("POST", "/api/admin/fallback/replay", {"ids": [row]})["changed"] == 1
    pipeline.bridge = pipeline.new_bridge()
    pipeline.expire_leases()
    pipeline.run_until_idle()
    assert admin("GET", "/api/admin/fallback")["items"] == []
    assert pipeline.alice.toast_messages == ["Ann liked your post"]


def test_discarded_fallback_row_is_never_published(admin: ApiUser, pipeline: PipelineHarness) -> None:
    row = _insert_fallback_row(pipeline, retries=6)
    assert admin("POST", "/api/admin/fallback/discard", {"ids": [row]})["changed"] == 1
    assert admin("POST", "/api/admin/fallback/discard", {"ids": [row]})["changed"] == 0
    pipeline.run_until_idle()
    assert pipeline.alice.toast_messages == []


@pytest.mark.parametrize("queue", ["fallback", "dead-letters"])
@pytest.mark.parametrize("verb", ["replay", "discard"])
@pytest.mark.parametrize("unknown", [UNKNOWN_ID, "999999999", 999999999, "x", "9" * 40])
def test_replay_or_discard_of_an_unknown_id_changes_nothing(
    admin: ApiUser, engine: Engine, queue: str, verb: str, unknown: Any
) -> None:
    response = admin("POST", f"/api/admin/{queue}/{verb}", {"ids": [unknown]})
    assert (response["status"], response["changed"]) == (200, 0)
    with engine.connect() as conn:
        assert conn.execute(text("select count(*) from audit_log where action like '%.%'")).scalar() == 0


@pytest.mark.parametrize("body", [{}, {"ids": "x"}, {"ids": [None]}, {"ids": [{}]}, {"ids": [True]}])
def test_replay_of_invalid_ids_is_400(admin: ApiUser, body: Any) -> None:
    assert admin("POST", "/api/admin/fallback/replay", body)["status"] == 400


def _insert_dead_letter(engine: Engine, origin: str, position: str, payload: str) -> str:
    values = {"id": new_id(), "origin": origin, "position": position, "payload": payload}
    with engine.begin() as conn:
        conn.execute(
            text(
                "insert into dead_letters (id, origin, position, reason, payload) "
                "values (:id, :origin, :position, 'r', :payload)"
            ),
            values,
        )
    return str(values["id"])


def test_replayed_dead_letter_that_is_now_valid_is_processed(
    admin: ApiUser, pipeline: PipelineHarness
) -> None:
    sample_users = insert_sample_users(pipeline.engine)
    event = like_event(sample_users.carol_id, sample_users, 1)
    payload = event.to_wire(Priority.LOW)
    dead_letter_id = _insert_dead_letter(pipeline.engine, "low-priority-notifications", "0:1", _json(payload))
    assert admin("POST", "/api/admin/dead-letters/replay", {"ids": [dead_letter_id]})["changed"] == 1
    pipeline.run_until_idle()
    assert pipeline.query("select seq from likes") == [(event.seq,)]
    assert admin("GET", "/api/admin/dead-letters")["items"] == []
    assert pipeline.query("select action, details from audit_log where action like 'dead%'") == [
        ("dead_letters.replay", dead_letter_id)
    ]


def test_replayed_poison_becomes_a_dead_letter_again(admin: ApiUser, pipeline: PipelineHarness) -> None:
    dead_letter_id = _insert_dead_letter(pipeline.engine, "low-priority-notifications", "0:1", "not json")
    assert admin("POST", "/api/admin/dead-letters/replay", {"ids": [dead_letter_id]})["changed"] == 1
    pipeline.run_until_idle()
    (again,) = admin("GET", "/api/admin/dead-letters")["items"]
    assert (again["payload"], again["id"] == dead_letter_id) == ("not json", False)


def _json(value: Any) -> str:
    return json.dumps(value)
