"""Accounts on real PostgreSQL and Redis: sessions, log-out, passwords, reset and one-time codes."""

import json
import re
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from app.bootstrap import SharedServices
from app.domain.errors import Rejected, Unavailable
from app.domain.events import Event, Kind
from app.domain.redaction import ENCRYPTED_BODY_KEY
from app.messaging.message_encryption import MessageEncryption
from app.web import WebApplication
from tests.support.web_application import create_web_application

pytestmark = pytest.mark.service
PASSWORD, OTHER = "Passw0rd", "An0ther-one"
HOME = {"User-Agent": "Firefox"}


@pytest.fixture
def client(isolated_app: Flask) -> FlaskClient:
    return isolated_app.test_client()


class AuthClient:
    """A registered user and the devices of the log-ins."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        body = {"email": "Alice@example.org", "username": "alice", "password": PASSWORD}
        self.first = self.says("/register", body)
        self.id: str = self.first.user["id"]

    def says(self, path: str, body: Any = None, token: str | None = None, **headers: str) -> Any:
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        response = self.client.post(f"/api/auth{path}", json=body or {}, headers=HOME | bearer | headers)
        return SimpleNamespace(status=response.status_code, **(response.json or {}))

    def logs_in(self, password: str = PASSWORD, **headers: str) -> Any:
        body = {"email": "alice@example.org", "password": password}
        return self.says("/login", body, **headers)

    def is_in(self, token: str) -> bool:
        response = self.client.get("/api/auth/me", headers={"Authorization": f"Bearer {token}"})
        return response.status_code == 200

    def refreshes(self, token: str) -> Any:
        return self.says("/refresh", {"refreshToken": token})


@pytest.fixture
def alice(client: FlaskClient) -> AuthClient:
    return AuthClient(client)


@pytest.fixture
def read_critical_texts(
    real_redis: redis.Redis, isolated_services: SharedServices
) -> Callable[[Kind], list[str]]:
    """The decrypted texts of the events in the critical shard."""

    def read_texts(kind: Kind) -> list[str]:
        entries: Any = real_redis.xrange("ingress:0")
        return [decrypt(fields) for _, fields in entries if fields["type"] == kind.value]

    def decrypt(fields: dict[str, str]) -> str:
        encrypted = json.loads(fields.get("metadata", "{}")).get(ENCRYPTED_BODY_KEY)
        secret = isolated_services.settings.web.secret_key
        return MessageEncryption(secret).decrypt(encrypted) if encrypted else fields["message"]

    return read_texts


def test_refresh_token_is_exchanged_for_the_next_one(alice: AuthClient) -> None:
    second = alice.refreshes(alice.first.refreshToken)
    assert second.status == 200
    assert alice.is_in(second.token)
    assert alice.refreshes(second.refreshToken).status == 200


def test_reused_refresh_token_ends_its_session(alice: AuthClient) -> None:
    second = alice.refreshes(alice.first.refreshToken)
    again = alice.refreshes(alice.first.refreshToken)
    assert (again.status, again.code) == (401, "invalid_token")
    assert alice.refreshes(second.refreshToken).status == 401
    assert not alice.is_in(second.token)


def test_reused_refresh_token_keeps_the_other_sessions(alice: AuthClient) -> None:
    other = alice.logs_in()
    alice.refreshes(alice.first.refreshToken)
    alice.refreshes(alice.first.refreshToken)
    assert alice.is_in(other.token)
    assert alice.refreshes(other.refreshToken).status == 200


def _wait_for_waiting(engine: Engine, min_count: int) -> None:
    """Waits until at least `min_count` statements wait for a lock."""
    deadline = time.monotonic() + 5
    waiting = text("select count(*) from pg_stat_activity where wait_event_type = 'Lock'")
    while time.monotonic() < deadline:
        with engine.connect() as sql:
            if sql.execute(waiting).scalar_one() >= min_count:
                return
        time.sleep(0.01)
    raise AssertionError("no statement waits for the lock")


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
        _wait_for_waiting(engine, 2)
    for thread in threads:
        thread.join()
    assert sorted(response.status_code for response in responses) == [200, 401]
    (refreshed,) = [response.json for response in responses if response.status_code == 200]
    assert alice.is_in(refreshed["token"])


def test_expired_refresh_token_is_refused(alice: AuthClient, engine: Engine) -> None:
    with engine.begin() as sql:
        sql.execute(text("update refresh_tokens set expires_at = now()"))
    assert alice.refreshes(alice.first.refreshToken).status == 401


def test_refresh_token_is_stored_hashed(alice: AuthClient, engine: Engine) -> None:
    with engine.connect() as sql:
        rows = sql.execute(text("select * from refresh_tokens")).all()
    assert len(rows) == 1
    assert alice.first.refreshToken not in str(rows)


def test_log_out_revokes_both_tokens_of_its_session(alice: AuthClient) -> None:
    assert alice.says("/logout", token=alice.first.token).status == 200
    assert not alice.is_in(alice.first.token)
    assert alice.refreshes(alice.first.refreshToken).status == 401


def test_log_out_with_foreign_refresh_token_keeps_that_session(alice: AuthClient) -> None:
    body = {"email": "bob@example.org", "username": "bob", "password": PASSWORD}
    bob = alice.says("/register", body)
    alice.says("/logout", {"refreshToken": alice.first.refreshToken}, token=bob.token)
    assert alice.is_in(alice.first.token)


def test_log_out_everywhere_ends_every_session(alice: AuthClient) -> None:
    other = alice.logs_in()
    assert alice.says("/logout-all", token=other.token).status == 200
    assert not alice.is_in(alice.first.token)
    assert not alice.is_in(other.token)


def test_revoked_token_is_refused_by_another_process_after_its_next_refresh(
    isolated_services: SharedServices, alice: AuthClient
) -> None:
    other_process = create_web_application(isolated_services)
    access_tokens = other_process.web_services.access_tokens
    with other_process.flask_app.app_context():
        access_tokens.verify(alice.first.token)
        alice.says("/logout", token=alice.first.token)
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
    other = alice.logs_in()
    body = {"currentPassword": PASSWORD, "newPassword": OTHER}
    assert alice.says("/password", body, token=other.token).status == 200
    assert (alice.is_in(alice.first.token), alice.is_in(other.token)) == (False, True)
    assert (alice.logs_in().status, alice.logs_in(OTHER).status) == (401, 200)
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
    response = alice.says("/password", body, token=alice.first.token)
    assert (response.status, response.code) == (400, code)
    assert alice.logs_in().status == 200


def _reset_token(alice: AuthClient, read_critical_texts: Callable[[Kind], list[str]]) -> str:
    alice.says("/password/reset-request", {"email": "alice@example.org"})
    match = re.search(r"token=(\S+)", read_critical_texts(Kind.PASSWORD_RESET)[-1])
    assert match
    return match[1]


def test_reset_token_works_once_and_ends_all_sessions(
    alice: AuthClient, read_critical_texts: Callable[[Kind], list[str]]
) -> None:
    body = {"token": _reset_token(alice, read_critical_texts), "newPassword": OTHER}
    assert alice.says("/password/reset", body).status == 200
    assert alice.logs_in(OTHER).status == 200
    assert not alice.is_in(alice.first.token)
    assert alice.says("/password/reset", body).status == 400


def test_older_reset_token_is_refused_after_a_newer_request(
    alice: AuthClient, read_critical_texts: Callable[[Kind], list[str]]
) -> None:
    older = _reset_token(alice, read_critical_texts)
    _reset_token(alice, read_critical_texts)
    response = alice.says("/password/reset", {"token": older, "newPassword": OTHER})
    assert (response.status, response.code) == (400, "invalid_reset_token")


def test_reset_request_reveals_nothing_about_the_account(
    alice: AuthClient, read_critical_texts: Callable[[Kind], list[str]]
) -> None:
    known = alice.says("/password/reset-request", {"email": "alice@example.org"})
    unknown = alice.says("/password/reset-request", {"email": "nobody@example.org"})
    assert known == unknown
    assert len(read_critical_texts(Kind.PASSWORD_RESET)) == 1


def _code(alice: AuthClient, read_critical_texts: Callable[[Kind], list[str]]) -> str:
    assert alice.says("/otp/request", token=alice.first.token).status == 200
    match = re.search(r"\b\d{6}\b", read_critical_texts(Kind.OTP)[-1])
    assert match
    return match[0]


def test_code_is_accepted_once(alice: AuthClient, read_critical_texts: Callable[[Kind], list[str]]) -> None:
    body = {"code": _code(alice, read_critical_texts)}
    assert alice.says("/otp/verify", body, token=alice.first.token).status == 200
    assert alice.says("/otp/verify", body, token=alice.first.token).status == 400


def test_correct_code_is_refused_after_five_wrong_attempts(
    alice: AuthClient, read_critical_texts: Callable[[Kind], list[str]]
) -> None:
    code = _code(alice, read_critical_texts)
    wrong = {"code": "000000" if code != "000000" else "111111"}
    for _ in range(5):
        assert alice.says("/otp/verify", wrong, token=alice.first.token).status == 400
    assert alice.says("/otp/verify", {"code": code}, token=alice.first.token).status == 400


def test_code_is_not_stored_in_clear(
    alice: AuthClient, engine: Engine, read_critical_texts: Callable[[Kind], list[str]]
) -> None:
    code = _code(alice, read_critical_texts)
    with engine.connect() as sql:
        rows = sql.execute(text("select * from one_time_tokens")).mappings().all()
    assert rows
    assert code not in [str(value) for row in rows for value in row.values()]


CHROME = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36"
)
EDGE = CHROME + " Edg/120.0.0.0"


@pytest.mark.parametrize(
    ("user_agents", "alert_count"),
    [
        pytest.param(["Firefox"], 0, id="the device of the registration"),
        pytest.param(["Lynx", "Lynx"], 1, id="a new device twice"),
        pytest.param([CHROME.format(120), CHROME.format(141)], 1, id="an updated browser"),
        pytest.param([CHROME.format(120), EDGE.format(120)], 2, id="another browser"),
        pytest.param(["", ""], 1, id="no user agent"),
    ],
)
def test_log_in_from_a_new_device_sends_an_alert(
    alice: AuthClient,
    read_critical_texts: Callable[[Kind], list[str]],
    user_agents: list[str],
    alert_count: int,
) -> None:
    for agent in user_agents:
        alice.client.delete_cookie("device")
        assert alice.logs_in(**{"User-Agent": agent}).status == 200
    assert len(set(read_critical_texts(Kind.SECURITY_ALERT))) == alert_count


def test_alert_names_browser_system_and_network_only(
    alice: AuthClient, read_critical_texts: Callable[[Kind], list[str]]
) -> None:
    alice.logs_in(**{"User-Agent": CHROME.format(120)})
    [alert_text] = read_critical_texts(Kind.SECURITY_ALERT)
    assert alert_text.startswith("New log-in: Chrome on Linux, near 127.0.0.0/24.")
    assert "Mozilla" not in alert_text


@pytest.fixture
def trusted_proxy_and_limits(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """X-Forwarded-For is trusted and rate limits are on. Set before the application is built."""
    monkeypatch.setitem(environment, "TRUSTED_PROXIES", "127.0.0.1")
    monkeypatch.setitem(environment, "RATE_LIMIT_ENABLED", "true")


def _from(address: str, agent: str) -> dict[str, str]:
    return {"X-Forwarded-For": address, "User-Agent": agent}


def test_known_device_from_a_new_network_sends_no_alert_and_an_unknown_one_does(
    trusted_proxy_and_limits: None,
    alice: AuthClient,
    read_critical_texts: Callable[[Kind], list[str]],
) -> None:
    at_home, away = (_from(address, CHROME.format(120)) for address in ("192.0.2.1", "198.51.100.1"))
    alice.client.delete_cookie("device")
    alice.logs_in(**at_home)
    alice.logs_in(**_from("192.0.2.200", CHROME.format(121)))  # the same /24
    assert len(read_critical_texts(Kind.SECURITY_ALERT)) == 1
    alice.logs_in(**away)
    assert len(read_critical_texts(Kind.SECURITY_ALERT)) == 1

    alice.logs_in(**_from("203.0.113.1", EDGE.format(120)))  # a copied cookie
    alice.client.delete_cookie("device")
    alice.logs_in(**_from("203.0.113.200", CHROME.format(120)))

    assert len(read_critical_texts(Kind.SECURITY_ALERT)) == 3


def _fail_from_many_addresses(isolated_app: Flask, first: int = 0) -> list[int]:
    """Statuses of wrong log-ins from 22 addresses, more than the limit for unknown devices."""
    stranger = isolated_app.test_client()
    body = {"email": "alice@example.org", "password": "Wr0ng-one"}
    return [
        stranger.post(
            "/api/auth/login", json=body, headers=_from(f"203.0.113.{n}", CHROME.format(120))
        ).status_code
        for n in range(first, first + 22)
    ]


def test_unknown_devices_are_rate_limited_without_affecting_known_ones(
    trusted_proxy_and_limits: None, isolated_app: Flask, alice: AuthClient
) -> None:
    assert _fail_from_many_addresses(isolated_app) == [401] * 20 + [429] * 2
    body = {"email": "alice@example.org", "password": PASSWORD}

    def statuses(client: FlaskClient, **headers: str) -> int:
        return client.post("/api/auth/login", json=body, headers=headers).status_code

    new = isolated_app.test_client()
    assert statuses(new, **_from("192.0.2.9", CHROME.format(120))) == 429
    assert statuses(alice.client, **_from("192.0.2.9", CHROME.format(120))) == 200  # its cookie
    assert statuses(new, **_from("127.0.0.9", "Firefox")) == 200  # browser and network


def test_known_device_has_its_own_rate_limit(trusted_proxy_and_limits: None, alice: AuthClient) -> None:
    statuses = [alice.logs_in("Wr0ng-one").status for _ in range(6)]
    assert statuses == [401] * 5 + [429]
    assert alice.logs_in().status == 429


def test_device_cookie_of_one_account_does_not_lift_the_limit_of_another(
    trusted_proxy_and_limits: None, isolated_app: Flask, alice: AuthClient
) -> None:
    eve = isolated_app.test_client()
    body = {"email": "eve@example.org", "username": "eve", "password": PASSWORD}
    eve.post("/api/auth/register", json=body, headers=_from("203.0.113.1", CHROME.format(120)))
    _fail_from_many_addresses(isolated_app)
    response = eve.post(
        "/api/auth/login",
        json={"email": "alice@example.org", "password": PASSWORD},
        headers=_from("203.0.113.1", CHROME.format(120)),
    )
    assert response.status_code == 429


@pytest.fixture(params=["testing", "production"])
def app_mode(
    request: pytest.FixtureRequest, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> str:
    """Set before the application is built."""
    monkeypatch.setitem(environment, "APP_MODE", request.param)
    return str(request.param)


def test_device_cookie_is_http_only_and_same_site(app_mode: str, alice: AuthClient) -> None:
    body = {"email": "alice@example.org", "password": PASSWORD}
    response = alice.client.post("/api/auth/login", json=body, headers=HOME)
    [cookie] = [header for header in response.headers.getlist("Set-Cookie") if header.startswith("device=")]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert ("Secure" in cookie) is (app_mode == "production")


def test_follower_count_of_a_new_user_is_cached(alice: AuthClient, real_redis: redis.Redis) -> None:
    assert real_redis.get(f"follow:count:{alice.id}") == "0"


def test_log_out_everywhere_ends_the_page_session(isolated_app: Flask, alice: AuthClient) -> None:
    browser = isolated_app.test_client()
    form = browser.get("/login").get_data(as_text=True)
    csrf = re.search(r'name="csrf" value="([^"]+)"', form)
    assert csrf
    fields = {"csrf": csrf[1], "email": "alice@example.org", "password": PASSWORD}
    assert browser.post("/login", data=fields).status_code == 303
    assert browser.get("/notifications").status_code == 200
    alice.says("/logout-all", token=alice.first.token)
    assert browser.get("/notifications").headers["Location"].startswith("/login")


def test_log_in_succeeds_and_keeps_the_device_unknown_if_the_alert_cannot_be_sent(
    isolated_services: SharedServices, alice: AuthClient, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raise_unavailable(event: Event) -> None:
        raise Unavailable("Redis is unavailable")

    monkeypatch.setattr(isolated_services.actions, "publish_event", raise_unavailable)
    assert alice.logs_in(**{"User-Agent": "Lynx"}).status == 200
    with engine.connect() as sql:
        assert sql.execute(text("select count(*) from known_devices")).scalar() == 1
