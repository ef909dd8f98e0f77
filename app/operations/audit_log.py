"""Audit log: which user made which administrative change, and when."""

from sqlalchemy import Connection, Engine, text

from app.clients.postgres import translate_errors

MAX_SUBJECT_LENGTH = 10_000


class AuditLog:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def record(self, actor_id: str | None, action: str, subject: str) -> None:
        with translate_errors("write the audit log"), self._engine.begin() as conn:
            insert_audit_entry(conn, actor_id, action, subject)


def insert_audit_entry(conn: Connection, actor_id: str | None, action: str, subject: str) -> None:
    """In the transaction of the caller, so that the change and its entry are committed together."""
    conn.execute(_INSERT, {"actor": actor_id, "action": action, "subject": subject[:MAX_SUBJECT_LENGTH]})


_INSERT = text(
    "insert into audit_log (actor_id, action, details) values (cast(:actor as uuid), :action, :subject)"
)
