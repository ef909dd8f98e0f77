"""Mailer: a message that fails is retried, given up or set aside by itself, and delays no other."""

from email.headerregistry import Address

import pytest

from app.clients import circuit_breaker
from app.delivery.message_transport import DeliveryDeferred, TransportTimeouts
from app.delivery.smtp_transport import SmtpTransport
from app.domain.errors import Rejected, Unavailable
from app.domain.events import Kind
from app.operations.admin_queues import AdminQueues
from tests.support.fixtures import (
    insert_users,
)
from tests.support.mail_server import DROP_AFTER_DATA, HANG, MailServer
from tests.support.mailer_harness import MailerHarness, address
from tests.support.mailer_harness import mailer_harness as mailer_harness

pytestmark = pytest.mark.service
DAY_SECONDS = 24 * 3600.0


def test_deferred_message_is_retried_with_doubling_delays(
    mailer_harness: MailerHarness,
) -> None:
    mailer_harness.enable_channels(Kind.FOLLOW, "email")
    mailer_harness.mail.error = DeliveryDeferred("450 busy at RCPT")
    mailer_harness.add_follower()
    delays = []
    for _ in range(8):
        mailer_harness.run_until_idle()
        delays.append(mailer_harness.seconds_until_due())
        mailer_harness.clock.advance(delays[-1])
    assert delays == [30, 60, 120, 240, 480, 900, 900, 900]
    assert mailer_harness.statuses() == [("waiting", 8, "450 busy at RCPT")]

    mailer_harness.mail.error = None
    mailer_harness.run_until_idle()
    assert mailer_harness.statuses() == [("delivered", 9, None)]


@pytest.mark.parametrize(
    ("kind", "seconds"),
    [
        (Kind.OTP, 300.0),
        (Kind.PASSWORD_RESET, 1800.0),
        (Kind.SECURITY_ALERT, DAY_SECONDS),
        (Kind.FOLLOW, DAY_SECONDS),
    ],
)
def test_message_is_given_up_when_its_validity_ends(
    mailer_harness: MailerHarness, kind: Kind, seconds: float
) -> None:
    mailer_harness.mail.error = DeliveryDeferred("450 busy at RCPT")
    if kind is Kind.FOLLOW:
        mailer_harness.enable_channels(kind, "email")
        mailer_harness.add_follower()
    else:
        mailer_harness.write_code(kind=kind)
    started_at = mailer_harness.clock.now()
    mailer_harness.run_until_idle()
    while mailer_harness.statuses()[0][0] == "waiting":
        mailer_harness.advance(mailer_harness.seconds_until_due())
    assert abs(mailer_harness.clock.now() - started_at - seconds) < 1
    [reason] = mailer_harness.dead_letter_reasons()
    assert reason.startswith("EMAIL: not sent in time, after ")
    assert reason.endswith("450 busy at RCPT")


def test_permanently_rejected_message_fails_at_once_and_loses_its_text(
    mailer_harness: MailerHarness,
) -> None:
    mailer_harness.sms.error = Rejected("the webhook answered 400")
    mailer_harness.write_code()
    mailer_harness.run_until_idle()

    assert mailer_harness.statuses("SMS") == [("failed", 1, "the webhook answered 400")]
    [(reason, payload)] = mailer_harness.writer.query("select reason, payload from dead_letters")
    assert reason == "SMS: the webhook answered 400"
    assert "000001" not in payload
    assert mailer_harness.statuses() == [("delivered", 1, None)]


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param(
            "update outbox set payload = jsonb_set(payload, '{metadata,aggregatedActors}', '[0]')",
            id="payload",
        ),
        pytest.param("update users set email = 'a,b@example.org'", id="address"),
    ],
)
def test_unwritable_message_is_a_dead_letter_at_once(mailer_harness: MailerHarness, statement: str) -> None:
    mailer_harness.enable_channels(Kind.FOLLOW, "email")
    mailer_harness.add_follower()
    mailer_harness.writer.execute(statement.replace("email = 'a", "email = id::text || 'a"))
    smtp = SmtpTransport("smtp://127.0.0.1:1", Address("", addr_spec="us@example.org"))
    mailer_harness.run_until_idle(mailer_harness.new_mailer({"EMAIL": smtp, "SMS": mailer_harness.sms}))

    assert mailer_harness.statuses()[0][0] == "failed"
    assert len(mailer_harness.dead_letter_reasons()) == 1


def test_unavailable_server_costs_no_attempts_and_all_is_sent_after_recovery(
    mailer_harness: MailerHarness,
) -> None:
    mailer_harness.mail.error = Unavailable("The mail server is unavailable: ConnectionRefusedError")
    for _ in range(10):
        mailer_harness.write_code(kind=Kind.SECURITY_ALERT)
    mailer_harness.run_until_idle()
    assert {row[:2] for row in mailer_harness.statuses()} == {("waiting", 0)}
    assert len(mailer_harness.sms.messages) == 10
    assert mailer_harness.dead_letter_reasons() == []

    mailer_harness.mail.error = None
    mailer_harness.advance(2)
    assert [row[0] for row in mailer_harness.statuses()] == ["delivered"] * 10


def test_channel_with_open_breaker_claims_nothing(mailer_harness: MailerHarness) -> None:
    circuit_breaker.EMAIL.set_limits_and_reset(failure_threshold=1, reset_seconds=3600)
    circuit_breaker.EMAIL.on_failure(0, Unavailable("The mail server is unavailable"))
    mailer_harness.write_code()
    mailer_harness.run_until_idle()
    assert (mailer_harness.mail.attempt_count, len(mailer_harness.sms.messages)) == (0, 1)
    circuit_breaker.EMAIL.set_limits_and_reset(failure_threshold=1, reset_seconds=3600)
    mailer_harness.run_until_idle()
    assert mailer_harness.mail.attempt_count == 1


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        pytest.param(Kind.SECURITY_ALERT, "delivered", id="still valid"),
        pytest.param(Kind.OTP, "failed", id="expired code"),
    ],
)
def test_replayed_dead_letter_is_sent_if_it_is_still_valid(
    mailer_harness: MailerHarness, kind: Kind, outcome: str
) -> None:
    mailer_harness.mail.error = Rejected("550 at RCPT")
    mailer_harness.write_code(kind=kind)
    mailer_harness.run_until_idle()
    [(dead_letter_id,)] = mailer_harness.writer.query("select id::text from dead_letters")
    mailer_harness.mail.error = None
    mailer_harness.clock.advance(2 * DAY_SECONDS)
    queues = AdminQueues(mailer_harness.engine, 5, 4, mailer_harness.clock.now)

    assert queues.replay_dead_letters(mailer_harness.sample_users.alice_id, [dead_letter_id]) == 1
    assert queues.replay_dead_letters(mailer_harness.sample_users.alice_id, [dead_letter_id]) == 0
    mailer_harness.run_until_idle()

    assert mailer_harness.statuses()[0][0] == outcome
    waiting = mailer_harness.writer.query("select id::text from dead_letters where status = 'waiting'")
    assert waiting == ([] if outcome == "delivered" else [(dead_letter_id,)])


def test_message_of_a_removed_account_is_not_replayed(mailer_harness: MailerHarness) -> None:
    mailer_harness.mail.error = Rejected("550 at RCPT")
    mailer_harness.write_code()
    mailer_harness.run_until_idle()
    mailer_harness.writer.execute(
        "delete from users where id = :alice", alice=mailer_harness.sample_users.alice_id
    )
    [(dead_letter_id,)] = mailer_harness.writer.query("select id::text from dead_letters")
    queues = AdminQueues(mailer_harness.engine, 5, 4, mailer_harness.clock.now)
    assert queues.replay_dead_letters(mailer_harness.sample_users.bob_id, [dead_letter_id]) == 0


def test_real_smtp_server_that_refuses_defers_hangs_and_drops_affects_no_other_recipient(
    mailer_harness: MailerHarness,
) -> None:
    failing_ids = insert_users(mailer_harness.engine, "Refused", "Deferred", "Hangs", "Drops")
    working_ids = insert_users(mailer_harness.engine, *(f"P{n}" for n in range(6)))
    sender = Address("Chime", addr_spec="hello@chime.example.org")
    timeouts = TransportTimeouts(connect_seconds=2.0, response_seconds=0.3, attempt_seconds=2.0)
    with MailServer() as server:
        rules = ("550 5.1.1 No such user", "450 4.1.2 Domain not found", HANG, DROP_AFTER_DATA)
        server.rule_by_recipient = dict(zip(map(address, failing_ids), rules, strict=True))
        mailer = mailer_harness.new_mailer(
            {"EMAIL": SmtpTransport(server.url, sender, timeouts), "SMS": mailer_harness.sms}
        )
        for user_id in [*failing_ids, *working_ids]:
            mailer_harness.write_code(user_id, kind=Kind.SECURITY_ALERT)
        mailer_harness.run_until_idle(mailer)

        assert set(server.accepted_messages) == {address(user_id) for user_id in working_ids}
        assert mailer_harness.statuses()[:4] == [
            ("failed", 1, "550 5.1.1 No such user at RCPT"),
            ("waiting", 1, "450 4.1.2 Domain not found at RCPT"),
            ("waiting", 1, "the connection ended at RCPT"),
            (
                "waiting",
                1,
                "the connection ended at DATA; it is unknown whether the message was accepted",
            ),
        ]
        assert mailer_harness.seconds_until_due() == 30

        server.rule_by_recipient.clear()
        mailer_harness.clock.advance(30)
        mailer_harness.run_until_idle(mailer)
        assert [row[0] for row in mailer_harness.statuses()] == ["failed"] + ["delivered"] * 9
        first, second = server.raw_messages[address(failing_ids[3])]
        assert first == second  # the possible duplicate is identical
    assert mailer_harness.dead_letter_reasons() == ["EMAIL: 550 5.1.1 No such user at RCPT"]
