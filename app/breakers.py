"""Breakers: after some failures in a row a service is taken to be away, and nobody waits for it.

In    whoever asks Redis, PostgreSQL, Kafka or DynamoDB, by stores/redis.py `speaking` and the like;
      streams/transports.py before the mail server and the SMS webhook
Out   Unavailable at once while a breaker is open; `states()` for /ready, /metrics, the heartbeats

The counting and the clock are the library's (circuitbreaker); it holds no lock during a call, so
that a thousand greenlets may ask at once (pybreaker's does, and lets one call through at a time).
Ours is what it lacks: one probe at a time, with an end of its own, since a probe that never returns
would else keep a breaker half-open for ever (resilience4j#903); and deafness for the late word of a
call that began before the last change of state.
"""

import time
from collections.abc import Callable
from types import TracebackType

import gevent
from circuitbreaker import STATE_CLOSED, STATE_OPEN, CircuitBreaker

from app.domain.errors import Unavailable
from app.outages import Outage

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
            self._breaker.failed(self._era, fault)
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
        self.outage = Outage(name, self._start_asking)
        """Begins with the first failure, here or where nobody asks the breaker."""
        self.configure(failures, reset_seconds)

    def configure(self, failures: int, reset_seconds: float) -> None:
        """Begins anew, closed."""
        self._failures = failures
        self._core = CircuitBreaker(failures, reset_seconds, Exception, self.name)
        self._era = 0
        self._prober: object = None
        self._probe_until = 0.0
        self.outage.forget()

    def watch(self, ask: Callable[[], object]) -> None:
        """From now on this question is the probe, asked aside during an outage; no call is. It
        raises while the service is away."""
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
        if era != self._era:
            return
        if self._core.failure_count:
            if self._core.state != STATE_CLOSED:
                self._turn()
            self._core.reset()
        if self.outage.ongoing:
            self.outage.answered()

    def failed(self, era: int, fault: BaseException) -> None:
        """It did not."""
        if era == self._era:
            self._fail(f"{type(fault).__name__}: {fault}", type(fault).__name__)

    def left(self, era: int) -> None:
        """Neither: the call ended by a fault that says nothing of the service."""
        if era == self._era:
            self._prober = None

    def answered(self) -> None:
        """The service answered a question that was asked beside this breaker."""
        self.passed(self._era)

    def _fail(self, reason: str, kind: str) -> None:
        self._core.__exit__(Unavailable, Unavailable(self.name), None)
        if self._core.state == STATE_OPEN:
            self._turn()
        self.outage.failed(reason, kind)

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
            # Should it return after all, nobody listens.
            self._fail("a probe never returned", "a probe never returned")
        return False

    def _start_asking(self) -> None:
        if self._ask is not None and not self._asking:
            self._asking = gevent.spawn(self._ask_until_it_answers)

    def _ask_until_it_answers(self) -> None:
        while self.state != CLOSED or self.outage.ongoing:
            gevent.sleep(ASK_EVERY_SECONDS)
            fault = self._probe()
            if fault is None:
                self.answered()
            elif self.state == CLOSED:
                # No call failed so often that the others should be refused.
                self.outage.failed(f"no answer to a probe: {fault}", f"probe: {fault}")
            else:
                self._fail(f"no answer to a probe: {fault}", f"probe: {fault}")

    def _probe(self) -> str | None:
        """The kind of fault, if it did not answer."""
        try:
            with gevent.Timeout(ASK_SECONDS, TimeoutError):
                if self._ask is not None:
                    self._ask()
        except Exception as fault:  # whatever a client raises: it did not answer
            return type(fault).__name__
        return None


REDIS, POSTGRES, KAFKA, DYNAMODB, EMAIL, SMS = ALL = (
    Breaker("redis"),
    Breaker("postgres"),
    Breaker("kafka"),
    Breaker("dynamodb"),
    Breaker("email"),
    Breaker("sms"),
)


def configure(failures: int, reset_seconds: float) -> None:
    """All of them, closed: by the settings, or by tests between two tests."""
    for one in ALL:
        one.configure(failures, reset_seconds)


_outages = {one.name: one.outage for one in ALL}


def outage_of(code: str) -> Outage | None:
    """The outage that an Unavailable with this code is part of; None for a refusal of another sort
    ("busy"), of which there is no outage."""
    service = code.partition("_")[0]
    if service not in _outages and code.endswith("_unavailable"):
        _outages[service] = Outage(service)  # the mail server and the like
    return _outages.get(service)


def states() -> dict[str, str]:
    """Of this process, by service."""
    return {one.name: one.state for one in ALL}


def worst(states: list[str]) -> str:
    """One word for several processes."""
    return next((one for one in (OPEN, HALF_OPEN) if one in states), CLOSED)
