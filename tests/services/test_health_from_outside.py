"""GET /health of a web process whose PostgreSQL is killed, frozen and back."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from infra.services import Services
from tests.outside import call
from tests.services.crew import Crew, Member, until

pytestmark = pytest.mark.service
MAX_AGE_SECONDS = 1.0
AT_MOST_SECONDS = 1.0
BACK_SECONDS = 10.0


@pytest.fixture(scope="module")
def postgres() -> Iterator[Services]:
    """One that may be broken: nobody else uses it."""
    with tempfile.TemporaryDirectory(prefix="notifications-test-", ignore_cleanup_errors=True) as d:
        Path(d).chmod(0o755)
        running = Services(d)
        try:
            running.start("postgres")
            yield running
        finally:
            running.stop("postgres")


@pytest.fixture(scope="module")
def crew(
    environment: dict[str, str], postgres: Services, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Crew]:
    connection = redis.Redis.from_url(environment["REDIS_URL"])
    own = environment | postgres.env("postgres")
    crew = Crew(own, tmp_path_factory.mktemp("health"), connection)
    yield crew
    crew.dismiss()
    connection.close()


@pytest.fixture
def web(crew: Crew, postgres: Services) -> Iterator[Member]:
    postgres.start("postgres")
    yield crew.web()
    postgres.start("postgres")
    crew.dismiss()


def database(web: Member) -> str:
    answer = call("GET", f"{web.address}/health")
    assert (answer.status, answer.body["status"]) == (200, "healthy"), web.said()
    return str(answer.body["database"])


def test_the_first_answer_after_a_start_knows_that_the_database_answers(web: Member) -> None:
    assert database(web) == "connected"


@pytest.mark.parametrize("fault", ["kill", "pause"])
def test_an_outage_is_in_the_first_answer_that_is_older_than_the_last_check(
    web: Member, postgres: Services, fault: str
) -> None:
    assert database(web) == "connected"
    getattr(postgres, fault)("postgres")
    asked = time.monotonic()
    until(lambda: time.monotonic() - asked >= MAX_AGE_SECONDS, 5, "a check that is too old")

    began = time.monotonic()
    found = database(web)

    assert found == "disconnected"
    assert time.monotonic() - began < AT_MOST_SECONDS
    postgres.start("postgres")
    until(lambda: database(web) == "connected", BACK_SECONDS, "PostgreSQL's return")
