"""Checkup: asks each stage how it is. Only looks; no probe event enters a stream or a topic.

In    Redis, PostgreSQL, Kafka, DynamoDB and the web process, whichever of them answer
Out   app/findings.py says what the readings mean
Next  app/diagnose.py
"""

import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis
from alembic.script import ScriptDirectory
from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from app import findings
from app.domain.errors import Unavailable
from app.domain.events import SEQ_PER_MS, seq_of_stream_id
from app.domain.routing import Topic
from app.findings import Finding, Level
from app.offsets import asking, groups_of, places_of
from app.settings import Outlook
from app.stores import postgres
from app.stores import redis as redis_store
from app.stores.delivery_log import TABLE, dynamodb
from app.stores.heartbeats import Heartbeats
from app.stores.windows import DUE
from app.streams.fallback import FallbackQueue

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"
MOST_WINDOWS = 10_000
REMEDY = {
    name: f"If it is the embedded one: python -m infra start {name}; if it is not, see its address."
    for name in ("redis", "postgres", "kafka", "dynamodb")
}
_OUTBOX = text(
    "select count(*), extract(epoch from now() - min(created_at)) from outbox "
    "where published_at is null"
)
_BACKLOG = text(
    "select extract(epoch from now() - min(created_at)) from kafka_fallback_queue "
    "where not processed"
)
_GATE = text(
    "select state, extract(epoch from now() - changed_at), reason from gates where name = 'ingress'"
)
# Due are only the oldest of each recipient: what stands behind them waits for them.
_MAIL = text("""
    select count(*), extract(epoch from now() - min(h.due_at)),
        count(*) filter (where m.last_error is not null),
        (array_agg(m.last_error order by m.id) filter (where m.last_error is not null))[1]
    from outgoing_messages m left join (
        select distinct on (user_id, channel, critical) id, due_at from outgoing_messages
        where status = 'waiting' order by user_id, channel, critical, id
    ) h on h.id = m.id
    where m.status = 'waiting'
""")
_LETTERS = text(
    "select count(*) over (), reason from dead_letters where status = 'waiting' "
    "order by created_at desc limit 1"
)


def stages(outlook: Outlook) -> dict[str, Callable[[], list[Finding]]]:
    """One question per service, so that one which hangs hides no other."""
    return {
        "web": lambda: web(outlook.host, outlook.port),
        "redis": lambda: _asked("redis", of_redis, outlook),
        "postgres": lambda: _asked("postgres", of_postgres, outlook),
        "kafka": lambda: _asked("kafka", of_kafka, outlook),
        "dynamodb": lambda: _asked("dynamodb", of_dynamodb, outlook),
    }


def _asked(
    service: str, question: Callable[[Outlook], list[Finding]], outlook: Outlook
) -> list[Finding]:
    try:
        return question(outlook)
    except (Unavailable, redis.RedisError, SQLAlchemyError, BotoCoreError, ClientError) as fault:
        cause = type(fault.__cause__ or fault).__name__
        return [findings.away(service, f"{fault} ({cause})".partition("\n")[0], REMEDY[service])]


def web(host: str, port: int) -> list[Finding]:
    host = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - compared, not bound
    netloc = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        with urllib.request.urlopen(f"http://{netloc}/ready", timeout=3) as answer:
            return [Finding("web", "ready", f"{answer.status} on {netloc}")]
    except urllib.error.HTTPError as fault:
        reading = f"{fault.code} on {netloc}"
        return [Finding("web", "ready", reading, Level.WRONG, "What it leans on is named below.")]
    except OSError as fault:
        remedy = f"Start it: make run. On another port: make diagnose PORT={port + 1}."
        return [findings.away("web", f"nothing on {netloc} ({type(fault).__name__})", remedy)]


def of_redis(outlook: Outlook) -> list[Finding]:
    connection = redis_store.client(outlook.addresses.redis_url, connections=2)
    with redis_store.speaking("answer"):
        config = _config(connection)
        status = str(connection.info("persistence").get("aof_last_write_status", "?"))
        seconds, micros = connection.time()
        now_ms = seconds * 1000 + micros // 1000
        ingress = [_shard(connection, n, now_ms) for n in range(outlook.limits.ingress_shards + 1)]
        due: Any = connection.zrange(DUE, 0, MOST_WINDOWS - 1, withscores=True)
        return [
            *findings.redis_keeps(config),
            findings.redis_writes(status),
            *ingress,
            findings.windows([(str(name), int(at)) for name, at in due], now_ms),
            *findings.heartbeats(Heartbeats(connection).ages()),
        ]


def _config(connection: redis.Redis) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in findings.KEEPS:  # one by one: Redis 6 takes no list
        answer: Any = connection.config_get(name)
        found |= answer
    return found


def _shard(connection: redis.Redis, number: int, now_ms: int) -> Finding:
    name = redis_store.key("ingress", number)
    first: Any = connection.xrange(name, count=1)
    oldest = (now_ms - seq_of_stream_id(first[0][0]) // SEQ_PER_MS) / 1000 if first else None
    heap = Finding("ingress", name, "", advice=findings.start("bridge"))
    return findings.waiting(heap, int(connection.xlen(name)), oldest, findings.INGRESS_PATIENCE)


def of_postgres(outlook: Outlook) -> list[Finding]:
    engine = postgres.engine(outlook.addresses.database_url, name="diagnose")
    head = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    with postgres.speaking("answer"):
        with engine.connect() as sql:
            if sql.execute(text("select to_regclass('alembic_version')")).scalar() is None:
                return [findings.migrated(None, head)]
            current = sql.execute(text("select version_num from alembic_version")).scalar()
            if current != head:
                return [findings.migrated(current, head)]
            unpublished, frame_age = sql.execute(_OUTBOX).one()
            row_age = sql.execute(_BACKLOG).scalar()
            gate = sql.execute(_GATE).one_or_none() or (None, 0, "")
            mail = sql.execute(_MAIL).one()
            letters = sql.execute(_LETTERS).one_or_none() or (0, None)
        pending, failed = FallbackQueue(engine, outlook.limits.fallback_max_retries).counts()
    outbox = Finding("outbox", "unpublished", "", advice=findings.start("flusher"))
    backlog = Finding("fallback", "backlog", "", advice="Kafka or the bridge is away; see those.")
    return [
        findings.migrated(current, head),
        findings.waiting(backlog, pending, _seconds(row_age), findings.FALLBACK_PATIENCE),
        findings.fallback_failed(failed),
        findings.waiting(outbox, unpublished, _seconds(frame_age), findings.OUTBOX_PATIENCE),
        findings.mail(mail[0], _seconds(mail[1]) or 0.0, mail[2], mail[3]),
        findings.gate(gate[0], float(gate[1]), gate[2]),
        findings.dead_letters(letters[0], letters[1]),
    ]


def _seconds(value: Any) -> float | None:
    return None if value is None else float(value)


def of_kafka(outlook: Outlook) -> list[Finding]:
    with asking(outlook.addresses.kafka_bootstrap_servers) as admin:
        groups = groups_of(admin)
        places = places_of(admin, groups)
        found = [findings.topics(admin.list_topics(), [topic.value for topic in Topic])]
    for name, (state, members) in groups.items():
        lag = sum(one.lag for one in places if one.group == name)
        found.append(findings.group(name, state, members, lag))
    return found


def of_dynamodb(outlook: Outlook) -> list[Finding]:
    addresses = outlook.addresses
    client = dynamodb(addresses.dynamodb_endpoint_url, addresses.aws_region)
    try:
        state = client.describe_table(TableName=TABLE)["Table"]["TableStatus"]
    except client.exceptions.ResourceNotFoundException:
        advice = "The recorder makes it. " + findings.start("deliverer")
        return [Finding("dynamodb", TABLE, "missing", Level.WRONG, advice)]
    return [Finding("dynamodb", TABLE, str(state).lower())]
