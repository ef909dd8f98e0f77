"""Who is blocked, as Redis knows it: so that a like costs no SQL to be refused (docs/adr/0021).

In    app/actions.py (a block is made or ends), stores/warming.py (a person is loaded)
Out   Redis sets `follow:blocked:{user}`, which wish.lua asks; read from the table blocks

A set holds everybody with whom a block stands, whoever made it, and an empty name that says that
the set is whole. A change marks both sets before and after its transaction, and lets them end soon:
whoever dies in between leaves nothing wrong for longer than that.
"""

import redis
from sqlalchemy import Engine, text

from app.stores import fences
from app.stores.postgres import speaking as asking_postgres
from app.stores.redis import key, script, speaking

VERSION, CHANGING = key("follow", "blocks", "version"), key("follow", "blocks", "changing")
SETTLE_MS = 30_000
"""A set that a change touched, or that was read during one, is read afresh after this. Longer than
the longest transaction of a web process."""
NOTHING_READ = "*"


class BlockCache:
    def __init__(self, connection: redis.Redis, engine: Engine) -> None:
        self._redis = connection
        self._engine = engine
        self._change = script(connection, "change_block")
        self._warm = script(connection, "warm_blocks")

    def begin(self, user_id: str, other_id: str, blocked: bool) -> None:
        """Before the transaction. A block holds here at once, its end not yet. Raises
        Unavailable."""
        self._note(user_id, other_id, "block" if blocked else "")

    def end(self, user_id: str, other_id: str, blocked: bool) -> None:
        """After the transaction. Raises Unavailable."""
        self._note(user_id, other_id, "block" if blocked else "unblock")

    def _note(self, user_id: str, other_id: str, change: str) -> None:
        with speaking("note a block"):
            self._change(
                keys=[_set(user_id), _set(other_id), VERSION, CHANGING],
                args=[user_id, other_id, change, SETTLE_MS],
            )

    def is_loaded(self, user_id: str) -> bool:
        with speaking("tell what it knows"):
            return bool(self._redis.exists(_set(user_id)))

    def born(self, user_id: str) -> None:
        """Nobody can have blocked a new person yet."""
        self._fill(user_id, [NOTHING_READ])

    def load(self, user_id: str) -> None:
        """Reads one person's blocks. Raises Unavailable."""
        with speaking("tell which blocks it knows"):
            version = str(self._redis.get(VERSION) or "")
        seen = f"{fences.standing(self._redis)} {version}"
        with asking_postgres("read blocks"), self._engine.connect() as sql:
            others = list(sql.execute(_BLOCKS, {"user": user_id}).scalars())
        self._fill(user_id, [seen, *others])

    def _fill(self, user_id: str, read: list[str]) -> None:
        with speaking("keep blocks"):
            self._warm(keys=[_set(user_id), VERSION, CHANGING], args=[SETTLE_MS, *read])


def _set(user_id: str) -> str:
    return key("follow", "blocked", user_id)


_BLOCKS = text(
    "select blocked_user_id::text from blocks where user_id = :user "
    "union select user_id::text from blocks where blocked_user_id = :user"
)
