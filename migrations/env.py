"""Alembic entry point: runs the migrations on one connection in one transaction."""

from alembic import context
from sqlalchemy import create_engine, text

from app.clients.postgres import psycopg2_url
from app.settings import load_database_url

ADVISORY_LOCK_ID = 4_711_001
"""Held while migrating, so that two processes run one after the other instead of failing."""


def run() -> None:
    engine = create_engine(psycopg2_url(load_database_url()))
    with engine.begin() as connection:
        connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": ADVISORY_LOCK_ID})
        context.configure(connection=connection)
        context.run_migrations()


run()
