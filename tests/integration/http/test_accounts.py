"""Accounts on real PostgreSQL and Redis: sessions, log-out, passwords, reset and one-time codes."""

import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
import redis
from flask import Flask
from sqlalchemy import Engine, text

from app.bootstrap import SharedServices
from app.domain.errors import Rejected
from app.domain.events import Kind
from app.web import WebApplication
from harness.waiting import wait_until
from tests.support.api_user import sign_in
from tests.support.auth_client import OTHER, PASSWORD, AuthClient
from tests.support.auth_client import alice as alice
from tests.support.auth_client import client as client
from tests.support.auth_client import read_critical_texts as read_critical_texts
from tests.support.web_application import create_web_application

pytestmark = pytest.mark.service


def test_refresh_token_is_exchanged_for_the_next_one(alice: AuthClient) -> None:
    second = alice.refresh(alice.first.refreshToken)
    assert second.status == 200
    assert alice.is_logged_in_with(second.token)
    assert alice.refresh(second.refreshToken).status == 200


def test_reused_refresh_token_ends_its_session(alice: AuthClient) -> None:
    second = alice.refresh(alice.first.refreshToken)
    again = alice.refresh(alice.first.refreshToken)
    assert (again.status, again.code) == (401, "invalid_token")
    assert alice.refresh(second.refreshToken).status == 401
    assert not alice.is_logged_in_with(second.token)


def test_reused_refresh_token_keeps_the_other_sessions(alice: AuthClient) -> None:
    other = alice.log_in()
    alice.refresh(alice.first.refreshToken)
    alice.refresh(alice.first.refreshToken)
    assert alice.is_logged_in_with(other.token)
    assert alice.refresh(other.refreshToken).status == 200


def _wait_for_blocked_statements(engine: Engine, min_count: int) -> None:
    """Waits until at least `min_count` statements wait for a lock."""
    waiting = text("select count(*) from pg_stat_activity where wait_event_type = 'Lock'")

    def are_waiting() -> bool:
        with engine.connect() as sql:
            return bool(sql.execute(waiting).scalar_one() >= min_count)

    wait_until(are_waiting, "statements that wait for the lock", 5)


def test_one_of_two_concurrent_refreshes_succeeds_and_the_session_stays(
    isolated_app: Flask, alice: AuthClient, engine: Engine
) -> None:
    responses: list[Any] = []

    def refresh() -> None:
        body = {"refreshToken": alice.first.refreshToken}
        responses.append(isolated_app.test_client().post("/api/auth/refresh", json=body))

    threads = [threading.Thread(target=refresh) for _ in range(2)]
    with engine.begin() as sql:
        sql.execute(text("select 1 from refresh_tokens for update"))
        for thread in threads:
            thread.start()
        _wait_for_blocked_statements(engine, 2)
    for thread in threads:
        thread.join()
    assert sorted(response.status_code for response in responses) == [200, 401]
    (refreshed,) = [response.json for response in responses if response.status_code == 200]
    assert alice.is_logged_in_with(refreshed["token"])


def test_expired_refresh_token_is_refused(alice: AuthClient, engine: Engine) -> None:
    with engine.begin() as sql:
        sql.execute(text("update refresh_tokens set expires_at = now()"))
    assert alice.refresh(alice.first.refreshToken).status == 401


def test_refresh_token_is_stored_hashed(alice: AuthClient, engine: Engine) -> None:
    with engine.connect() as sql:
        rows = sql.execute(text("select * from refresh_tokens")).all()
    assert len(rows) == 1
    assert alice.first.refreshToken not in str(rows)


def test_log_out_revokes_both_tokens_of_its_session(alice: AuthClient) -> None:
    assert alice.post("/logout", token=alice.first.token).status == 200
    assert not alice.is_logged_in_with(alice.first.token)
    assert alice.refresh(alice.first.refreshToken).status == 401


def test_log_out_with_foreign_refresh_token_keeps_that_session(alice: AuthClient) -> None:
    body = {"email": "bob@example.org", "username": "bob", "password": PASSWORD}
    bob = alice.post("/register", body)
    alice.post("/logout", {"refreshToken": alice.first.refreshToken}, token=bob.token)
    assert alice.is_logged_in_with(alice.first.token)


def test_log_out_everywhere_ends_every_session(alice: AuthClient) -> None:
    other = alice.log_in()
    assert alice.post("/logout-all", token=other.token).status == 200
    assert not alice.is_logged_in_with(alice.first.token)
    assert not alice.is_logged_in_with(other.token)


def test_revoked_token_is_refused_by_another_process_after_its_next_refresh(
    isolated_services: SharedServices, alice: AuthClient
) -> None:
    other_process = create_web_application(isolated_services)
    access_tokens = other_process.web_services.access_tokens
    with other_process.flask_app.app_context():
        access_tokens.verify(alice.first.token)
        alice.post("/logout", token=alice.first.token)
        other_process.web_services.auth.revocations.refresh()
        with pytest.raises(Rejected):
            access_tokens.verify(alice.first.token)


def test_token_of_a_removed_account_is_revoked(
    isolated_application: WebApplication, alice: AuthClient, engine: Engine
) -> None:
    web_services = isolated_application.web_services
    with isolated_application.flask_app.app_context():
        claims = web_services.access_tokens.verify(alice.first.token)
        with engine.begin() as conn:
            conn.execute(text("delete from users"))
        web_services.auth.revocations.refresh()
        assert web_services.access_tokens.is_expired_or_revoked(claims)


def test_password_change_ends_all_other_sessions_and_sends_an_alert(
    alice: AuthClient, read_critical_texts: Callable[[Kind], list[str]]
) -> None:
    other = alice.log_in()
    body = {"currentPassword": PASSWORD, "newPassword": OTHER}
    assert alice.post("/password", body, token=other.token).status == 200
    assert (alice.is_logged_in_with(alice.first.token), alice.is_logged_in_with(other.token)) == (False, True)
    assert (alice.log_in().status, alice.log_in(OTHER).status) == (401, 200)
    assert [
        "password was changed" in alert_text for alert_text in read_critical_texts(Kind.SECURITY_ALERT)
    ] == [True]


@pytest.mark.parametrize(
    ("current", "new", "code"),
    [
        pytest.param("Wr0ng-one", OTHER, "wrong_password", id="wrong current password"),
        pytest.param(PASSWORD, "short", "invalid", id="invalid new password"),
    ],
)
def test_password_change_with_wrong_current_or_invalid_new_password_is_refused(
    alice: AuthClient, current: str, new: str, code: str
) -> None:
    body = {"currentPassword": current, "newPassword": new}
    response = alice.post("/password", body, token=alice.first.token)
    assert (response.status, response.code) == (400, code)
    assert alice.log_in().status == 200


def _reset_token(alice: AuthClient, read_critical_texts: Callable[[Kind], list[str]]) -> str:
    alice.post("/password/reset-request", {"email": "alice@example.org"})
    match = re.search(r"token=(\S+)", read_critical_texts(Kind.PASSWORD_RESET)[-1])
    assert match
    return match[1]


def test_reset_token_works_once_and_ends_all_sessions(
    alice: AuthClient, read_critical_texts: Callable[[Kind], list[str]]
) -> None:
    body = {"token": _reset_token(alice, read_critical_texts), "newPassword": OTHER}
    assert alice.post("/password/reset", body).status == 200
    assert alice.log_in(OTHER).status == 200
    assert not alice.is_logged_in_with(alice.first.token)
    assert alice.post("/password/reset", body).status == 400


def test_older_reset_token_is_refused_after_a_newer_request(
    alice: AuthClient, read_critical_texts: Callable[[Kind], list[str]]
) -> None:
    older = _reset_token(alice, read_critical_texts)
    _reset_token(alice, read_critical_texts)
    response = alice.post("/password/reset", {"token": older, "newPassword": OTHER})
    assert (response.status, response.code) == (400, "invalid_reset_token")


def test_reset_request_reveals_nothing_about_the_account(
    alice: AuthClient, read_critical_texts: Callable[[Kind], list[str]]
) -> None:
    known = alice.post("/password/reset-request", {"email": "alice@example.org"})
    unknown = alice.post("/password/reset-request", {"email": "nobody@example.org"})
    assert known == unknown
    assert len(read_critical_texts(Kind.PASSWORD_RESET)) == 1


def _code(alice: AuthClient, read_critical_texts: Callable[[Kind], list[str]]) -> str:
    assert alice.post("/otp/request", token=alice.first.token).status == 200
    match = re.search(r"\b\d{6}\b", read_critical_texts(Kind.OTP)[-1])
    assert match
    return match[0]


def test_code_is_accepted_once(alice: AuthClient, read_critical_texts: Callable[[Kind], list[str]]) -> None:
    body = {"code": _code(alice, read_critical_texts)}
    assert alice.post("/otp/verify", body, token=alice.first.token).status == 200
    assert alice.post("/otp/verify", body, token=alice.first.token).status == 400


def test_correct_code_is_refused_after_five_wrong_attempts(
    alice: AuthClient, read_critical_texts: Callable[[Kind], list[str]]
) -> None:
    code = _code(alice, read_critical_texts)
    wrong = {"code": "000000" if code != "000000" else "111111"}
    for _ in range(5):
        assert alice.post("/otp/verify", wrong, token=alice.first.token).status == 400
    assert alice.post("/otp/verify", {"code": code}, token=alice.first.token).status == 400


def test_follower_count_of_a_new_user_is_cached(alice: AuthClient, real_redis: redis.Redis) -> None:
    assert real_redis.get(f"follow:count:{alice.id}") == "0"


def test_log_out_everywhere_ends_the_page_session(isolated_app: Flask, alice: AuthClient) -> None:
    browser = isolated_app.test_client()
    sign_in(browser, "alice@example.org")
    assert browser.get("/notifications").status_code == 200
    alice.post("/logout-all", token=alice.first.token)
    assert browser.get("/notifications").headers["Location"].startswith("/login")
