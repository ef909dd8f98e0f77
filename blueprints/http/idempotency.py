"""Idempotency-Key: the same request sent twice has one effect and one response.

Used by POST /api/posts, /api/comments, /api/comments/:id/reply and /api/events. The keys are stored
by app/ingest/idempotency.py.
"""

import logging
import re
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from itertools import count
from typing import Any
from uuid import UUID

import orjson
from flask import Response, current_app, request

from app.domain.errors import Rejected, Unavailable
from app.ingest.idempotency import IdempotencyKeys, StoredResponse
from blueprints.http.api_blueprint import add_documentation
from blueprints.http.serializers import JsonObject
from blueprints.http.write_actions import WriteActions

log = logging.getLogger(__name__)
_KEY_PATTERN = re.compile(r"[\x21-\x7e]{1,200}")
_KEY_PARAMETER: JsonObject = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "maxLength": 200, "pattern": "^[!-~]+$"},
}
RequestHandler = Callable[[WriteActions], tuple[JsonObject, int]]


class IdempotentRequests:
    def __init__(self, idempotency_keys: IdempotencyKeys, write_actions: WriteActions) -> None:
        self._idempotency_keys = idempotency_keys
        self._write_actions = write_actions

    def route(self, view: Callable[..., tuple[JsonObject, int]]) -> Callable[..., Response]:
        """Decorates a view whose first argument is the authenticated caller. The second, which is added
        here, is the WriteActions to use."""

        @wraps(view)
        def idempotent(caller: str, *args: Any, **kwargs: Any) -> Response:
            return self._run(caller, lambda actions: view(caller, actions, *args, **kwargs))

        return add_documentation(
            idempotent,
            parameters=[_KEY_PARAMETER],
            responses={status: HTTPStatus(status).name for status in (409, 422)},
        )

    def _run(self, caller: str, handler: RequestHandler) -> Response:
        """Runs the handler of the current request, or replays its stored response.

        `caller` must be authenticated already. A rejected request has no effect, so its key is free
        again. A request that failed otherwise may have had an effect: a retry runs with the same ids.
        """
        idempotency_key = request.headers.get("Idempotency-Key")
        if idempotency_key is None:
            return _json_response(*_run_and_encode(handler, self._write_actions))
        if not _KEY_PATTERN.fullmatch(idempotency_key):
            raise Rejected("Idempotency-Key must be 1-200 visible characters", "bad_key", 400)
        keys = self._idempotency_keys
        claim = keys.claim_or_get_response(
            (caller, request.path, idempotency_key),
            _canonical_json(request.get_data()),
            self._write_actions.new_id(),
        )
        if isinstance(claim, StoredResponse):
            replayed = _json_response(claim.body, claim.status)
            replayed.headers["Idempotency-Replayed"] = "true"
            return replayed
        request_actions = self._write_actions.with_id_factory(id_factory_from(claim.id_seed), claim.is_retry)
        try:
            response_text, status = _run_and_encode(handler, request_actions)
        except (Rejected, Unavailable) as error:
            try:
                keys.release(claim, may_have_had_effect=not isinstance(error, Rejected))
            except Unavailable as store_error:
                log.info(
                    "An idempotency key was not released; it expires by itself: %s",
                    store_error,
                    extra={"event": "idempotency_key_not_released"},
                )
            raise
        try:
            keys.save_response(claim, StoredResponse(status, response_text))
        except Unavailable as store_error:
            log.warning(
                "The response of an idempotency key was not stored: %s",
                store_error,
                extra={"event": "idempotent_response_not_stored"},
            )
        return _json_response(response_text, status)


def id_factory_from(id_seed: str) -> Callable[[], str]:
    """Generates the same sequence of ids for the same seed (a UUIDv7), all sorted after it."""
    base_id, counter = UUID(id_seed).int & ~0xFFFF, count(1)
    return lambda: str(UUID(int=base_id | next(counter)))


def _run_and_encode(handler: RequestHandler, write_actions: WriteActions) -> tuple[str, int]:
    payload, status = handler(write_actions)
    return current_app.json.dumps(payload), status


def _json_response(text: str, status: int) -> Response:
    return Response(text, status, content_type="application/json")


def _canonical_json(raw: bytes) -> bytes:
    """Bodies that differ only in the order of keys are equal."""
    try:
        return orjson.dumps(orjson.loads(raw), option=orjson.OPT_SORT_KEYS)
    except (orjson.JSONDecodeError, TypeError):
        return raw
