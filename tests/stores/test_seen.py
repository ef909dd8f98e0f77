"""Seen: one line for the log per version that its owner was shown."""

import pytest
from sqlalchemy import Engine, text

from app.stores.seen import Ack, Seen
from tests.cast import Cast, assemble, new_id

pytestmark = pytest.mark.service


def row_of(engine: Engine, cast: Cast, version: int = 2) -> str:
    made = new_id()
    with engine.begin() as sql:
        sql.execute(
            text(
                "insert into notifications (id, user_id, type, priority, object_id, generation, "
                "version, title, message) "
                "values (:id, :user, 'LIKE', 'LOW', :post, 1, :version, 't', 'm')"
            ),
            {"id": made, "user": cast.alice, "post": cast.post, "version": version},
        )
    return made


def lines(engine: Engine) -> list[tuple[object, ...]]:
    with engine.connect() as sql:
        found = sql.execute(
            text(
                "select user_id::text, seq, payload->>'id', (payload->>'version')::int "
                "from outbox where frame = 'seen' order by id"
            )
        )
        return [tuple(row) for row in found]


def test_each_version_is_recorded_once(engine: Engine) -> None:
    cast = assemble(engine)
    row, seen = row_of(engine, cast), Seen(engine)
    one, two = Ack(cast.alice, row, 1), Ack(cast.alice, row, 2)
    assert seen.record([one, two]) == 2
    assert seen.record([two, one]) == 0
    assert lines(engine) == [(cast.alice, None, row, 1), (cast.alice, None, row, 2)]


def test_rows_of_others_and_versions_that_never_were_are_left_out(engine: Engine) -> None:
    cast = assemble(engine)
    row = row_of(engine, cast)
    acks = [Ack(cast.bob, row, 1), Ack(cast.alice, row, 3), Ack(cast.alice, new_id(), 1)]
    assert Seen(engine).record(acks) == 0
    assert lines(engine) == []
