"""The life every worker shares: prepare, step, rest, report, stop when asked."""

import logging
import random
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import gevent
from gevent.event import Event

from app import breakers
from app.domain.errors import Unavailable
from app.domain.pacing import backoff
from app.outages import Outage

log = logging.getLogger(__name__)
STEP_SECONDS = 100.0
"""Above twice what PostgreSQL is waited for: a step that takes longer hangs in some library."""
GRACE_SECONDS = 3.0
CLOSE_SECONDS = 0.8
"""honcho kills after five; the contract wants four."""


class Stuck(Exception):
    """A step did not end in time."""


def _nothing() -> None:
    return None


@dataclass
class Worker:
    """`step` does one bounded batch and answers how much it moved; 0 means rest."""

    name: str
    step: Callable[[], int]
    rest: Callable[[], float]
    beat: Callable[[str], object]
    prepare: Callable[[], object] = _nothing
    close: Callable[[], object] = _nothing
    stopping: Event = field(default_factory=Event)
    faults: int = 0
    outage: Outage = field(init=False)
    """What keeps this loop alone from its work."""

    def __post_init__(self) -> None:
        self.outage = Outage(self.name)

    def run(self) -> None:
        """Until asked to stop. An absent service is waited for, with a growing, drawn pause."""
        prepared = False
        while not self.stopping.is_set():
            self.beat(self.name)
            try:
                if not prepared:
                    self.prepare()
                    prepared = True
                with gevent.Timeout(STEP_SECONDS, Stuck):
                    moved = self.step()
                pause = 0.0 if moved else self.rest()
                self.faults = 0
                self.outage.answered()
            except Unavailable as fault:
                outage = breakers.outage_of(fault.code) or self.outage
                outage.failed(f"{self.name} rests: {fault}", f"{self.name} rests")
                pause = self._pause()
            except Stuck:
                log.exception("%s hangs: it begins again with new clients", self.name)
                self._begin_again()
                pause = self._pause()
            except Exception as fault:
                # A bug, or a library's word we do not know. Nothing was acknowledged, so trying
                # again is safe; ending would end every process beside us (honcho), which helps
                # nobody.
                kind, line = type(fault).__name__, traceback.extract_tb(fault.__traceback__)[-1]
                self.outage.failed(
                    f"{self.name} met an error it does not know: {kind}",
                    f"{kind} in {line.name}, line {line.lineno}",
                    fault,
                )
                pause = self._pause()
            self.stopping.wait(pause)

    def _begin_again(self) -> None:
        """What it held is given back; ending the process would end all beside it (honcho)."""
        try:
            with gevent.Timeout(GRACE_SECONDS, Stuck):
                self.close()
        except Exception as fault:  # as badly as it may: new clients are made all the same
            log.warning("%s closed badly: %s", self.name, type(fault).__name__)

    def _pause(self) -> float:
        self.faults += 1
        return backoff(self.faults, base=0.1, cap=1.0, draw=random.random())  # noqa: S311 - a pause


def supervise(workers: Sequence[Worker], grace: float = GRACE_SECONDS) -> int:
    """Run until SIGTERM or SIGINT; 0 if every loop ended by itself within `grace` seconds."""
    over = Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(signum, over.set)
    running = [gevent.spawn(worker.run) for worker in workers]
    for greenlet in running:
        greenlet.link(lambda _: over.set())
    over.wait()
    for worker in workers:
        worker.stopping.set()
    until = time.monotonic() + grace + CLOSE_SECONDS
    done = gevent.joinall(running, timeout=grace)
    gevent.killall(running, timeout=CLOSE_SECONDS / 2)
    closing = [gevent.spawn(worker.close) for worker in workers]
    # Who ended soon has the rest of the time to give back what it holds.
    gevent.joinall(closing, timeout=max(CLOSE_SECONDS / 2, until - time.monotonic()))
    clean = len(done) == len(running) and all(greenlet.successful() for greenlet in done)
    return 0 if clean else 1
