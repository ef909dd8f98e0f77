"""What Redis must learn of a deletion in the tables, noted in the deletion's own transaction.

In    stores/removals.py, stores/simulated.py note it and try to apply it at once
Out   Redis; what a process left undone, workers/keeper.py applies later

Without the note, a Redis that is away or a process that dies after its commit would leave Redis
with posts and counts that the tables no longer have. Applying an update twice, or late, changes
nothing more.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import orjson
import redis
from sqlalchemy import Connection, Engine, text

from app.domain.events import Kind
from app.stores.amends import Amends
from app.stores.postgres import speaking as asking_postgres
from app.stores.redis import key, speaking

PAGE = 100
GONE_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True)
class RedisUpdate:
    """`posts`: gone. `members`: (LIKE or FOLLOW, object, person) who left. `keys`: to be read again
    from the tables."""

    posts: Sequence[str] = ()
    members: Sequence[tuple[str, str, str]] = ()
    keys: Sequence[str] = ()


class RedisUpdates:
    def __init__(self, engine: Engine, connection: redis.Redis) -> None:
        self._engine = engine
        self._redis = connection
        self._amends = Amends(connection)

    def note(self, sql: Connection, update: RedisUpdate) -> int:
        """Its place, for `apply` after the commit."""
        values = {"data": orjson.dumps(asdict(update)).decode()}
        return int(sql.execute(_NOTE, values).scalar_one())

    def apply(self, place: int) -> None:
        """Nothing when it was applied before. Raises Unavailable."""
        with asking_postgres("find what Redis must learn"), self._engine.connect() as sql:
            found = sql.execute(_ONE, {"place": place}).scalar()
        if found is not None:
            self._apply(place, RedisUpdate(**found))

    def apply_waiting(self, older_than: float = 0.0) -> bool:
        """Whether there were any: then there may be more. Raises Unavailable."""
        with asking_postgres("find what Redis must learn"), self._engine.connect() as sql:
            found = sql.execute(_WAITING, {"seconds": older_than, "limit": PAGE}).all()
        for place, data in found:
            self._apply(place, RedisUpdate(**data))
        return bool(found)

    def _apply(self, place: int, update: RedisUpdate) -> None:
        for post_id in update.posts:
            self._forget_post(post_id)
        for kind, object_id, person_id in update.members:
            self._amends.uncount(Kind(kind), object_id, person_id)
        if update.keys:
            with speaking("forget what is out of date"):
                self._redis.delete(*update.keys)
        with asking_postgres("note what Redis has learnt"), self._engine.begin() as sql:
            sql.execute(_DONE, {"place": place})

    def _forget_post(self, post_id: str) -> None:
        """Likes and comments of it are refused at once; the keys go when nobody asks any more."""
        with speaking("forget the post"):
            pipeline = self._redis.pipeline(transaction=True)
            pipeline.set(key("post", "owner", post_id), "", ex=GONE_SECONDS)
            pipeline.delete(key("comment", "pending", post_id), key("comment", "gone", post_id))
            for prefix, what in (("like", "count"), ("like", "users"), ("comment", "count")):
                pipeline.expire(key(prefix, what, post_id), GONE_SECONDS)
            pipeline.execute()


_NOTE = text("insert into redis_updates (data) values (cast(:data as jsonb)) returning id")
_ONE = text("select data from redis_updates where id = :place")
_WAITING = text(
    "select id, data from redis_updates "
    "where created_at <= now() - make_interval(secs => :seconds) order by id limit :limit"
)
_DONE = text("delete from redis_updates where id = :place")
