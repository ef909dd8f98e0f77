"""One effect per Idempotency-Key: a repeated request gets the response of the first one.

In: blueprints/http/idempotency.py. Out: the table idempotency_keys, one row per user, path and key. Whether a
request ran before is known by PostgreSQL alone: without it, requests with a key are refused (Unavailable).

A row without a response belongs to the request that runs until `running_until`. Later, and after an error
that left the outcome open, the request may be repeated, with the same ids.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, text

from app.clients.postgres import translate_errors
from app.domain.errors import Unavailable, define_rejection

RESPONSE_TTL_SECONDS = 24 * 3600
RUNNING_SECONDS = 15
"""Longer than a request runs. What the process of a frozen one does later is refused by its deadline."""

BODY_MISMATCH = define_rejection(
    "This Idempotency-Key was used with another body", "idempotency_key_reused", 422
)
STILL_RUNNING = define_rejection(
    "The first request with this Idempotency-Key is still running", "idempotency_running", 409
)


@dataclass(frozen=True, slots=True)
class IdempotencyClaim:
    """The right to perform the request once."""

    name: str
    id_seed: str
    """Seed of the ids that the request generates. It is the same for each attempt, because one whose outcome
    is unknown may have had its effect."""
    running_until: datetime
    """Also identifies the attempt."""
    is_retry: bool


@dataclass(frozen=True, slots=True)
class StoredResponse:
    status: int
    body: str


class IdempotencyKeys:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def claim_or_get_response(
        self, scope: tuple[str, str, str], body: bytes, id_seed: str
    ) -> IdempotencyClaim | StoredResponse:
        """Returns a claim to perform the request, or the stored response. `scope`: user, path, key;
        `id_seed`: a UUID. Raises Rejected (409, 422) and Unavailable."""
        name, body_hash = _sha256_hex("\n".join(scope).encode()), _sha256_hex(body)
        new_row = {
            "name": name,
            "body_hash": body_hash,
            "id_seed": id_seed,
            "running_seconds": RUNNING_SECONDS,
            "ttl_seconds": RESPONSE_TTL_SECONDS,
        }
        with translate_errors("claim the key"), self._engine.begin() as conn:
            claimed = conn.execute(_CLAIM, new_row).one_or_none()
            if claimed is not None:
                is_retry = claimed.id_seed != id_seed
                return IdempotencyClaim(name, claimed.id_seed, claimed.running_until, is_retry)
            stored = conn.execute(_SELECT, {"name": name}).one_or_none()
        if stored is None:
            raise Unavailable("The key was released just now", "busy")
        if stored.body_hash != body_hash:
            raise BODY_MISMATCH
        if stored.status is None:
            raise STILL_RUNNING
        return StoredResponse(stored.status, stored.response)

    def save_response(self, claim: IdempotencyClaim, response: StoredResponse) -> None:
        """The request had its effect. Raises Unavailable: a repetition will run with the same ids."""
        values = {"name": claim.name, "id_seed": claim.id_seed, "ttl_seconds": RESPONSE_TTL_SECONDS}
        with translate_errors("store the response"), self._engine.begin() as conn:
            conn.execute(_SAVE_RESPONSE, values | {"status": response.status, "response": response.body})

    def release(self, claim: IdempotencyClaim, may_have_had_effect: bool) -> None:
        """The request failed: it may be tried again, with the same ids and body if it may have had an
        effect. Raises Unavailable: the claim expires by itself."""
        statement = _END_CLAIM if may_have_had_effect or claim.is_retry else _DELETE_KEY
        with translate_errors("release the key"), self._engine.begin() as conn:
            conn.execute(statement, {"name": claim.name, "running_until": claim.running_until})


def _sha256_hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


_CLAIM = text(
    "insert into idempotency_keys as stored (name, body_hash, id_seed, running_until, expires_at) values "
    "(:name, :body_hash, :id_seed, now() + make_interval(secs => :running_seconds), "
    "now() + make_interval(secs => :ttl_seconds)) "
    "on conflict (name) do update set body_hash = excluded.body_hash, "
    "id_seed = case when stored.expires_at > now() then stored.id_seed else excluded.id_seed end, "
    "running_until = excluded.running_until, expires_at = excluded.expires_at, status = null, "
    "response = null "
    "where stored.expires_at <= now() or (stored.status is null and stored.running_until <= now() "
    "and stored.body_hash = excluded.body_hash) "
    "returning id_seed::text, running_until"
)
_SELECT = text("select body_hash, status, response from idempotency_keys where name = :name")
_SAVE_RESPONSE = text(
    "update idempotency_keys set status = :status, response = :response, "
    "expires_at = now() + make_interval(secs => :ttl_seconds) "
    "where name = :name and id_seed = :id_seed and status is null"
)
_END_CLAIM = text(
    "update idempotency_keys set running_until = now() "
    "where name = :name and running_until = :running_until and status is null"
)
_DELETE_KEY = text(
    "delete from idempotency_keys where name = :name and running_until = :running_until and status is null"
)
