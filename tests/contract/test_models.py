"""The scripts against plain Python: the same random doings, the same answers, on the real Redis."""

from dataclasses import dataclass, field
from random import Random

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from app.domain.events import from_fields
from app.domain.windows import Verdict, Window
from app.stores import redis as redis_store
from app.stores.memberships import Bounds, Memberships, Standing, Wish
from app.stores.subjects import PERSON, POST
from app.stores.windows import Windows
from tests.cast import like, new_id, unknown_cast
from tests.contract.lane import Lane
from tests.contract.wishing import likes

pytestmark = pytest.mark.service
ACTORS = [new_id() for _ in range(5)]
# Each example brings posts of its own, so the server need not be emptied between two of them.
steady = settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def real(real_redis: redis.Redis, environment: dict[str, str]) -> redis.Redis:
    return redis_store.client(environment["REDIS_URL"])


seeds = st.integers(0, 2**32 - 1)


@steady
@given(seeds)
def test_gather_is_the_window_of_the_domain(real: redis.Redis, seed: int) -> None:
    chance = Random(seed)
    places, size = chance.randint(0, 4), chance.randint(1, 6)
    doings = [
        (chance.choice(ACTORS), chance.randint(1, 12), chance.random() < 0.7)
        for _ in range(chance.randint(1, 25))
    ]
    cast = unknown_cast()
    events = [like(actor, cast, seq, active) for actor, seq, active in doings]
    lane, window = Lane(Windows(real), new_id()), Window()

    verdicts: list[Verdict] = []
    for at in range(0, len(events), size):
        verdicts += lane.offers(*events[at : at + size], places=places)

    assert verdicts == [window.place(event, places) for event in events]
    assert _waiting(real, cast.post) == {
        member: seq
        for member, (seq, verdict) in window.entries.items()
        if verdict is Verdict.GATHERED
    }


def _waiting(connection: redis.Redis, post: str) -> dict[str, int]:
    """What is claimed of one post's window."""
    closings = Windows(connection).claim_due(10**12, 10**6, 10**6)
    mine = [one for one in closings if one.object_id == post]
    return {event.member: event.seq for closing in mine for event in closing.events}


@dataclass
class Likes:
    """wish.lua in a few lines."""

    users: set[str] = field(default_factory=set)
    told: list[tuple[str, bool]] = field(default_factory=list)

    def wish(self, actor: str, wish: Wish) -> Standing:
        stands = actor in self.users
        wanted = not stands if wish is Wish.TOGGLE else wish is Wish.ON
        if wanted != stands:
            self.users ^= {actor}
        self.told.append((actor, wanted))
        return Standing(wanted, len(self.users))


@steady
@given(seeds)
def test_wishes_are_those_of_a_set(real: redis.Redis, absent_engine: Engine, seed: int) -> None:
    chance = Random(seed)
    cast, model, shards = unknown_cast(), Likes(), 1
    memberships = Memberships(real, absent_engine, Bounds(shards, 10**6, 5.0))
    memberships.warming.born(PERSON, cast.alice, cast.alice)
    memberships.warming.born(POST, cast.post, cast.alice)

    for _ in range(chance.randint(1, 25)):
        actor, wish = chance.choice(ACTORS), chance.choice(list(Wish))
        answer = likes(memberships, actor, cast.post, wish)
        assert answer == model.wish(actor, wish)

    stream = [from_fields(*entry) for entry in real.xrange("ingress:1")]
    mine = [event for event in stream if event.object_id == cast.post]
    assert [(event.actor_id, event.active) for event in mine] == model.told
    assert real.smembers(f"like:users:{cast.post}") == model.users
