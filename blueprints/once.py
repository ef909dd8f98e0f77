"""Idempotency-Key: the same request sent twice has one effect and one answer.

In    POST /api/posts, /api/comments, /api/comments/:id/reply, /api/events
Out   stores/idempotency.py
"""

import logging
import re
from collections.abc import Callable
from itertools import count
from uuid import UUID

import orjson
from flask import Response, current_app, request

from app.domain.errors import Rejected, Unavailable
from app.stores.idempotency import Answer, Idempotency
from app.wiring import new_id
from blueprints import parts, repeat_with
from blueprints.views import Json

log = logging.getLogger(__name__)
_KEY = re.compile(r"[\x21-\x7e]{1,200}")


def once(who: str, act: Callable[[], tuple[Json, int]]) -> Response:
    """`who` was let in already. What is refused has no effect, and may come again under the same
    key. What was unavailable may have had one: it comes again with the same ids, and so is one."""
    given = request.headers.get("Idempotency-Key")
    if given is None:
        return _response(*_said(act))
    if not _KEY.fullmatch(given):
        raise Rejected("Idempotency-Key must be 1-200 visible characters", "bad_key", 400)
    store = Idempotency(parts().redis, parts().engine)
    ticket = store.begin((who, request.path, given), _canonical(request.get_data()), new_id())
    if isinstance(ticket, Answer):
        again = _response(ticket.text, ticket.status)
        again.headers["Idempotency-Replayed"] = "true"
        return again
    repeat_with(ids_from(ticket.token), ticket.again)
    try:
        text, status = _said(act)
    except (Rejected, Unavailable) as refusal:
        try:
            (store.release if isinstance(refusal, Rejected) else store.leave)(ticket)
        except Unavailable as fault:
            log.info("A key is free again when its marker has run out: %s", fault)
        raise
    try:
        store.keep(ticket, Answer(status, text))
    except Unavailable as fault:
        log.warning("The answer of a key was not kept: %s", fault)
    return _response(text, status)


def ids_from(token: str) -> Callable[[], str]:
    """The same row of ids for the same token (a UUIDv7), all sorted behind it."""
    base, drawn = UUID(token).int & ~0xFFFF, count(1)
    return lambda: str(UUID(int=base | next(drawn)))


def _said(act: Callable[[], tuple[Json, int]]) -> tuple[str, int]:
    answer, status = act()
    return current_app.json.dumps(answer), status


def _response(text: str, status: int) -> Response:
    return Response(text, status, content_type="application/json")


def _canonical(raw: bytes) -> bytes:
    """The same words in another order are the same body."""
    try:
        return orjson.dumps(orjson.loads(raw), option=orjson.OPT_SORT_KEYS)
    except (orjson.JSONDecodeError, TypeError):
        return raw
