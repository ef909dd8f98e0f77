"""Watchdog: exits a process whose event loop is blocked for a minute, with all stacks in its log.

Started by workers/__main__.py; exit code 70. The runner's step timeout handles steps that hang cooperatively;
this handles what blocks the loop itself: C code that waits, an endless loop. It counts seconds in which this
process ran, so a process that was stopped from outside (SIGSTOP) has missed nothing.
"""

import faulthandler
import os
import sys

import gevent
from gevent import monkey

TICK_SECONDS = 1.0
HANG_TIMEOUT_SECONDS = 60
EXIT_CODE = 70


class EventLoopWatchdog:
    def __init__(self, hang_timeout_seconds: int = HANG_TIMEOUT_SECONDS) -> None:
        self._max_missed_ticks = hang_timeout_seconds
        self._tick_count = 0

    def start(self) -> None:
        gevent.spawn(self._tick_forever)
        # A real thread: greenlets do not run while the loop is blocked.
        monkey.get_original("_thread", "start_new_thread")(self._watch_and_exit_when_blocked, ())

    def _tick_forever(self) -> None:
        while True:
            self._tick_count += 1
            gevent.sleep(TICK_SECONDS)

    def _watch_and_exit_when_blocked(self) -> None:
        sleep = monkey.get_original("time", "sleep")
        last_tick_count, missed_seconds = self._tick_count, 0
        while missed_seconds < self._max_missed_ticks:
            sleep(TICK_SECONDS)
            missed_seconds = missed_seconds + 1 if self._tick_count == last_tick_count else 0
            last_tick_count = self._tick_count
        sys.stderr.write(f"The event loop was blocked for {missed_seconds} s: the process exits\n")
        faulthandler.dump_traceback()
        os._exit(EXIT_CODE)
