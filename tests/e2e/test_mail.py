"""E-mail through a real SMTP server and real processes: a failing message delays and changes no other."""

import json
import logging
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from app.domain.events import Event, Kind
from app.ingest.memberships import DesiredState
from harness.waiting import wait_until
from tests.support.fixtures import new_id
from tests.support.mail_server import DROP_AFTER_DATA, HANG, HANG_AFTER_DATA, MailServer
from tests.support.processes import START_TIMEOUT_SECONDS
from tests.support.scenario import WorkerScenario
from workers.mailer import MAX_CONCURRENT_SENDS

log = logging.getLogger(__name__)
pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.time_limit]
BUSY_SECONDS = 20.0
"""Limit for what takes one or two seconds on an idle machine."""


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    with MailServer() as mail_server:
        yield mail_server


@pytest.fixture
def scenario_with_mail(scenario: WorkerScenario, mail_server: MailServer) -> Iterator[WorkerScenario]:
    """The deliverer sends to `mail_server`."""
    settings = {"SMTP_URL": mail_server.url, "MAIL_FROM": "Chime <hello@chime.example.org>"}
    worker = scenario.processes.restart("deliverer", **settings)
    wait_until(
        lambda: scenario.processes.has_heartbeat(worker),
        "the first heartbeat of the deliverer",
        START_TIMEOUT_SECONDS,
    )
    yield scenario
    scenario.processes.process_by_name["deliverer"].kill()  # it may wait for a server that hangs
    scenario.processes.start_named("deliverer")


def address(user_id: str) -> str:
    return f"{user_id}@example.org"


def publish_security_alert(scenario: WorkerScenario, user_id: str) -> None:
    event = Event(new_id(), Kind.SECURITY_ALERT, user_id, message="Was this you?")
    scenario.services.actions.publish_event(event)


def follow_by_mail(scenario: WorkerScenario, recipients: list[str], follower_id: str) -> None:
    """Each recipient gets an ordinary e-mail by way of Redis and Kafka."""
    matrix = json.dumps({Kind.FOLLOW.value: {"email": True}})
    with scenario.engine.begin() as conn:
        conn.execute(
            text(
                "insert into notification_preferences (user_id, matrix) "
                "select id, cast(:matrix as jsonb) from users where id = any(cast(:ids as uuid[])) "
                "on conflict (user_id) do update set matrix = excluded.matrix"
            ),
            {"matrix": matrix, "ids": recipients},
        )
    for recipient_id in recipients:
        scenario.services.actions.set_follow(follower_id, recipient_id, DesiredState.ON)


def status_by_user(scenario: WorkerScenario) -> dict[str, str]:
    rows = scenario.query("select user_id::text, status from outgoing_messages where channel = 'EMAIL'")
    return {str(user_id): str(status) for user_id, status in rows}


def test_slow_recipient_delays_no_other_mail(
    scenario_with_mail: WorkerScenario, mail_server: MailServer
) -> None:
    """The server refuses, defers, hangs or drops the connection, for one recipient each."""
    rules = (
        "550 5.1.1 No such user",
        "450 4.1.2 Domain not found",
        HANG,
        HANG_AFTER_DATA,
        DROP_AFTER_DATA,
    )
    failing, accepted = scenario_with_mail.create_users(len(rules)), scenario_with_mail.create_users(25)
    mail_server.rule_by_recipient = dict(zip(map(address, failing), rules, strict=True))
    started_at = time.monotonic()
    for user_id in [*failing, *accepted]:
        publish_security_alert(scenario_with_mail, user_id)
    wait_until(
        lambda: len(mail_server.accepted_messages) == len(accepted),
        "the other e-mails",
        BUSY_SECONDS,
    )

    log.info(f"25 e-mails beside five that fail: {time.monotonic() - started_at:.1f} s")
    assert set(mail_server.accepted_messages) == {address(user_id) for user_id in accepted}
    wait_until(
        lambda: status_by_user(scenario_with_mail)[failing[0]] == "failed",
        "the failed status",
        BUSY_SECONDS,
    )
    [(reason,)] = scenario_with_mail.query(
        "select reason from dead_letters where origin = 'outgoing_messages'"
    )
    assert reason == "EMAIL: 550 5.1.1 No such user at RCPT"
    assert {status_by_user(scenario_with_mail)[user_id] for user_id in failing[1:]} == {"waiting"}
    [mail] = mail_server.accepted_messages[address(accepted[0])]
    assert str(mail["Message-ID"]).endswith("@chime.example.org>")


def test_hanging_ordinary_mail_delays_no_critical_mail(
    scenario_with_mail: WorkerScenario, mail_server: MailServer
) -> None:
    follower, alerted, *recipients = scenario_with_mail.create_users(2 + MAX_CONCURRENT_SENDS + 4)
    mail_server.rule_by_recipient = dict.fromkeys(map(address, recipients), HANG)
    follow_by_mail(scenario_with_mail, recipients, follower)
    wait_until(
        lambda: len(mail_server.rcpt_count_by_recipient) >= MAX_CONCURRENT_SENDS,
        "the maximum of concurrent sends",
        2 * BUSY_SECONDS,
    )

    started_at = time.monotonic()
    publish_security_alert(scenario_with_mail, alerted)
    wait_until(lambda: mail_server.accepted_messages[address(alerted)], "the critical e-mail", BUSY_SECONDS)
    log.info(f"a critical e-mail while all ordinary ones hang: {time.monotonic() - started_at:.1f} s")


def test_mailer_killed_between_sending_and_settling_sends_the_same_message_again(
    scenario_with_mail: WorkerScenario, mail_server: MailServer
) -> None:
    (ann,) = scenario_with_mail.create_users(1)
    with scenario_with_mail.engine.begin() as conn:  # messages of earlier tests would pass the fail point
        conn.execute(text("delete from outgoing_messages"))
    # The SMS is sent first, so the e-mail is the second pass of the fail point.
    settings = {"SMTP_URL": mail_server.url, "FAILPOINT": "mailer.sent:2"}
    worker = scenario_with_mail.processes.restart("deliverer", **settings)
    wait_until(
        lambda: scenario_with_mail.processes.has_heartbeat(worker),
        "the first heartbeat of the deliverer",
        START_TIMEOUT_SECONDS,
    )
    publish_security_alert(scenario_with_mail, ann)
    worker.wait_for_sigkill(BUSY_SECONDS)
    assert len(mail_server.raw_messages[address(ann)]) == 1
    assert status_by_user(scenario_with_mail)[ann] == "waiting"

    scenario_with_mail.processes.start_named("deliverer", SMTP_URL=mail_server.url)
    with scenario_with_mail.engine.begin() as conn:  # ends the claim of the killed process
        conn.execute(text("update outgoing_messages set due_at = now() where status = 'waiting'"))
    wait_until(
        lambda: status_by_user(scenario_with_mail)[ann] == "delivered",
        "the e-mail is settled",
        2 * START_TIMEOUT_SECONDS,
    )
    first, second = mail_server.raw_messages[address(ann)]
    assert first == second
