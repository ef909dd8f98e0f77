"""Who speaks past Redis rings: no process goes on answering by what Redis knew before."""

from collections.abc import Iterator

import pytest
import redis
from sqlalchemy import Engine

from app.direct import heed
from app.domain.errors import Unavailable
from app.stores.bell import Bell
from app.stores.gate import CHANNEL, Gate
from app.stores.memberships import Wish
from tests.house import House, house, wired
from tests.workers.past_redis import PastRedis

__all__ = ["house", "wired"]


class Over(BaseException):
    """The script is at its end."""


class Script:
    """A bell that answers so, one after the other."""

    def __init__(self, *answers: list[str] | Unavailable) -> None:
        self._answers = iter(answers)
        self.checks = 0

    def wait(self, _seconds: float) -> list[str]:
        answer = next(self._answers, None)
        if answer is None:
            raise Over
        if isinstance(answer, Unavailable):
            raise answer
        return answer

    def check(self) -> None:
        self.checks += 1


AWAY = Unavailable("PostgreSQL does not ring")


@pytest.mark.parametrize(
    ("answers", "doubts"),
    [
        pytest.param([[]], 1, id="what was before the first look nobody heard"),
        pytest.param([[], []], 1, id="silence is no news"),
        pytest.param([[], [""], []], 2, id="a ring is"),
        pytest.param([[], AWAY, AWAY], 1, id="while nobody tells nobody closes it either"),
        pytest.param([[], AWAY, []], 2, id="after a loss a ring may have been missed"),
    ],
)
def test_a_process_doubts_what_it_may_have_missed(
    monkeypatch: pytest.MonkeyPatch, answers: list[list[str] | Unavailable], doubts: int
) -> None:
    monkeypatch.setattr("app.direct.AGAIN_SECONDS", 0)
    doubted: list[bool] = []

    class Doubted:
        def has_changed(self) -> None:
            doubted.append(True)

    with pytest.raises(Over):
        heed(Script(*answers), Doubted())  # type: ignore[arg-type]

    assert len(doubted) == doubts


@pytest.fixture
def bell(environment: dict[str, str]) -> Iterator[Bell]:
    made = Bell(environment["DATABASE_URL"], CHANNEL)
    made.wait(0)  # listens from now on
    yield made
    made.close()


def opens(gate: Gate) -> str:
    """As the keeper opens it; since when it is open."""
    gate.close("a test")
    since = gate.state().since
    assert gate.hold(since)
    assert gate.open("kept", "token", since)
    return gate.state().since


@pytest.mark.service
def test_closing_the_gate_rings_once(engine: Engine, real_redis: redis.Redis, bell: Bell) -> None:
    gate = Gate(real_redis, engine)
    opens(gate)
    assert set(bell.wait(10)) == {""}
    gate.close("words are spoken past Redis")
    assert bell.wait(10) == [""]

    gate.close("words are spoken past Redis")
    assert bell.wait(0.05) == []


@pytest.mark.service
def test_who_heard_of_a_word_past_redis_shows_it_before_the_keeper_moves(house: House) -> None:
    house.alice.posts("Hello")
    ann, ben = house.people("Ann", "Ben")
    past, post = PastRedis(house), house.posts["Hello"]
    past.goes_back()
    ann.likes("Hello")

    def is_liked() -> bool:
        return house.wired.parts.memberships.likes_of(ben.id, [post])[post][1]

    assert not is_liked()
    past.actions.like(ben.id, post, Wish.ON)
    house.wired.parts.gate.doubt()

    assert is_liked()
