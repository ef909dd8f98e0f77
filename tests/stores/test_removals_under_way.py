"""A post or an account goes while the ledger writes about it: nothing is refused, nothing stays."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from sqlalchemy import Engine, text

from app.domain.events import Event
from app.domain.ledger import Ring
from app.stores.ledger import Batch, Entry, Hand, Ledger, Settled
from app.stores.removals import Removals
from tests.cast import assemble, comment, follow, like, new_id, people
from tests.fakes import Clock

pytestmark = pytest.mark.service
WRITERS = 4
HAND = Hand(Clock().now, new_id)


def writes(engine: Engine, batches: list[list[Event]]) -> list[Settled]:
    ledger = Ledger(engine, 12, HAND)
    return [
        ledger.write(Batch(tuple(Entry(one, Ring.AT_ONCE) for one in batch))) for batch in batches
    ]


@pytest.mark.parametrize("what", ["post", "account"])
def test_it_goes_whole_while_others_write(
    engine: Engine, real_redis: redis.Redis, what: str
) -> None:
    cast = assemble(engine)
    crowd = people(engine, *(f"P{n}" for n in range(40)))
    does = [like, comment, follow]
    work = [
        [
            [does[(turn + n) % 3](one, cast, 1 + turn * 100 + n) for n, one in enumerate(crowd)]
            + [like(cast.carol, cast, 90 + turn, active=turn % 2 == 0)]
            for turn in range(worker, 24, WRITERS)
        ]
        for worker in range(WRITERS)
    ]
    removals = Removals(engine, real_redis, HAND)

    with ThreadPoolExecutor(WRITERS + 1) as pool:
        writing = [pool.submit(writes, engine, one) for one in work]
        if what == "post":
            pool.submit(removals.post, cast.alice, cast.post).result()
        else:
            pool.submit(removals.account, crowd[0]).result()
        settled = [one for future in writing for one in future.result()]

    assert [one.refused for one in settled if one.refused] == []
    statement = {
        "post": "select count(*) from notifications where type <> 'FOLLOW'",
        "account": f"select count(*) from notification_actors where actor_id = '{crowd[0]}'",  # noqa: S608
    }[what]
    with engine.connect() as sql:
        assert sql.execute(text(statement)).scalar() == 0
        counts = sql.execute(
            text(
                "select follower_count = (select count(*) from follows f where f.active and "
                "f.following_id = u.id) from users u where id = :alice"
            ),
            {"alice": cast.alice},
        )
        assert counts.scalar()
