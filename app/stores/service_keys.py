"""Keys of other servers, which may raise events (contract 3: X-Api-Key)."""

import hashlib

from sqlalchemy import Engine, text

from app.stores.postgres import speaking


def digest(key: str) -> str:
    """A key is long and random, so a fast hash is enough."""
    return hashlib.sha256(key.encode()).hexdigest()


class ServiceKeys:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, key_id: str, name: str, key: str) -> None:
        values = {"id": key_id, "name": name, "hash": digest(key)}
        with speaking("keep the key"), self._engine.begin() as sql:
            sql.execute(_ADD, values)

    def knows(self, key: str) -> bool:
        with speaking("check the key"), self._engine.connect() as sql:
            return sql.execute(_KNOWS, {"hash": digest(key)}).first() is not None


_ADD = text("insert into service_keys (id, name, key_hash) values (:id, :name, :hash)")
_KNOWS = text("select 1 from service_keys where key_hash = :hash and revoked_at is null")
