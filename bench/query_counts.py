"""Counts the Redis commands and SQL statements per like, at the servers, for S1.

The web process must be warm, and no worker may run.
"""

import time
from collections.abc import Mapping
from http.client import HTTPConnection

from sqlalchemy import text

from bench.harness import BenchHarness
from bench.results import BenchmarkResult
from harness.fixtures import create_posts, create_users, init_caches
from harness.processes import ManagedProcess
from harness.redis_commands import count_redis_commands

LIKE_COUNT = 500


def count_calls(
    result: BenchmarkResult, harness: BenchHarness, web: ManagedProcess, access_token: str
) -> None:
    """Sends likes and adds what MONITOR and pg_stat_statements counted to the result."""
    services = harness.worker_services.services
    [owner_id] = create_users(services.engine, 1)
    [post_id] = create_posts(services.engine, owner_id, 1)
    init_caches(services.memberships, owner_id, [post_id])
    path = f"/api/posts/{post_id}/like"
    _send_likes(web.port, path, access_token, 1)  # the process learns the owner of the post
    started_at = time.monotonic()
    with services.engine.connect() as base_conn:
        conn = base_conn.execution_options(isolation_level="AUTOCOMMIT")
        conn.execute(text("create extension if not exists pg_stat_statements"))
        conn.execute(text("select pg_stat_statements_reset()"))
        redis_commands = count_redis_commands(
            harness.redis_url, lambda: _send_likes(web.port, path, access_token)
        )
        statements = conn.execute(
            text("select query, calls from pg_stat_statements where query not like '%pg_stat_state%'")
        ).all()
    script_calls = redis_commands.pop("EVALSHA", 0) + redis_commands.pop("EVAL", 0)
    max_timer_calls_each = max_timer_calls(time.monotonic() - started_at)
    statement_counts = {str(row[0]): int(row[1]) for row in statements}
    due_to_likes = {
        query: call_count
        for query, call_count in statement_counts.items()
        if call_count > max_timer_calls_each
    }
    result.facts["Redis round trips per like"] = script_calls / LIKE_COUNT
    result.facts["SQL statements per like"] = sum(due_to_likes.values()) / LIKE_COUNT
    result.facts[f"from timers during {LIKE_COUNT} likes"] = (
        f"{sum(redis_commands.values())} Redis commands, "
        f"{sum(statement_counts.values()) - sum(due_to_likes.values())} SQL statements"
    )
    result.violations += find_violations(script_calls, redis_commands, statement_counts, max_timer_calls_each)


def max_timer_calls(elapsed_seconds: float) -> float:
    """The web process may repeat a statement twice a second. One that came with every twentieth like
    would be far above that."""
    return 2 + 2 * elapsed_seconds


def find_violations(
    script_calls: int,
    other_commands: Mapping[str, int],
    statements: Mapping[str, int],
    max_timer_calls_each: float,
) -> list[str]:
    """Describes violations: a like makes exactly one Redis round trip and no SQL statement."""
    violations = []
    if script_calls != LIKE_COUNT:
        violations.append(f"{LIKE_COUNT} likes made {script_calls} script calls instead of one each")
    if excess := {
        command: call_count
        for command, call_count in other_commands.items()
        if call_count > max_timer_calls_each
    }:
        violations.append(f"likes make Redis commands besides their script: {excess}")
    if excess := {
        query[:80]: call_count
        for query, call_count in statements.items()
        if call_count > max_timer_calls_each
    }:
        violations.append(f"likes make SQL statements: {excess}")
    return violations


def _send_likes(port: int, path: str, access_token: str, like_count: int = LIKE_COUNT) -> None:
    conn = HTTPConnection("127.0.0.1", port, timeout=10)
    for i in range(like_count):
        method = "DELETE" if i % 2 else "PUT"
        conn.request(method, path, headers={"Authorization": f"Bearer {access_token}"})
        response = conn.getresponse()
        response.read()
        if response.status != 200:
            raise RuntimeError(f"a like was answered with {response.status}")
    conn.close()
