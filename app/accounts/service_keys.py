"""API keys of other servers, which may publish events (header X-Api-Key). Stored as hashes."""

from sqlalchemy import Engine, text

from app.accounts.sessions import hash_token
from app.clients.postgres import translate_errors


class ServiceKeys:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def store_key_hash(self, key_id: str, name: str, key: str) -> None:
        params = {"id": key_id, "name": name, "hash": hash_token(key)}
        with translate_errors("store the key"), self._engine.begin() as conn:
            conn.execute(_INSERT_KEY, params)

    def is_valid(self, key: str) -> bool:
        with translate_errors("check the key"), self._engine.connect() as conn:
            return conn.execute(_FIND_KEY, {"hash": hash_token(key)}).first() is not None


_INSERT_KEY = text("insert into service_keys (id, name, key_hash) values (:id, :name, :hash)")
_FIND_KEY = text("select 1 from service_keys where key_hash = :hash and revoked_at is null")
