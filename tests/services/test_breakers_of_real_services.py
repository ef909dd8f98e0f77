"""A frozen or killed service: a few calls wait for it, the others are refused at once, and a ping
aside ends it soon after the service is back, whatever BREAKER_RESET_SECONDS says."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.services import Services
from tests.conftest import ROOT

pytestmark = pytest.mark.service
NAMES = ("redis", "postgres", "kafka")
MOST_LINES = 2_000
AT_ONCE_SECONDS = 0.2


@pytest.fixture(scope="module")
def own() -> Iterator[Services]:
    """Services that may be broken: nobody else uses them."""
    with tempfile.TemporaryDirectory(prefix="notifications-test-", ignore_cleanup_errors=True) as d:
        Path(d).chmod(0o755)
        running = Services(d)
        try:
            running.start(*NAMES)
            yield running
        finally:
            running.stop(*NAMES)


class Watcher:
    """The process of breaker_watch.py."""

    def __init__(self, environment: dict[str, str], name: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.services.breaker_watch", name],
            cwd=ROOT,
            env=environment | {"BREAKER_RESET_SECONDS": "600"},
            stdout=subprocess.PIPE,
            text=True,
        )

    def until(self, said: str, state: str) -> float:
        """Reads on to such a line; the seconds its call took."""
        assert self._process.stdout is not None
        for _ in range(MOST_LINES):
            line = self._process.stdout.readline().split()
            if not line:
                break
            if (line[0], line[2]) == (said, state):
                return float(line[1])
        raise AssertionError(f"never {said} {state}")

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("fault", "cure"), [("pause", "resume"), ("kill", "start")], ids=["frozen", "killed"]
)
def test_a_service_that_is_away_is_waited_for_a_few_times_and_no_more(
    own: Services, environment: dict[str, str], name: str, fault: str, cure: str
) -> None:
    watcher = Watcher(environment | own.env(*NAMES), name)
    try:
        watcher.until("done", "closed")

        getattr(own, fault)(name)
        watcher.until("refused", "open")
        # The call that opened it may have waited; the ones behind it do not.
        taken = [watcher.until("refused", "open") for _ in range(5)]
        getattr(own, cure)(name)

        assert max(taken) < AT_ONCE_SECONDS
        watcher.until("done", "closed")
    finally:
        getattr(own, cure)(name)
        watcher.end()
