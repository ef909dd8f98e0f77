"""Watchdog: a process whose event loop stands still for a minute ends, with all stacks in its log.

In    workers/life.py
Out   exit code 70

Steps that hang have an end of their own (life.py); this is for what stops the loop itself: C code
that waits, an endless loop. It counts seconds in which this process ran: one that was frozen from
outside has missed nothing.
"""

import faulthandler
import os
import sys

import gevent
from gevent import monkey

PULSE_SECONDS = 1.0
STILL_SECONDS = 60
CODE = 70


class Watchdog:
    def __init__(self, still_seconds: int = STILL_SECONDS) -> None:
        self._most = still_seconds
        self._pulses = 0

    def start(self) -> None:
        gevent.spawn(self._pulse)
        # A real thread: greenlets stand still with the loop.
        monkey.get_original("_thread", "start_new_thread")(self._watch, ())

    def _pulse(self) -> None:
        while True:
            self._pulses += 1
            gevent.sleep(PULSE_SECONDS)

    def _watch(self) -> None:
        sleep = monkey.get_original("time", "sleep")
        seen, missed = self._pulses, 0
        while missed < self._most:
            sleep(PULSE_SECONDS)
            missed = missed + 1 if self._pulses == seen else 0
            seen = self._pulses
        sys.stderr.write(f"The event loop has stood still for {missed} s: the process ends\n")
        faulthandler.dump_traceback()
        os._exit(CODE)
