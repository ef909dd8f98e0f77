"""Members of a post or a person, read from PostgreSQL into Redis once, by one caller at a time.

In    stores/memberships.py, where a wish finds its subject cold; app/actions.py, where one is born
Out   the set and the count in Redis, from then on newer than any table
"""

import time
from uuid import uuid4

import redis
from sqlalchemy import Engine, text

from app.domain.errors import Unavailable
from app.stores import fences
from app.stores.block_cache import BlockCache
from app.stores.postgres import speaking as asking_postgres
from app.stores.redis import key, script, speaking
from app.stores.subjects import PERSON, POST, Subject

LOAD_LOCK_MS = 700
"""Far above a usual load. A loader that was killed leaves it, and who waits must be able to take
over before giving up; two who load at once do no harm: warm.lua keeps what was there first.
"""
LOAD_WAIT_SECONDS = 1.5
LOAD_PAUSE_SECONDS = 0.02
NOTHING_READ = "*"
"""Instead of a fence: what is born needs none."""


class Warming:
    """Warm stays warm: what is in Redis never expires by itself."""

    def __init__(self, connection: redis.Redis, engine: Engine) -> None:
        self._redis = connection
        self._engine = engine
        self._warm = script(connection, "warm")
        self.blocks = BlockCache(connection, engine)

    def born(self, subject: Subject, subject_id: str, owner_id: str) -> None:
        """A new post or person is warm from the start: nobody can have liked it yet."""
        with speaking("note a new subject"):
            self._fill(subject, subject_id, owner_id, [NOTHING_READ])
        if subject is PERSON:
            self.blocks.born(subject_id)

    def warm(self, subject: Subject, subject_id: str) -> None:
        """Reads a standing from PostgreSQL into Redis: one caller loads, the others wait for it."""
        lock, token = key("load", subject.prefix, subject_id), uuid4().hex
        give_up = time.monotonic() + LOAD_WAIT_SECONDS
        while not self._is_warm(subject, subject_id):
            with speaking("take turns at loading"):
                mine = self._redis.set(lock, token, nx=True, px=LOAD_LOCK_MS)
            if mine:
                self._load_alone(subject, subject_id, lock)
                return
            if time.monotonic() > give_up:
                raise Unavailable("It is still being loaded", "busy")
            time.sleep(LOAD_PAUSE_SECONDS)

    def _load_alone(self, subject: Subject, subject_id: str, lock: str) -> None:
        try:
            self._load(subject, subject_id)
        finally:
            with speaking("end a turn"):
                self._redis.delete(lock)

    def _is_warm(self, subject: Subject, subject_id: str) -> bool:
        owner = self._known_owner(subject, subject_id)
        if owner is None:
            return False
        if subject is PERSON:
            return self.blocks.is_loaded(subject_id)
        return owner == "" or self._is_warm(PERSON, owner)

    def _known_owner(self, subject: Subject, subject_id: str) -> str | None:
        """Of a subject whose members are known; "" of a post that is gone. None: to be read."""
        with speaking("tell what it knows"):
            if not self._redis.exists(subject.count_key(subject_id)):
                return None
            if subject is PERSON:
                return subject_id
            owner = self._redis.get(key("post", "owner", subject_id))
        return None if owner is None else str(owner)

    def _load(self, subject: Subject, subject_id: str) -> None:
        owner = self._known_owner(subject, subject_id)
        if owner is None:
            owner = self._load_members(subject, subject_id)
        if subject is PERSON:
            self.blocks.load(subject_id)
        elif owner:
            # Its owner's followers decide a like's lane, and their blocks whether it is allowed.
            self.warm(PERSON, owner)

    def _load_members(self, subject: Subject, subject_id: str) -> str:
        """Whose they are. Raises Rejected (404)."""
        seen = fences.standing(self._redis)
        with asking_postgres("tell who likes it"), self._engine.connect() as sql:
            owner = sql.execute(text(subject.owner_sql), {"id": subject_id}).scalar()
            if owner is None:
                raise subject.missing
            members = list(sql.execute(text(subject.members_sql), {"id": subject_id}).scalars())
        with speaking("keep what was loaded"):
            self._fill(subject, subject_id, owner, [seen, *members])
        return str(owner)

    def _fill(self, subject: Subject, subject_id: str, owner: str, read: list[str]) -> None:
        """`read`: the fence seen before the members were read, then the members."""
        count = subject.count_key(subject_id)
        owner_key = key("post", "owner", subject_id) if subject is POST else count
        kept_owner = owner if subject is POST else ""
        self._warm(
            keys=[count, subject.members_key(subject_id), owner_key], args=[kept_owner, *read]
        )
