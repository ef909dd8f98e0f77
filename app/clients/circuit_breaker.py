"""Circuit breakers: after some consecutive failures, calls to a service raise Unavailable at once.

Used by translate_errors() of the clients and by the transports in app/delivery/; `breaker_states()` is for
/ready, /metrics and the heartbeats. An open breaker is closed by a ping in the background, or, for a service
without one, by a call that it lets through after `reset_seconds`. The results of calls that began before the
last change of state are ignored.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gevent

from app.clients.outage_log import Outage
from app.domain.errors import RedisUnavailable, Unavailable

CLOSED, OPEN, HALF_OPEN = STATES = ("closed", "open", "half-open")
PROBE_TIMEOUT_SECONDS = 10.0
"""After this, another call may probe: the previous one may never return."""
PING_TIMEOUT_SECONDS, PING_INTERVAL_SECONDS = 1.0, 1.0
"""A ping in the background may run more often than a call may probe: live push must be back within five
seconds after Redis recovered."""
IsFailure = Callable[[BaseException], bool]


class Breaker:
    """The circuit breaker of this process for one service. It holds no lock during a call."""

    def __init__(
        self,
        name: str,
        failure_threshold: int = 5,
        reset_seconds: float = 10.0,
        probe_timeout_seconds: float = PROBE_TIMEOUT_SECONDS,
        create_error: Callable[[str], Unavailable] | None = None,
    ) -> None:
        self.name = name
        self._create_error = create_error or (lambda message: Unavailable(message, f"{name}_unavailable"))
        self._probe_timeout_seconds = probe_timeout_seconds
        self._ping: Callable[[], object] | None = None
        self._ping_greenlet: gevent.Greenlet[..., object] | None = None
        self.outage = Outage(name, self._start_pinging)
        """Begins with the first failure, also with one that was not a call through this breaker."""
        self.set_limits_and_reset(failure_threshold, reset_seconds)

    def set_limits_and_reset(self, failure_threshold: int, reset_seconds: float) -> None:
        """Sets the limits and resets the breaker to closed."""
        self._failure_threshold, self._reset_seconds = failure_threshold, reset_seconds
        self._failure_count = self._state_version = 0
        self._next_probe_at = 0.0
        self.outage.reset()

    def set_probe(self, ping: Callable[[], object]) -> None:
        """Makes `ping` the probe, run in the background during an outage, instead of a call. It raises while
        the service is unavailable."""
        self._ping = ping

    @contextmanager
    def guard_call(self, is_failure: IsFailure) -> Iterator[None]:
        """`is_failure`: whether an error means that the service is unavailable. Entering raises
        Unavailable."""
        state_version = self.admit_call()
        try:
            yield
        except BaseException as exc:
            if is_failure(exc):
                self.on_failure(state_version, exc)
            else:
                self.on_unrelated_error(state_version)
            raise
        self.on_success(state_version)

    @property
    def state(self) -> str:
        if self._failure_count < self._failure_threshold:
            return CLOSED
        may_probe = self._ping is None and time.monotonic() >= self._next_probe_at
        return HALF_OPEN if may_probe else OPEN

    def admit_call(self) -> int:
        """Returns the state version to pass to on_success() and so on. Raises Unavailable."""
        state = self.state
        if state == OPEN:
            raise self._create_error(f"{self.name.capitalize()} is unavailable (circuit breaker open)")
        if state == HALF_OPEN:
            self._state_version += 1
            self._next_probe_at = time.monotonic() + self._probe_timeout_seconds
        return self._state_version

    def on_success(self, state_version: int) -> None:
        """The call succeeded."""
        if state_version != self._state_version:
            return
        if self._failure_count >= self._failure_threshold:
            self._state_version += 1
        self._failure_count = 0
        if self.outage.is_ongoing:
            self.outage.record_success()

    def on_failure(self, state_version: int, exc: BaseException) -> None:
        """The call failed because of the service."""
        if state_version != self._state_version:
            return
        self._failure_count += 1
        if self._failure_count >= self._failure_threshold:
            self._state_version += 1
            self._next_probe_at = time.monotonic() + self._reset_seconds
        self.outage.record_failure(f"{type(exc).__name__}: {exc}", type(exc).__name__)

    def on_unrelated_error(self, state_version: int) -> None:
        """The call ended with an error that is not the service's: if it was the probe, the next call is."""
        if state_version == self._state_version:
            self._next_probe_at = 0.0

    def record_outside_success(self) -> None:
        """A call that did not go through this breaker succeeded."""
        self.on_success(self._state_version)

    def _start_pinging(self) -> None:
        if self._ping is not None and not self._ping_greenlet:
            self._ping_greenlet = gevent.spawn(self._ping_until_recovered, self._ping)

    def _ping_until_recovered(self, ping: Callable[[], object]) -> None:
        while self.state != CLOSED or self.outage.is_ongoing:
            gevent.sleep(PING_INTERVAL_SECONDS)
            try:
                with gevent.Timeout(PING_TIMEOUT_SECONDS, TimeoutError):
                    ping()
            except Exception as exc:  # clients raise many types
                kind = type(exc).__name__
                self.outage.record_failure(f"probe failed: {kind}", f"probe: {kind}")
            else:
                self.record_outside_success()


REDIS, POSTGRES, KAFKA, DYNAMODB, EMAIL, SMS = ALL_BREAKERS = (
    Breaker("redis", create_error=RedisUnavailable),
    Breaker("postgres"),
    Breaker("kafka"),
    Breaker("dynamodb"),
    Breaker("email"),
    Breaker("sms"),
)


def configure_all_breakers(failure_threshold: int, reset_seconds: float) -> None:
    """Sets the limits of all breakers and resets them to closed."""
    for breaker in ALL_BREAKERS:
        breaker.set_limits_and_reset(failure_threshold, reset_seconds)


_outages_by_service = {breaker.name: breaker.outage for breaker in ALL_BREAKERS}


def outage_for_error_code(code: str) -> Outage | None:
    """The outage that an Unavailable with this code belongs to; None for codes such as "busy", which do not
    mean that a service is unavailable."""
    service = code.partition("_")[0]
    if service not in _outages_by_service and code.endswith("_unavailable"):
        _outages_by_service[service] = Outage(service)  # services without a breaker
    return _outages_by_service.get(service)


def breaker_states() -> dict[str, str]:
    """The states of all breakers of this process, by service."""
    return {breaker.name: breaker.state for breaker in ALL_BREAKERS}


def most_degraded_breaker_state(states: list[str]) -> str:
    """The worst of the states of several processes."""
    return next((state for state in (OPEN, HALF_OPEN) if state in states), CLOSED)
