"""The admin API of the fallback queue and the dead letters, on real services."""

import json
import time
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Engine, text

from app.bootstrap import new_id
from app.delivery.links import NotificationLinks
from app.delivery.mail_message import OutboundEmailOrSms
from app.domain.errors import Rejected
from app.domain.events import Event, Kind, Priority
from app.messaging.message_encryption import MessageEncryption
from app.messaging.stage_counters import StageCounters
from app.persistence.outgoing_messages import OutgoingMessages
from tests.support.admin_api import AdminApiUser
from tests.support.admin_api import admin as admin
from tests.support.fixtures import UNKNOWN_ID, insert_sample_users, like_event
from tests.support.pipeline_harness import PipelineHarness
from tests.support.pipeline_harness import pipeline as pipeline
from tests.support.pipeline_harness import worker_services as worker_services
from workers.mailer import Mailer
from workers.message_renderer import MessageRenderer

pytestmark = pytest.mark.service


@dataclass
class RejectingTransport:
    """Raises `error` for each message while it is set."""

    error: Exception | None = None
    sent_count: int = 0

    def send(self, message: OutboundEmailOrSms) -> None:
        if self.error:
            raise self.error
        self.sent_count += 1


def test_failed_message_is_a_dead_letter_and_is_sent_when_replayed(
    admin: AdminApiUser, pipeline: PipelineHarness
) -> None:
    transport = RejectingTransport(Rejected("550 5.1.1 No such user at RCPT"))
    settings = pipeline.worker_services.services.settings
    renderer = MessageRenderer(
        MessageEncryption(settings.web.secret_key),
        NotificationLinks(settings.web.secret_key, "http://x"),
    )
    mailer = Mailer(
        OutgoingMessages(pipeline.engine),
        {"EMAIL": transport, "SMS": transport},
        renderer,
        time.time,
        lambda: 0.0,
        StageCounters(pipeline.redis).record_batch_stats,
    )

    def find_mail_stage() -> Any:
        (stage,) = [stage for stage in admin("GET /pipeline")["stages"] if stage["name"] == "mail"]
        return stage

    def send_all_and_count() -> Any:
        while mailer.step() or mailer.wait_for_send_to_end(10):
            pass
        stage = find_mail_stage()
        return {name: stage[name] for name in ("in", "out", "held", "failed")}

    alert = Event(new_id(), Kind.SECURITY_ALERT, pipeline.alice.id, message="Was this you?")
    pipeline.actions.publish_event(alert)
    before = find_mail_stage()
    assert (before["in"], before["held"], before["oldestAgeSeconds"] is not None) == (2, 2, True)
    assert send_all_and_count() == {"in": 2, "out": 0, "held": 0, "failed": 2}

    dead_letters = admin("GET /dead-letters")["items"]
    assert {dead_letter["origin"] for dead_letter in dead_letters} == {"outgoing_messages"}
    assert {dead_letter["reason"] for dead_letter in dead_letters} == {
        f"{channel}: 550 5.1.1 No such user at RCPT" for channel in ("EMAIL", "SMS")
    }
    assert "Was this you" not in str(dead_letters)

    transport.error = None
    ids = [dead_letter["id"] for dead_letter in dead_letters]
    assert admin("POST /dead-letters/replay", {"ids": ids})["changed"] == 2
    assert send_all_and_count() == {"in": 4, "out": 2, "held": 0, "failed": 2}
    assert transport.sent_count == 2
    assert admin("GET /dead-letters")["items"] == []


def _insert_fallback_row(pipeline: PipelineHarness, retries: int) -> int:
    pipeline.memory_kafka.is_unavailable = True
    pipeline.alice.create_post("Hello")
    pipeline.create_users("Ann")[0].like("Hello")
    pipeline.bridge.step()
    pipeline.memory_kafka.is_unavailable = False
    with pipeline.engine.begin() as conn:
        conn.execute(text("update kafka_fallback_queue set retry_count = :n"), {"n": retries})
    return int(pipeline.query("select id from kafka_fallback_queue")[0][0])


def test_failed_fallback_row_is_published_when_replayed(
    admin: AdminApiUser, pipeline: PipelineHarness
) -> None:
    row = _insert_fallback_row(pipeline, retries=6)
    pipeline.run_until_idle()
    assert admin("GET /fallback")["items"][0]["status"] == "failed"
    assert admin("POST /fallback/replay", {"ids": [row]})["changed"] == 1
    pipeline.bridge = pipeline.new_bridge()
    pipeline.expire_leases()
    pipeline.run_until_idle()
    assert admin("GET /fallback")["items"] == []
    assert pipeline.alice.toast_messages == ["Ann liked your post"]


def test_discarded_fallback_row_is_never_published(admin: AdminApiUser, pipeline: PipelineHarness) -> None:
    row = _insert_fallback_row(pipeline, retries=6)
    assert admin("POST /fallback/discard", {"ids": [row]})["changed"] == 1
    assert admin("POST /fallback/discard", {"ids": [row]})["changed"] == 0
    pipeline.run_until_idle()
    assert pipeline.alice.toast_messages == []


@pytest.mark.parametrize("queue", ["fallback", "dead-letters"])
@pytest.mark.parametrize("verb", ["replay", "discard"])
@pytest.mark.parametrize("unknown", [UNKNOWN_ID, "999999999", 999999999, "x", "9" * 40])
def test_replay_or_discard_of_an_unknown_id_changes_nothing(
    admin: AdminApiUser, engine: Engine, queue: str, verb: str, unknown: Any
) -> None:
    response = admin(f"POST /{queue}/{verb}", {"ids": [unknown]})
    assert (response["status"], response["changed"]) == (200, 0)
    with engine.connect() as conn:
        assert conn.execute(text("select count(*) from audit_log where action like '%.%'")).scalar() == 0


@pytest.mark.parametrize("body", [{}, {"ids": "x"}, {"ids": [None]}, {"ids": [{}]}, {"ids": [True]}])
def test_replay_of_invalid_ids_is_400(admin: AdminApiUser, body: Any) -> None:
    assert admin("POST /fallback/replay", body)["status"] == 400


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
    admin: AdminApiUser, pipeline: PipelineHarness
) -> None:
    sample_users = insert_sample_users(pipeline.engine)
    event = like_event(sample_users.carol_id, sample_users, 1)
    payload = event.to_wire(Priority.LOW)
    dead_letter_id = _insert_dead_letter(pipeline.engine, "low-priority-notifications", "0:1", _json(payload))
    assert admin("POST /dead-letters/replay", {"ids": [dead_letter_id]})["changed"] == 1
    pipeline.run_until_idle()
    assert pipeline.query("select seq from likes") == [(event.seq,)]
    assert admin("GET /dead-letters")["items"] == []
    assert pipeline.query("select action, details from audit_log where action like 'dead%'") == [
        ("dead_letters.replay", dead_letter_id)
    ]


def test_replayed_poison_becomes_a_dead_letter_again(admin: AdminApiUser, pipeline: PipelineHarness) -> None:
    dead_letter_id = _insert_dead_letter(pipeline.engine, "low-priority-notifications", "0:1", "not json")
    assert admin("POST /dead-letters/replay", {"ids": [dead_letter_id]})["changed"] == 1
    pipeline.run_until_idle()
    (again,) = admin("GET /dead-letters")["items"]
    assert (again["payload"], again["id"] == dead_letter_id) == ("not json", False)


def _json(value: Any) -> str:
    return json.dumps(value)
