"""Kafka is killed, frozen or unreachable under real processes: afterwards push and windows resume
within five seconds (P6), and each process has left two lines about it in its log."""

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from sqlalchemy import create_engine

from app.domain.loops import PROCESSES
from app.settings import load
from app.stores.postgres import driver_url
from app.wiring import build
from drills.ground import write_ports
from drills.proxy import Proxy
from infra import ports
from infra.services import NAMES as SERVICES
from infra.services import Services
from tests.conftest import migrate
from tests.outside import Person, Screen
from tests.services.crew import Crew, free_port, until
from tests.services.stage import Stage
from tests.services.town import Town

pytestmark = [pytest.mark.service, pytest.mark.slow]
WINDOW_SECONDS = 1.5
RESUME_SECONDS = 5.0
AWAY_SECONDS = 12.0
"""Longer than a session of a consumer; kafka-python would ask every six seconds only by then."""
NAMES = ("Ann", "Ben", "Cem", "Dan", "Eve", "Fay")


@dataclass
class Ground:
    """The services that a test may break, Kafka behind a proxy, and a town on them."""

    services: Services
    proxy: Proxy
    town: Town

    def kill(self) -> None:
        self.services.kill("kafka")

    def start(self) -> None:
        self.services.start("kafka")

    def freeze(self) -> None:
        self.services.pause("kafka")

    def thaw(self) -> None:
        self.services.resume("kafka")

    def cut(self) -> None:
        self.proxy.set("kafka", drop=("up", "down"))

    def refuse(self) -> None:
        self.proxy.reset("kafka")
        self.proxy.set("kafka", refuse=True)

    def heal(self) -> None:
        self.proxy.heal("kafka")
        self.proxy.reset("kafka")

    def well(self) -> None:
        """Whatever a failed test left behind."""
        self.proxy.heal("kafka")
        self.services.resume("kafka")
        self.services.start("kafka")


@pytest.fixture(scope="module")
def ground(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ground]:
    with tempfile.TemporaryDirectory(prefix="notifications-test-", ignore_cleanup_errors=True) as d:
        Path(d).chmod(0o755)
        own = Services(d)
        own.layout.create()
        real = ports.keep(own.layout.ports, (*SERVICES, "kafka_controller"))
        lane = free_port()
        # The broker tells its clients where to find it: that must be the proxy.
        write_ports(own.layout.ports, real | {"kafka_advertised": lane})
        proxy = Proxy({"kafka": (lane, real["kafka"])})
        try:
            own.start()
            migrate(own.env())
            mine = environment | own.env()
            mine |= {"DATA_DIR": str(own.layout.data_dir), "LOG_FORMAT": "text"}
            mine |= {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{lane}"}
            mine |= {"AGGREGATION_WINDOW_SECONDS": str(WINDOW_SECONDS)}
            mine |= {"AGGREGATION_JITTER_SECONDS": "0", "INSTANT_LIKE_THRESHOLD": "1"}
            with _town(mine, tmp_path_factory.mktemp("crew")) as town:
                yield Ground(own, proxy, town)
        finally:
            proxy.close()
            own.stop()


@contextmanager
def _town(environment: dict[str, str], folder: Path) -> Iterator[Town]:
    """Crew and web process on those services."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        parts = build(load())
    engine = create_engine(driver_url(environment["DATABASE_URL"]))
    connection = redis.Redis.from_url(environment["REDIS_URL"], decode_responses=True)
    crew = Crew(environment, folder, connection)
    try:
        for name in PROCESSES:
            crew.hire(name)
        crew.opens()
        yield Town(Stage(crew, parts, engine), [crew.web()])
    finally:
        crew.dismiss()
        engine.dispose()
        parts.engine.dispose()
        parts.urgent.dispose()


@dataclass
class Watched:
    """An author who looks at a screen, and people who like."""

    author: Person
    screen: Screen
    fans: list[Person]
    usual_seconds: float = 0.0
    """What a toast takes on this machine, as busy as it is, when everything turns."""

    def liked(self) -> str:
        """A post that all of them like: one is announced at once, the others when it closes."""
        post = self.author.posts()
        for fan in self.fans:
            fan.likes(post)
        return post

    def toasts(self, post: str) -> int:
        return sum(one.get("targetId") == post for one in self.screen.of("notification"))

    def until(self, post: str, toasts: int, seconds: float) -> None:
        self.screen.until(lambda: self.toasts(post) >= toasts, f"{toasts} toasts", seconds)


@pytest.fixture
def watched(ground: Ground) -> Iterator[Watched]:
    """Everything turns: an announcement at once and one of a window have just been seen."""
    ground.well()
    author, *fans = ground.town.people(*NAMES)
    watched = Watched(author, author.screen(), fans)
    watched.until(watched.liked(), toasts=2, seconds=90)
    post, began = watched.liked(), time.monotonic()
    watched.until(post, toasts=1, seconds=90)
    watched.usual_seconds = time.monotonic() - began
    watched.until(post, toasts=2, seconds=90)
    yield watched
    watched.screen.drop()
    ground.well()


OUTAGES: dict[str, tuple[Callable[[Ground], None], Callable[[Ground], None]]] = {
    "killed": (Ground.kill, Ground.start),
    "frozen": (Ground.freeze, Ground.thaw),
    "cut off": (Ground.cut, Ground.heal),
    "refused": (Ground.refuse, Ground.heal),
}


@pytest.mark.parametrize("outage", OUTAGES)
def test_push_and_windows_resume_within_five_seconds_of_kafkas_return(
    ground: Ground, watched: Watched, outage: str
) -> None:
    fault, cure = OUTAGES[outage]
    members = [ground.town.stage.crew.members[name] for name in PROCESSES]
    before = {one.name: len(one.log.read_text()) for one in members}

    def lines(name: str) -> list[str]:
        """Its warnings since then."""
        said = ground.town.stage.crew.members[name].log.read_text()[before[name] :]
        return [one for one in said.splitlines() if " WARNING " in one or " ERROR " in one]

    fault(ground)
    away_until, during = time.monotonic() + AWAY_SECONDS, []
    while time.monotonic() < away_until:
        during.append(watched.liked())
        time.sleep(1)  # people act once a second; nothing is waited for
    cure(ground)
    post, back = watched.liked(), time.monotonic()

    limit = RESUME_SECONDS + 2 * watched.usual_seconds
    watched.until(post, 1, limit)
    watched.until(post, 2, back + limit + WINDOW_SECONDS - time.monotonic())
    for one in during:
        watched.until(one, 1, limit)
    for name in PROCESSES:
        until(lambda name=name: len(lines(name)) != 1, 20, f"the end in the log of {name}")
        told = [one.partition("Outage ")[2].partition(":")[0] for one in lines(name)]
        # The flusher publishes little; a process that asked Kafka nothing says nothing.
        assert told in (["begins [kafka]", "is over [kafka]"], []), lines(name)
    assert lines("bridge")
    assert lines("aggregator")


def test_what_was_said_last_while_kafka_was_away_stands(ground: Ground, watched: Watched) -> None:
    """The fallback queue is replayed in order."""
    draw, post, wishes = random.Random(6), watched.author.posts(), {}
    ground.kill()
    for _ in range(60):
        fan = draw.choice(watched.fans)
        wishes[fan.id] = draw.random() < 0.5
        if wishes[fan.id]:
            fan.likes(post)
        else:
            fan.unlikes(post)
    waits = "select 1 from kafka_fallback_queue where not processed"
    until(lambda: ground.town.stage.rows(waits), 30, "rows of the fallback queue")
    ground.start()

    ground.town.stage.settles()
    rows = ground.town.stage.rows(
        "select user_id::text, active from likes where post_id = cast(:post as uuid)", post=post
    )
    assert {str(user): on for user, on in rows if on} == {
        user: True for user, on in wishes.items() if on
    }
