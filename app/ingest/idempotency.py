"""One effect per Idempotency-Key: a repeated request gets the response of the first one.

In: blueprints/http/idempotency.py. Out: Redis keys idempotency:{hash of user, path and key} with a marker
while the first request runs, then with its response; the table idempotency_keys without Redis. The table
is read first, so that keys stored there without Redis stay valid afterwards.
"""

import hashlib
import logging
from contextlib import suppress
from dataclasses import dataclass, replace

import orjson
import redis
from sqlalchemy import Engine, text

from app.clients.postgres import translate_errors as translate_postgres_errors
from app.clients.redis import redis_key, register_script, translate_errors
from app.domain.errors import RedisUnavailable, Rejected, Unavailable

log = logging.getLogger(__name__)
RESPONSE_TTL_SECONDS = 24 * 3600
RUNNING_TTL_SECONDS = 60
"""Longer than any request runs. If a process dies meanwhile, the key is free again after this."""

BODY_MISMATCH = Rejected("This Idempotency-Key was used with another body", "idempotency_key_reused", 422)
STILL_RUNNING = Rejected(
    "The first request with this Idempotency-Key is still running", "idempotency_running", 409
)


@dataclass(frozen=True, slots=True)
class IdempotencyClaim:
    """The right to perform the request once."""

    storage_key: str
    running_marker: str
    body_hash: str
    id_seed: str
    """Seed of the ids that the request generates. It is the same for each attempt, because one that was
    answered with 503 may have had its effect."""
    is_retry: bool = False
    in_postgres: bool = False


@dataclass(frozen=True, slots=True)
class StoredResponse:
    status: int
    body: str


class IdempotencyKeys:
    def __init__(self, connection: redis.Redis, engine: Engine) -> None:
        self._redis = connection
        self._engine = engine
        self._compare_and_set_script = register_script(connection, "ingest/compare_and_set")

    def claim_or_get_response(
        self, scope: tuple[str, str, str], body: bytes, id_seed: str
    ) -> IdempotencyClaim | StoredResponse:
        """Returns a claim to perform the request, or the stored response. `scope`: user, path, key.
        Raises Rejected (409, 422), or Unavailable if neither store is available."""
        storage_key = redis_key("idempotency", _sha256_hex("\n".join(scope).encode()))
        body_hash = _sha256_hex(body)
        running_marker = orjson.dumps({"running": id_seed, "body": body_hash}).decode()
        new_claim = IdempotencyClaim(storage_key, running_marker, body_hash, id_seed)
        with translate_postgres_errors("claim the key"), self._engine.connect() as conn:
            stored_json = conn.execute(_SELECT_KEY, {"name": storage_key}).scalar()
        if stored_json is not None:
            retry_claim = _retry_claim_if_uncertain(stored_json, new_claim, in_postgres=True)
            return (
                self._reclaim_in_postgres(retry_claim, stored_json)
                if retry_claim
                else _parse_stored_response(stored_json, body_hash)
            )
        with suppress(RedisUnavailable):
            return self._claim_in_redis(new_claim)
        return self._claim_in_postgres(new_claim)

    def _claim_in_redis(self, claim: IdempotencyClaim) -> IdempotencyClaim | StoredResponse:
        with translate_errors("claim the key"):
            for _ in range(2):
                if self._redis.set(claim.storage_key, claim.running_marker, nx=True, ex=RUNNING_TTL_SECONDS):
                    return claim
                if (stored_json := self._redis.get(claim.storage_key)) is None:
                    continue
                retry_claim = _retry_claim_if_uncertain(str(stored_json), claim)
                if retry_claim is None:
                    return _parse_stored_response(str(stored_json), claim.body_hash)
                if self._compare_and_set_in_redis(
                    claim.storage_key,
                    str(stored_json),
                    retry_claim.running_marker,
                    RUNNING_TTL_SECONDS,
                ):
                    return retry_claim
        raise Unavailable("The key is in use", "busy")

    def _compare_and_set_in_redis(
        self, storage_key: str, expected: str, replacement: str, ttl_seconds: int
    ) -> bool:
        args: list[str | int] = [expected, replacement, ttl_seconds]
        return bool(self._compare_and_set_script(keys=[storage_key], args=args))

    def _claim_in_postgres(self, claim: IdempotencyClaim) -> IdempotencyClaim | StoredResponse:
        values = {
            "name": claim.storage_key,
            "response": claim.running_marker,
            "seconds": RUNNING_TTL_SECONDS,
        }
        with translate_postgres_errors("claim the key"), self._engine.begin() as conn:
            if conn.execute(_INSERT_CLAIM, values).rowcount:
                return replace(claim, in_postgres=True)
        raise Unavailable("The key is in use", "busy")

    def _reclaim_in_postgres(self, retry_claim: IdempotencyClaim, stored_json: str) -> IdempotencyClaim:
        values = {
            "name": retry_claim.storage_key,
            "expected": stored_json,
            "response": retry_claim.running_marker,
            "seconds": RUNNING_TTL_SECONDS,
        }
        with translate_postgres_errors("claim the key"), self._engine.begin() as conn:
            if conn.execute(_COMPARE_AND_SET, values).rowcount:
                return retry_claim
        raise Unavailable("The key is in use", "busy")

    def save_response(self, claim: IdempotencyClaim, response: StoredResponse) -> None:
        response_fields = {
            "body": claim.body_hash,
            "status": response.status,
            "text": response.body,
        }
        response_json = orjson.dumps(response_fields).decode()
        try:
            if not claim.in_postgres:
                with translate_errors("store the response"):
                    self._redis.set(claim.storage_key, response_json, ex=RESPONSE_TTL_SECONDS)
                return
        except Unavailable as exc:
            log.info(
                "A response is stored in PostgreSQL: %s", exc, extra={"event": "idempotency_key_in_postgres"}
            )
        values = {"name": claim.storage_key, "response": response_json, "seconds": RESPONSE_TTL_SECONDS}
        with translate_postgres_errors("store the response"), self._engine.begin() as conn:
            conn.execute(_UPSERT_KEY, values)

    def release_claim(self, claim: IdempotencyClaim) -> None:
        """The request had no effect: it may be tried again."""
        if claim.in_postgres:
            with translate_postgres_errors("release the key"), self._engine.begin() as conn:
                conn.execute(_DELETE_KEY, {"name": claim.storage_key, "response": claim.running_marker})
            return
        with translate_errors("release the key"):
            if self._redis.get(claim.storage_key) == claim.running_marker:
                self._redis.delete(claim.storage_key)

    def mark_outcome_uncertain(self, claim: IdempotencyClaim) -> None:
        """The request may have had an effect: it may be tried again, with the same ids."""
        retryable_json = orjson.dumps({"uncertain": claim.id_seed, "body": claim.body_hash}).decode()
        try:
            if not claim.in_postgres:
                with translate_errors("mark the key as uncertain"):
                    self._compare_and_set_in_redis(
                        claim.storage_key,
                        claim.running_marker,
                        retryable_json,
                        RESPONSE_TTL_SECONDS,
                    )
                return
        except Unavailable as exc:
            log.info(
                "An uncertain attempt is stored in PostgreSQL: %s",
                exc,
                extra={"event": "idempotency_key_in_postgres"},
            )
        values = {
            "name": claim.storage_key,
            "response": retryable_json,
            "seconds": RESPONSE_TTL_SECONDS,
        }
        with translate_postgres_errors("mark the key as uncertain"), self._engine.begin() as conn:
            conn.execute(_UPSERT_KEY, values)


def _retry_claim_if_uncertain(
    stored_json: str, claim: IdempotencyClaim, in_postgres: bool = False
) -> IdempotencyClaim | None:
    """A claim to repeat an uncertain attempt; None if the request is running or has a response."""
    stored = orjson.loads(stored_json)
    if stored["body"] != claim.body_hash or "uncertain" not in stored:
        return None
    running_marker = orjson.dumps({"running": stored["uncertain"], "body": claim.body_hash}).decode()
    return IdempotencyClaim(
        claim.storage_key, running_marker, claim.body_hash, stored["uncertain"], True, in_postgres
    )


def _parse_stored_response(stored_json: str, body_hash: str) -> StoredResponse:
    stored = orjson.loads(stored_json)
    if stored["body"] != body_hash:
        raise BODY_MISMATCH
    if "running" in stored:
        raise STILL_RUNNING
    return StoredResponse(stored["status"], stored["text"])


def _sha256_hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


_SELECT_KEY = text("select response::text from idempotency_keys where name = :name and expires_at > now()")
_INSERT_CLAIM = text(
    "insert into idempotency_keys (name, response, expires_at) "
    "values (:name, cast(:response as jsonb), now() + make_interval(secs => :seconds)) "
    "on conflict (name) do update set response = excluded.response, expires_at = "
    "excluded.expires_at "
    "where idempotency_keys.expires_at < now()"
)
_UPSERT_KEY = text(
    "insert into idempotency_keys (name, response, expires_at) "
    "values (:name, cast(:response as jsonb), now() + make_interval(secs => :seconds)) "
    "on conflict (name) do update set response = excluded.response, expires_at = "
    "excluded.expires_at"
)
_COMPARE_AND_SET = text(
    "update idempotency_keys set response = cast(:response as jsonb), "
    "expires_at = now() + make_interval(secs => :seconds) "
    "where name = :name and response = cast(:expected as jsonb)"
)
_DELETE_KEY = text("delete from idempotency_keys where name = :name and response = cast(:response as jsonb)")
