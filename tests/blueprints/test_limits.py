"""How often somebody may try."""

from collections.abc import Callable
from ipaddress import ip_network

import pytest
import redis
from flask.testing import FlaskClient

from app.addresses import address_of, block_of
from app.limits import Limits, Rates, TooMany
from tests.blueprints.conftest import bearer
from tests.fakes import Clock

NOWHERE = "redis://127.0.0.1:1/0"
RATES = Rates(True, "5 per 15 minutes", "3 per hour", "4 per minute")


@pytest.fixture
def watch() -> Clock:
    return Clock()


@pytest.fixture
def limits(watch: Clock) -> Limits:
    """Redis is away: memory counts."""
    return Limits(RATES, NOWHERE, watch.now)


def passes(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except TooMany:
        return False
    return True


def test_the_sixth_failure_is_not_looked_at(limits: Limits) -> None:
    tries = [passes(lambda: limits.log_in("ann", "10.0.0.1")) for _ in range(6)]
    assert tries == [True] * 5 + [False]


def test_a_refusal_says_when_to_come_back(limits: Limits) -> None:
    for _ in range(5):
        limits.log_in("ann", "10.0.0.1")
    with pytest.raises(TooMany, match=r"Please try again in 15 minutes\.") as refused:
        limits.log_in("ann", "10.0.0.1")
    assert (refused.value.status, refused.value.retry_after) == (429, 900)


def test_success_is_no_failure(limits: Limits) -> None:
    for _ in range(30):
        limits.log_in("ann", "10.0.0.1")
        limits.log_in_worked("ann", "10.0.0.1")
    assert passes(lambda: limits.log_in("ann", "10.0.0.1"))


def test_one_address_cannot_shut_an_account_for_others(limits: Limits) -> None:
    for _ in range(100):
        passes(lambda: limits.log_in("ann", "10.0.0.1"))
    assert passes(lambda: limits.log_in("ann", "10.0.0.2"))


def test_twenty_failures_from_anywhere_shut_an_account(limits: Limits) -> None:
    tries = [passes(lambda n=n: limits.log_in("ann", f"10.0.0.{n}")) for n in range(21)]
    assert tries == [True] * 20 + [False]


def test_tries_at_shut_accounts_are_no_failures_of_an_address(watch: Clock) -> None:
    limits = Limits(Rates(True, "1 per minute", "1 per hour", "1 per hour"), NOWHERE, watch.now)
    shut = [f"user{n}" for n in range(11)]
    for account in shut:
        for n in range(4):
            limits.log_in(account, f"10.{account[4:]}.0.{n}")
    assert not any(passes(lambda one=one: limits.log_in(one, "9.9.9.9")) for one in shut)
    assert passes(lambda: limits.log_in("ann", "9.9.9.9"))


def test_fifty_failures_shut_an_address(limits: Limits) -> None:
    tries = [passes(lambda n=n: limits.log_in(f"user{n}", "10.0.0.1")) for n in range(51)]
    assert tries == [True] * 50 + [False]


def test_the_count_ends_with_its_time(limits: Limits, watch: Clock) -> None:
    for _ in range(6):
        passes(lambda: limits.log_in("ann", "10.0.0.1"))
    watch.forward(901)
    assert passes(lambda: limits.log_in("ann", "10.0.0.1"))


def test_switched_off_nothing_is_counted() -> None:
    off = Limits(Rates(False, "1 per hour", "1 per hour", "1 per hour"), NOWHERE, lambda: 0.0)
    for _ in range(100):
        off.log_in("ann", "10.0.0.1")
        off.register("10.0.0.1")
        off.write("ann")


@pytest.mark.service
def test_two_processes_count_together(environment: dict[str, str], real_redis: redis.Redis) -> None:
    clock = Clock()
    here, there = (Limits(RATES, environment["REDIS_URL"], clock.now) for _ in range(2))
    for _ in range(3):
        here.register("10.0.0.1")
    assert not passes(lambda: there.register("10.0.0.1"))
    assert all(0 < real_redis.ttl(name) <= 3600 for name in real_redis.scan_iter("LIMITS*"))


def test_too_many_writes_are_refused_with_the_time_to_wait(
    client: FlaskClient, user_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client.application.extensions["limits"], "_write_most", 2)
    path = f"/api/posts/{user_id}/like"
    answers = [client.put(path, headers=bearer(user_id)) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert int(answers[2].headers["Retry-After"]) == (answers[2].json or {})["retryAfter"] > 0


TRUSTED = (ip_network("10.0.0.0/8"),)


@pytest.mark.parametrize(
    ("remote", "forwarded", "trusted", "found"),
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
def test_where_a_request_comes_from(
    remote: str, forwarded: str, trusted: tuple[object, ...], found: str
) -> None:
    assert address_of(remote, forwarded, trusted) == found  # type: ignore[arg-type]


def test_a_whole_ipv6_network_counts_as_one() -> None:
    assert block_of("2001:db8::1") == block_of("2001:db8::ffff") != block_of("2001:db8:0:1::1")
