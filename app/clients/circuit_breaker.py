"""Circuit breakers: after some consecutive failures, calls to a service raise Unavailable at once.

Used by translate_errors() of the clients and by the transports in app/delivery/; `breaker_states()` is for
/ready, /metrics and the heartbeats.

The library circuitbreaker counts and keeps the time; it holds no lock during a call, so that many greenlets
can call at once (pybreaker lets one call through at a time). Added here: one probe at a time, with a timeout,
because a probe that never returns would keep the breaker half-open for ever (resilience4j#903); and the
results of calls that began before the last change of state are ignored.
"""

import time
from collections.abc import Callable
from types import TracebackType

import gevent
from circuitbreaker import STATE_CLOSED, STATE_OPEN, CircuitBreaker

from app.clients.outage_log import Outage
from app.domain.errors import RedisUnavailable, Unavailable

CLOSED, OPEN, HALF_OPEN = STATES = ("closed", "open", "half-open")
PROBE_TIMEOUT_SECONDS = 10.0
PING_TIMEOUT_SECONDS, PING_INTERVAL_SECONDS = 1.0, 1.0
"""A ping in the background may run more often than a call may probe: live push must be back within five
seconds after Redis recovered."""
IsFailure = Callable[[BaseException], bool]


class BreakerCallGuard:
    """One call through a breaker: `with breaker.guard_call(is_failure):`. A probe may contain further
    calls."""

    __slots__ = ("_breaker", "_is_failure", "_state_version")

    def __init__(self, breaker: "Breaker", is_failure: IsFailure) -> None:
        self._breaker, self._is_failure = breaker, is_failure
        self._state_version = 0

    def __enter__(self) -> None:
        self._state_version = self._breaker.admit_call()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        _: TracebackType | None,
    ) -> None:
        if exc is None:
            self._breaker.on_success(self._state_version)
        elif self._is_failure(exc):
            self._breaker.on_failure(self._state_version, exc)
        else:
            self._breaker.on_unrelated_error(self._state_version)


class Breaker:
    """The circuit breaker of this process for one service."""

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
        self._failure_threshold = failure_threshold
        self._library_breaker = CircuitBreaker(failure_threshold, reset_seconds, Exception, self.name)
        self._state_version = 0
        self._half_open_owner: object = None
        self._probe_deadline = 0.0
        self.outage.reset()

    def set_probe(self, ping: Callable[[], object]) -> None:
        """Makes `ping` the probe, run in the background during an outage, instead of a call. It raises while
        the service is unavailable."""
        self._ping = ping

    def guard_call(self, is_failure: IsFailure) -> BreakerCallGuard:
        """`is_failure`: whether an error means that the service is unavailable. Entering raises
        Unavailable."""
        return BreakerCallGuard(self, is_failure)

    @property
    def state(self) -> str:
        return {STATE_CLOSED: CLOSED, STATE_OPEN: OPEN}.get(self._library_breaker.state, HALF_OPEN)

    def admit_call(self) -> int:
        """Returns the state version to pass to on_success() and so on. Raises Unavailable."""
        if self._library_breaker.state != STATE_CLOSED:
            greenlet = gevent.getcurrent()
            if self._half_open_owner is not greenlet and not self._try_become_probe(greenlet):
                raise self._create_error(f"{self.name.capitalize()} is unavailable (circuit breaker open)")
        return self._state_version

    def on_success(self, state_version: int) -> None:
        """The call succeeded."""
        if state_version != self._state_version:
            return
        if self._library_breaker.failure_count:
            if self._library_breaker.state != STATE_CLOSED:
                self._bump_state_version()
            self._library_breaker.reset()
        if self.outage.is_ongoing:
            self.outage.record_success()

    def on_failure(self, state_version: int, exc: BaseException) -> None:
        """The call failed because of the service."""
        if state_version == self._state_version:
            self._record_failure(f"{type(exc).__name__}: {exc}", type(exc).__name__)

    def on_unrelated_error(self, state_version: int) -> None:
        """The call ended with an error that is not the service's."""
        if state_version == self._state_version:
            self._half_open_owner = None

    def record_outside_success(self) -> None:
        """A call that did not go through this breaker succeeded."""
        self.on_success(self._state_version)

    def _record_failure(self, reason: str, failure_kind: str) -> None:
        self._library_breaker.__exit__(Unavailable, Unavailable(self.name), None)
        if self._library_breaker.state == STATE_OPEN:
            self._bump_state_version()
        self.outage.record_failure(reason, failure_kind)

    def _bump_state_version(self) -> None:
        self._state_version += 1
        self._half_open_owner = None

    def _try_become_probe(self, greenlet: object) -> bool:
        """Whether the current call becomes the probe."""
        if self._ping is not None or self._library_breaker.state == STATE_OPEN:
            return False
        now = time.monotonic()
        if self._half_open_owner is None:
            self._bump_state_version()
            self._half_open_owner, self._probe_deadline = (
                greenlet,
                now + self._probe_timeout_seconds,
            )
            return True
        if now >= self._probe_deadline:
            # If it returns after all, its result is ignored.
            self._record_failure("a probe timed out", "a probe timed out")
        return False

    def _start_pinging(self) -> None:
        if self._ping is not None and not self._ping_greenlet:
            self._ping_greenlet = gevent.spawn(self._ping_until_recovered)

    def _ping_until_recovered(self) -> None:
        while self.state != CLOSED or self.outage.is_ongoing:
            gevent.sleep(PING_INTERVAL_SECONDS)
            failure_kind = self._ping_and_get_error_name()
            if failure_kind is None:
                self.record_outside_success()
            elif self.state == CLOSED:
                # Too few calls failed to open the breaker.
                self.outage.record_failure(f"probe failed: {failure_kind}", f"probe: {failure_kind}")
            else:
                self._record_failure(f"probe failed: {failure_kind}", f"probe: {failure_kind}")

    def _ping_and_get_error_name(self) -> str | None:
        """The name of the error; None after a success."""
        try:
            with gevent.Timeout(PING_TIMEOUT_SECONDS, TimeoutError):
                if self._ping is not None:
                    self._ping()
        except Exception as exc:  # clients raise many types
            return type(exc).__name__
        return None


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
