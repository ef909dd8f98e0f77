"""Alembic's entry: one connection, one transaction, the URL from the settings."""

from alembic import context
from sqlalchemy import create_engine, text

from app.settings import database_url
from app.stores.postgres import driver_url
from app.stores.tables import metadata

LOCK = 4_711_001
"""Two processes that migrate at once take turns instead of failing."""


def run() -> None:
    engine = create_engine(driver_url(database_url()))
    with engine.begin() as connection:
        connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        context.configure(connection=connection, target_metadata=metadata, compare_type=True)
        context.run_migrations()


run()
