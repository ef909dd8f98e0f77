"""Rate limits of log-ins, registrations and writes."""

import time
from collections.abc import Callable
from functools import partial
from ipaddress import ip_network

import pytest
import redis
from flask.testing import FlaskClient

from app.accounts.rate_limits import RateLimited, RateLimits
from app.clients.client_ip import client_ip, rate_limit_ip_or_subnet
from app.settings import RateLimitRules
from app.web import WebApplication
from tests.support.fake_app import auth_header
from tests.support.fakes import ManualClock

NOWHERE = "redis://127.0.0.1:1/0"
RATES = RateLimitRules(True, "5 per 15 minutes", "3 per hour", "4 per minute")


@pytest.fixture
def manual_clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def rate_limits(manual_clock: ManualClock) -> RateLimits:
    """With an unreachable Redis, so that attempts are counted in memory."""
    return RateLimits(RATES, NOWHERE, manual_clock.now)


def is_allowed(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except RateLimited:
        return False
    return True


def test_sixth_log_in_attempt_is_refused(rate_limits: RateLimits) -> None:
    attempts = [is_allowed(lambda: rate_limits.count_login_attempt("ann", "10.0.0.1")) for _ in range(6)]
    assert attempts == [True] * 5 + [False]


def test_rate_limit_error_has_retry_after(rate_limits: RateLimits) -> None:
    for _ in range(5):
        rate_limits.count_login_attempt("ann", "10.0.0.1")
    with pytest.raises(RateLimited, match=r"Please try again in 15 minutes\.") as refused:
        rate_limits.count_login_attempt("ann", "10.0.0.1")
    assert (refused.value.status, refused.value.retry_after_seconds) == (429, 900)


def test_refunded_attempt_is_not_counted(rate_limits: RateLimits) -> None:
    for _ in range(30):
        rate_limits.count_login_attempt("ann", "10.0.0.1")
        rate_limits.refund_login_attempt("ann", "10.0.0.1")
    assert is_allowed(lambda: rate_limits.count_login_attempt("ann", "10.0.0.1"))


def test_one_address_cannot_lock_an_account_for_others(rate_limits: RateLimits) -> None:
    for _ in range(100):
        is_allowed(lambda: rate_limits.count_login_attempt("ann", "10.0.0.1"))
    assert is_allowed(lambda: rate_limits.count_login_attempt("ann", "10.0.0.2"))


def test_twenty_failures_from_anywhere_lock_an_account(rate_limits: RateLimits) -> None:
    attempts = [is_allowed(partial(rate_limits.count_login_attempt, "ann", f"10.0.0.{n}")) for n in range(21)]
    assert attempts == [True] * 20 + [False]


def test_attempts_at_locked_accounts_do_not_count_for_the_address(
    manual_clock: ManualClock,
) -> None:
    limits = RateLimits(
        RateLimitRules(True, "1 per minute", "1 per hour", "1 per hour"), NOWHERE, manual_clock.now
    )
    locked_accounts = [f"user{n}" for n in range(11)]
    for account in locked_accounts:
        for n in range(4):
            limits.count_login_attempt(account, f"10.{account[4:]}.0.{n}")
    assert not any(
        is_allowed(partial(limits.count_login_attempt, account, "9.9.9.9")) for account in locked_accounts
    )
    assert is_allowed(lambda: limits.count_login_attempt("ann", "9.9.9.9"))


def test_fifty_failures_lock_an_address(rate_limits: RateLimits) -> None:
    attempts = [
        is_allowed(partial(rate_limits.count_login_attempt, f"user{n}", "10.0.0.1")) for n in range(51)
    ]
    assert attempts == [True] * 50 + [False]


def test_failure_count_expires(rate_limits: RateLimits, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(6):
        is_allowed(lambda: rate_limits.count_login_attempt("ann", "10.0.0.1"))
    in_fifteen_minutes = time.time() + 901
    monkeypatch.setattr("time.time", lambda: in_fifteen_minutes)  # the clock of the library's counters
    assert is_allowed(lambda: rate_limits.count_login_attempt("ann", "10.0.0.1"))


def test_code_requests_of_a_limited_account_do_not_count_for_the_address(rate_limits: RateLimits) -> None:
    for _ in range(100):
        is_allowed(lambda: rate_limits.count_code_or_reset_request("otp", "ann", "10.0.0.1"))
    assert is_allowed(lambda: rate_limits.count_code_or_reset_request("otp", "bob", "10.0.0.1"))


def test_no_attempt_is_refused_when_limits_are_disabled() -> None:
    off = RateLimits(RateLimitRules(False, "1 per hour", "1 per hour", "1 per hour"), NOWHERE, lambda: 0.0)
    for _ in range(100):
        off.count_login_attempt("ann", "10.0.0.1")
        off.count_registration("10.0.0.1")
        off.count_write_request("ann")


@pytest.mark.service
def test_attempts_at_two_processes_are_counted_together(
    environment: dict[str, str], real_redis: redis.Redis
) -> None:
    clock = ManualClock()
    first_process, second_process = (RateLimits(RATES, environment["REDIS_URL"], clock.now) for _ in range(2))
    for _ in range(3):
        first_process.count_registration("10.0.0.1")
    assert not is_allowed(lambda: second_process.count_registration("10.0.0.1"))
    assert all(0 < real_redis.ttl(name) <= 3600 for name in real_redis.scan_iter("LIMITS*"))


def test_excess_writes_are_refused_with_retry_after(
    web_application: WebApplication, client: FlaskClient, user_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_application.web_services.auth.rate_limits, "_max_writes", 2)
    path = f"/api/posts/{user_id}/like"
    responses = [client.put(path, headers=auth_header(user_id)) for _ in range(3)]
    assert [response.status_code for response in responses] == [200, 200, 429]
    assert int(responses[2].headers["Retry-After"]) == (responses[2].json or {})["retryAfter"] > 0


TRUSTED = (ip_network("10.0.0.0/8"),)


@pytest.mark.parametrize(
    ("remote", "forwarded", "trusted", "expected_ip"),
    [
        pytest.param("9.9.9.9", "1.1.1.1", (), "9.9.9.9", id="nobody is trusted"),
        pytest.param("9.9.9.9", "1.1.1.1", TRUSTED, "9.9.9.9", id="not from our proxy"),
        pytest.param("10.0.0.1", "1.1.1.1", TRUSTED, "1.1.1.1", id="from our proxy"),
        pytest.param("10.0.0.1", "6.6.6.6, 1.1.1.1", TRUSTED, "1.1.1.1", id="with a forged hop"),
        pytest.param("10.0.0.1", "1.1.1.1, 10.2.2.2", TRUSTED, "1.1.1.1", id="two proxies"),
        pytest.param("10.0.0.1", "nonsense", TRUSTED, "10.0.0.1", id="nonsense"),
        pytest.param("10.0.0.1", "", TRUSTED, "10.0.0.1", id="nothing"),
    ],
)
def test_client_ip_is_read_from_trusted_proxies(
    remote: str, forwarded: str, trusted: tuple[object, ...], expected_ip: str
) -> None:
    assert client_ip(remote, forwarded, trusted) == expected_ip  # type: ignore[arg-type]


def test_ipv6_network_counts_as_one_address() -> None:
    assert (
        rate_limit_ip_or_subnet("2001:db8::1")
        == rate_limit_ip_or_subnet("2001:db8::ffff")
        != rate_limit_ip_or_subnet("2001:db8:0:1::1")
    )
