"""A pooled connection that the server closed is replaced before it is used; an open one is kept."""

import pytest
from sqlalchemy import Engine, text

from app.clients.postgres import create_pg_engine
from harness.waiting import wait_until

pytestmark = pytest.mark.service
_BACKEND_ID = text("select pg_backend_pid()")


def _backend_id(pool: Engine) -> int:
    with pool.connect() as conn:
        return int(conn.execute(_BACKEND_ID).scalar_one())


def test_connection_closed_by_the_server_is_replaced(engine: Engine) -> None:
    pool = create_pg_engine(engine.url.render_as_string(hide_password=False), pool_size=1)
    closed_id = _backend_id(pool)
    with engine.connect() as conn:
        conn.execute(text("select pg_terminate_backend(:id)"), {"id": closed_id})
    is_running = text("select exists (select from pg_stat_activity where pid = :id)")

    def is_closed() -> bool:
        with engine.connect() as conn:
            return not conn.execute(is_running, {"id": closed_id}).scalar_one()

    wait_until(is_closed, "the end of the connection", 5.0)

    assert _backend_id(pool) != closed_id
    pool.dispose()


def test_open_connection_is_used_again(engine: Engine) -> None:
    pool = create_pg_engine(engine.url.render_as_string(hide_password=False), pool_size=1)

    assert _backend_id(pool) == _backend_id(pool)
    pool.dispose()
