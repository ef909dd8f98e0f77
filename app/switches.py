"""Switches: stops, kills, freezes and starts the embedded services, to see the design work.

In    blueprints/switches.py, in testing mode only
Out   `python -m infra VERB SERVICE`, one command at a time per service, each with an end

Only services whose address in use is the one that `python -m infra env` tells for this DATA_DIR:
what a setting points elsewhere is somebody else's.
"""

import json
import logging
import math
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

import gevent
from gevent import subprocess

from app.domain.errors import Rejected, Unavailable

log = logging.getLogger(__name__)
ROOT = Path(__file__).resolve().parent.parent
LOOK_SECONDS = 10.0
PATIENCE_SECONDS = 1.5
TURN_SECONDS = 90.0
"""`start` waits a minute for a service, `stop` a quarter of one."""
FRESH_SECONDS, MAX_AGE_SECONDS = 2.0, 10.0
"""Of the states: when they are looked at again; how old they may be while that takes its time."""
VARIABLES = {
    "redis": "REDIS_URL",
    "kafka": "KAFKA_BOOTSTRAP_SERVERS",
    "postgres": "DATABASE_URL",
    "dynamodb": "DYNAMODB_ENDPOINT_URL",
}
_PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "USER")
NOT_OURS = Rejected("This service is not an embedded one", "not_embedded", 404)
BUSY = Rejected("The last command for this service is still running", "busy", 409)


class Verb(StrEnum):
    START = "start"
    STOP = "stop"
    KILL = "kill"
    PAUSE = "pause"
    RESUME = "resume"


@dataclass(frozen=True, slots=True)
class Switch:
    """One service: how it is, which command runs, and what the last one had to say."""

    state: str
    port: int | None
    doing: str | None
    trouble: str | None

    def shown(self) -> dict[str, object]:
        return asdict(self)


class Switches:
    def __init__(self, data_dir: Path, addresses: Mapping[str, str]) -> None:
        self._data_dir = data_dir.resolve()
        self._addresses = addresses
        self._ours: frozenset[str] | None = None
        self._doing: dict[str, Verb] = {}
        self._trouble: dict[str, str] = {}
        self._looking = gevent.spawn(lambda: None)
        self._seen: dict[str, dict[str, object]] = {}
        self._seen_at = -math.inf
        self._outdated = False

    def states(self) -> dict[str, Switch]:
        """The embedded ones by name; empty where all are somebody else's. Raises Unavailable."""
        ours = self._embedded()
        seen = self._look() if ours else {}
        return {name: self._switch(name, seen[name]) for name in VARIABLES if name in ours}

    def turn(self, name: str, verb: Verb) -> None:
        """Begins, and does not wait: starting Kafka takes longer than a request may. Raises
        Rejected (404, 409)."""
        if name not in self._embedded():
            raise NOT_OURS
        if self._doing.get(name) == verb:
            return
        if name in self._doing:
            raise BUSY
        self._doing[name] = verb
        self._trouble.pop(name, None)
        gevent.spawn(self._turn, name, verb)

    def _turn(self, name: str, verb: Verb) -> None:
        try:
            self._command(TURN_SECONDS, verb.value, name)
        except Unavailable as fault:
            log.warning("%s %s: %s", verb.value, name, fault)
            self._trouble[name] = str(fault)
        finally:
            del self._doing[name]
            self._outdated = True

    def _switch(self, name: str, seen: Mapping[str, object]) -> Switch:
        port = seen["port"]
        return Switch(
            state=str(seen["state"]),
            port=port if isinstance(port, int) else None,
            doing=self._doing.get(name),
            trouble=self._trouble.get(name),
        )

    def _look(self) -> dict[str, dict[str, object]]:
        """One look for all who ask within two seconds: it starts an interpreter. On a busy machine
        that takes its time; then what was seen last is told. Raises Unavailable when that is too
        old."""
        age = time.monotonic() - self._seen_at
        if self._looking.ready() and (self._outdated or age >= FRESH_SECONDS):
            self._outdated = False
            self._looking = gevent.spawn(self._see)
        self._looking.join(PATIENCE_SECONDS if age < MAX_AGE_SECONDS else LOOK_SECONDS)
        if time.monotonic() - self._seen_at >= MAX_AGE_SECONDS:
            raise Unavailable("The services could not be looked at", "infra_slow")
        return self._seen

    def _see(self) -> None:
        try:
            self._seen = json.loads(self._command(LOOK_SECONDS, "status", "--json"))
            self._seen_at = time.monotonic()
        except Unavailable as fault:
            log.warning("%s", fault)

    def _embedded(self) -> frozenset[str]:
        """Which of the addresses in use are those of the services in DATA_DIR. Asked once."""
        if self._ours is None:
            try:
                said = self._command(LOOK_SECONDS, "env")
            except Unavailable:
                return frozenset()  # nothing was ever started here
            told = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
            self._ours = frozenset(
                name
                for name, variable in VARIABLES.items()
                if self._addresses.get(variable) and told.get(variable) == self._addresses[variable]
            )
        return self._ours

    def environment(self) -> dict[str, str]:
        """What a command needs and nothing else: no secret of ours, and no mark of this run, which
        would end the service with it."""
        needed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        return needed | {"DATA_DIR": str(self._data_dir), "ENV_FILE": os.devnull}

    def _command(self, seconds: float, *words: str) -> str:
        """What it printed. Raises Unavailable with its own sentence."""
        command = [sys.executable, "-m", "infra", *words]
        try:
            done = subprocess.run(
                command,
                cwd=ROOT,
                env=self.environment(),
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as fault:
            raise Unavailable(f"`infra {words[0]}` did not end in time", "infra_slow") from fault
        if done.returncode != 0:
            said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise Unavailable(f"`infra {' '.join(words)}` failed: {said[:300]}", "infra_failed")
        return str(done.stdout)
