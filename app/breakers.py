"""Breakers: after some failures in a row a service is taken to be away, and nobody waits for it.

In    whoever asks Redis, PostgreSQL, Kafka or DynamoDB, by stores/redis.py `speaking` and the like
Out   Unavailable at once while a breaker is open; `states()` for /ready, /metrics, the heartbeats

The counting and the clock are the library's (circuitbreaker); it holds no lock during a call, so
that a thousand greenlets may ask at once (pybreaker's does, and lets one call through at a time).
Ours is what it lacks: one probe at a time, with an end of its own, since a probe that never returns
would else keep a breaker half-open for ever (resilience4j#903); and deafness for the late word of a
call that began before the last change of state.
"""

import logging
import time
from collections.abc import Callable
from types import TracebackType

import gevent
from circuitbreaker import STATE_CLOSED, STATE_OPEN, CircuitBreaker

from app.domain.errors import Unavailable

log = logging.getLogger(__name__)
CLOSED, OPEN, HALF_OPEN = STATES = ("closed", "open", "half-open")
PROBE_SECONDS = 10.0
ASK_SECONDS, ASK_EVERY_SECONDS = 1.0, 1.0
"""Who has a probe of its own (a ping, which nobody waits for) is asked more often than a call may
try: live push must be back within five seconds of Redis's return."""
Counts = Callable[[BaseException], bool]


class Passage:
    """One call through a breaker: `with breaker.passage(counts):`; nests within its own probe."""

    __slots__ = ("_breaker", "_counts", "_era")

    def __init__(self, breaker: "Breaker", counts: Counts) -> None:
        self._breaker, self._counts = breaker, counts
        self._era = 0

    def __enter__(self) -> None:
        self._era = self._breaker.admit()

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, _: TracebackType | None
    ) -> None:
        if fault is None:
            self._breaker.passed(self._era)
        elif self._counts(fault):
            self._breaker.failed(self._era)
        else:
            self._breaker.left(self._era)


class Breaker:
    """The trust of this process in one service."""

    def __init__(
        self,
        name: str,
        failures: int = 5,
        reset_seconds: float = 10.0,
        probe_seconds: float = PROBE_SECONDS,
    ) -> None:
        self.name = name
        self._probe_seconds = probe_seconds
        self._ask: Callable[[], object] | None = None
        self._asking: gevent.Greenlet[..., object] | None = None
        self.configure(failures, reset_seconds)

    def configure(self, failures: int, reset_seconds: float) -> None:
        """Begins anew, closed."""
        self._failures = failures
        self._core = CircuitBreaker(failures, reset_seconds, Exception, self.name)
        self._era = 0
        self._prober: object = None
        self._probe_until = 0.0

    def watch(self, ask: Callable[[], object]) -> None:
        """From now on this question is the probe, asked aside while the breaker is open; no call
        is. It raises while the service is away."""
        self._ask = ask

    def passage(self, counts: Counts) -> Passage:
        """`counts`: whether a fault says that the service is away. Entering raises Unavailable."""
        return Passage(self, counts)

    @property
    def state(self) -> str:
        return {STATE_CLOSED: CLOSED, STATE_OPEN: OPEN}.get(self._core.state, HALF_OPEN)

    def admit(self) -> int:
        """The era this call belongs to. Raises Unavailable."""
        if self._core.state != STATE_CLOSED:
            me = gevent.getcurrent()
            if self._prober is not me and not self._may_probe(me):
                raise Unavailable(
                    f"{self.name.capitalize()} is taken to be away", f"{self.name}_unavailable"
                )
        return self._era

    def passed(self, era: int) -> None:
        """The service answered."""
        if era == self._era and self._core.failure_count:
            if self._core.state != STATE_CLOSED:
                self._turn()
                log.warning("%s answers again", self.name)
            self._core.reset()

    def failed(self, era: int) -> None:
        """It did not."""
        if era == self._era:
            self._fail()

    def left(self, era: int) -> None:
        """Neither: the call ended by a fault that says nothing of the service."""
        if era == self._era:
            self._prober = None

    def answered(self) -> None:
        """The service answered a question that was asked beside this breaker."""
        self.passed(self._era)

    def _fail(self) -> None:
        fault = Unavailable(self.name)
        self._core.__exit__(Unavailable, fault, None)
        if self._core.state == STATE_OPEN:
            self._turn()
            # The counter goes on with each failed probe: one line is enough.
            if self._core.failure_count == self._failures:
                log.warning("%s is taken to be away", self.name)
            if self._ask is not None and not self._asking:
                self._asking = gevent.spawn(self._ask_until_it_answers)

    def _turn(self) -> None:
        self._era += 1
        self._prober = None

    def _may_probe(self, me: object) -> bool:
        """Whether this call is the probe."""
        if self._ask is not None or self._core.state == STATE_OPEN:
            return False
        now = time.monotonic()
        if self._prober is None:
            self._turn()
            self._prober, self._probe_until = me, now + self._probe_seconds
            return True
        if now >= self._probe_until:
            self._fail()  # it never returned; should it still, nobody listens
        return False

    def _ask_until_it_answers(self) -> None:
        while self.state != CLOSED:
            gevent.sleep(ASK_EVERY_SECONDS)
            if self._answers():
                self.answered()
            else:
                self._fail()

    def _answers(self) -> bool:
        try:
            with gevent.Timeout(ASK_SECONDS, TimeoutError):
                if self._ask is not None:
                    self._ask()
        except Exception as fault:  # whatever a client raises: it did not answer
            log.debug("%s stays away: %s", self.name, type(fault).__name__)
            return False
        return True


REDIS, POSTGRES, KAFKA, DYNAMODB = ALL = (
    Breaker("redis"),
    Breaker("postgres"),
    Breaker("kafka"),
    Breaker("dynamodb"),
)


def configure(failures: int, reset_seconds: float) -> None:
    """All of them, closed: by the settings, or by tests between two tests."""
    for one in ALL:
        one.configure(failures, reset_seconds)


def states() -> dict[str, str]:
    """Of this process, by service."""
    return {one.name: one.state for one in ALL}


def worst(states: list[str]) -> str:
    """One word for several processes."""
    return next((one for one in (OPEN, HALF_OPEN) if one in states), CLOSED)
