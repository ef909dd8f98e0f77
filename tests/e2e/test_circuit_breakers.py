"""With a frozen or killed service a few calls wait and the others are refused at once; a background ping
closes the breaker soon after the service is back, whatever BREAKER_RESET_SECONDS says."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from infra.services import EmbeddedServices
from tests.conftest import ROOT, start_services

pytestmark = [pytest.mark.service, pytest.mark.time_limit]
NAMES = ("redis", "postgres", "kafka")
MAX_LINES = 2_000
MAX_REFUSAL_SECONDS = 0.2


@pytest.fixture(scope="module")
def dedicated_services() -> Iterator[EmbeddedServices]:
    """Services that no other test uses, so that they may be stopped."""
    with start_services(*NAMES) as running:
        yield running


class BreakerWatchProcess:
    """Runs tests/support/breaker_watch.py."""

    def __init__(self, environment: dict[str, str], name: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.breaker_watch", name],
            cwd=ROOT,
            env=environment | {"BREAKER_RESET_SECONDS": "600"},
            stdout=subprocess.PIPE,
            text=True,
        )

    def read_until(self, outcome: str, state: str) -> float:
        """Reads to a line with this outcome and state; returns the seconds of its call."""
        assert self._process.stdout is not None
        for _ in range(MAX_LINES):
            line = self._process.stdout.readline().split()
            if not line:
                break
            if (line[0], line[2]) == (outcome, state):
                return float(line[1])
        raise AssertionError(f"no line with {outcome} {state}")

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.mark.parametrize(
    ("name", "fault", "cure"),
    [
        ("redis", "pause", "resume"),
        pytest.param("kafka", "pause", "resume", marks=pytest.mark.drill),
        ("postgres", "kill", "start"),
        pytest.param("redis", "kill", "start", marks=pytest.mark.drill),
        pytest.param("kafka", "kill", "start", marks=pytest.mark.drill),
        pytest.param("postgres", "pause", "resume", marks=pytest.mark.drill),
    ],
)
def test_open_breaker_limits_the_calls_to_an_unavailable_service(
    dedicated_services: EmbeddedServices,
    environment: dict[str, str],
    name: str,
    fault: str,
    cure: str,
) -> None:
    watcher = BreakerWatchProcess(environment | dedicated_services.env(*NAMES), name)
    try:
        watcher.read_until("done", "closed")

        getattr(dedicated_services, fault)(name)
        watcher.read_until("refused", "open")
        # The call that opened the breaker may have waited; later calls do not.
        call_seconds = [watcher.read_until("refused", "open") for _ in range(5)]
        getattr(dedicated_services, cure)(name)

        assert max(call_seconds) < MAX_REFUSAL_SECONDS
        watcher.read_until("done", "closed")
    finally:
        getattr(dedicated_services, cure)(name)
        watcher.stop()
