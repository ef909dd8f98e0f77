"""Audit: who intervened, in what, when."""

from sqlalchemy import Connection, Engine, text

from app.stores.postgres import speaking

MOST = 10_000


class Audits:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def note(self, actor_id: str | None, action: str, subject: str) -> None:
        with speaking("keep the audit"), self._engine.begin() as sql:
            note(sql, actor_id, action, subject)


def note(sql: Connection, actor_id: str | None, action: str, subject: str) -> None:
    """In the caller's transaction: what was done and who did it are known together or not at
    all."""
    sql.execute(_NOTE, {"actor": actor_id, "action": action, "subject": subject[:MOST]})


_NOTE = text(
    "insert into audit (actor_id, action, subject) values (cast(:actor as uuid), :action, :subject)"
)
