"""Each worker starts without any service, waits, works when they come, and leaves when asked."""

import pytest

from infra.services import Services
from tests.services.crew import NAMES, START_SECONDS, STOP_SECONDS, Crew, Member, until
from tests.services.stage import Stage

pytestmark = [pytest.mark.service, pytest.mark.slow]


def rests(member: Member) -> bool:
    assert member.alive, member.said()
    return "Outage begins" in member.said()


def test_workers_wait_for_services_that_are_not_there_and_stop_while_they_wait(
    stage: Stage,
) -> None:
    nowhere = {
        "DATABASE_URL": "postgresql://nobody:x@127.0.0.1:1/none",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "DYNAMODB_ENDPOINT_URL": "http://127.0.0.1:1",
    }
    waiting = [stage.crew.start(name, **nowhere) for name in NAMES]

    for member in waiting:
        until(lambda member=member: rests(member), START_SECONDS, f"a rest of {member.said()}")

    for member in waiting:
        assert member.stop() < STOP_SECONDS


def test_a_crew_lives_through_the_absence_of_everything(stage: Stage, services: Services) -> None:
    """The four of the crew, and four that start while nothing is there."""
    crew: Crew = stage.crew
    owner, *crowd = stage.people(6)
    post = stage.post(owner)
    stage.wish(crowd[0], post, on=True)
    stage.come_to_rest()
    crew.dismiss()

    services.stop()
    try:
        for name in NAMES:
            crew.hire(name)
        for name in NAMES:
            until(lambda name=name: rests(crew.members[name]), START_SECONDS, f"{name} rests")
    finally:
        services.start()
        stage.engine.dispose()

    for person in crowd[1:]:
        stage.wish(person, post, on=True)
    stage.come_to_rest()

    services.stop("kafka", "redis", "postgres")
    services.start()
    stage.engine.dispose()
    for person in crowd[1:]:
        stage.wish(person, post, on=False)
    stage.come_to_rest()
    assert all(crew.members[name].alive for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_worker_stops_within_four_seconds_in_the_middle_of_its_work(
    stage: Stage, name: str
) -> None:
    crowd = stage.people(30)
    post = stage.post(crowd[0])
    for person in crowd:
        stage.wish(person, post, on=True)

    member = stage.crew.members[name]
    until(lambda: stage.crew.lives(member), START_SECONDS, f"the first beat of {member.said()}")
    assert member.stop() < STOP_SECONDS

    stage.crew.hire(name)
    stage.come_to_rest()
