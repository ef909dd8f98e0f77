"""Reads the state after a drill from PostgreSQL, DynamoDB and the API, as plain values for the checker."""

import json
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any
from uuid import UUID

import boto3

from app.devtools.checker.store_invariants import StoreInvariants
from app.devtools.checker.write_checks import MembershipStates, StoredWrites
from app.persistence.delivery_log import TABLE_NAME
from drills.cluster import Cluster
from drills.fixtures import DrillFixtures


@dataclass
class FinalState(StoredWrites):
    last_client_seq_by_user: dict[str, int] = field(default_factory=dict)
    """Of the users with sockets."""
    sent_client_events: set[tuple[str, int]] = field(default_factory=set)
    logged_client_events: set[tuple[str, int]] = field(default_factory=set)
    row_counts_by_post: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Post id -> rows of likes and comments."""
    api_counts_by_server: list[dict[str, tuple[int, int]]] = field(default_factory=list)
    """Per web process: post id -> likes and comments in API responses."""
    store_violations: list[str] = field(default_factory=list)
    dead_letters: set[tuple[str, str]] = field(default_factory=set)
    pipeline_stages: list[dict[str, Any]] = field(default_factory=list)
    memory_samples_mb: dict[str, list[float]] = field(default_factory=dict)


def extract_uuid7_ms(uuid7: str) -> int:
    """The creation time in a UUIDv7."""
    return UUID(uuid7).int >> 80


def read_final_state(
    cluster: Cluster, fixtures: DrillFixtures, memory_samples_mb: dict[str, list[float]]
) -> FinalState:
    final_state = FinalState(memory_samples_mb=memory_samples_mb)
    final_state.memberships_by_table = read_memberships(cluster, fixtures)
    final_state.comment_texts = read_comment_texts(cluster, fixtures)
    final_state.otp_ids_by_user = read_otp_ids(cluster, fixtures)
    final_state.last_client_seq_by_user = read_last_client_seqs(cluster, fixtures.socket_user_ids)
    final_state.sent_client_events = {
        (str(user_id), int(str(client_seq)))
        for user_id, client_seq in cluster.query(
            "select user_id::text, client_seq from outbox where client_seq is not null "
            "and user_id = any(cast(:user_ids as uuid[]))",
            user_ids=fixtures.all_user_ids,
        )
    }
    final_state.logged_client_events = read_delivery_log(cluster, set(fixtures.all_user_ids))
    final_state.row_counts_by_post = {
        str(post_id): (int(str(likes)), int(str(comments)))
        for post_id, likes, comments in cluster.query(_POST_COUNTS_QUERY, post_ids=fixtures.post_ids)
    }
    final_state.api_counts_by_server = [_read_api_counts(port, fixtures) for port in cluster.web_ports]
    final_state.store_violations = StoreInvariants(cluster.engine, cluster.redis).find_violations()
    final_state.dead_letters = read_dead_letters(cluster)
    final_state.pipeline_stages = get_json(
        cluster.web_ports[0], "/api/admin/pipeline", fixtures.tokens_by_user_id[fixtures.admin_id]
    )["stages"]
    return final_state


_POST_COUNTS_QUERY = (
    "select p.id::text, (select count(*) from active_likes l where l.post_id = p.id), "
    "(select count(*) from comments c where c.post_id = p.id and c.active) "
    "from posts p where p.id = any(cast(:post_ids as uuid[]))"
)


def read_memberships(cluster: Cluster, fixtures: DrillFixtures) -> dict[str, MembershipStates]:
    invariants = StoreInvariants(cluster.engine, cluster.redis)
    post_ids, user_ids = set(fixtures.post_ids), set(fixtures.all_user_ids)
    likes = {
        pair: is_active
        for pair, is_active in invariants.read_memberships("likes").items()
        if pair[0] in post_ids
    }
    follows = {
        pair: is_active
        for pair, is_active in invariants.read_memberships("follows").items()
        if pair[0] in user_ids
    }
    return {"likes": likes, "follows": follows}


def read_comment_texts(cluster: Cluster, fixtures: DrillFixtures) -> list[str]:
    rows = cluster.query(
        "select content from comments where active and post_id = any(cast(:post_ids as uuid[]))",
        post_ids=fixtures.post_ids,
    )
    return [str(row[0]) for row in rows]


def read_otp_ids(cluster: Cluster, fixtures: DrillFixtures) -> dict[str, list[tuple[str, str]]]:
    otp_ids_by_user: dict[str, list[tuple[str, str]]] = {}
    for user_id, notification_id, event_id in cluster.query(
        "select user_id::text, id::text, object_id::text from notifications "
        "where type = 'OTP' and user_id = any(cast(:user_ids as uuid[]))",
        user_ids=fixtures.all_user_ids,
    ):
        otp_ids_by_user.setdefault(str(user_id), []).append((str(notification_id), str(event_id)))
    return otp_ids_by_user


def read_last_client_seqs(cluster: Cluster, user_ids: list[str]) -> dict[str, int]:
    rows = cluster.query(
        "select id::text, client_seq from users where id = any(cast(:user_ids as uuid[]))",
        user_ids=user_ids,
    )
    return {str(user_id): int(str(client_seq)) for user_id, client_seq in rows}


def read_dead_letters(cluster: Cluster) -> set[tuple[str, str]]:
    rows = cluster.query("select origin, position from dead_letters")
    return {(str(origin), str(position)) for origin, position in rows}


def read_delivery_log(cluster: Cluster, user_ids: set[str]) -> set[tuple[str, int]]:
    """(user id, client_seq) of the log entries, read from DynamoDB without the proxy."""
    service_env = cluster.services.env("dynamodb")
    client = boto3.client(
        "dynamodb",
        endpoint_url=service_env["DYNAMODB_ENDPOINT_URL"],
        region_name=service_env["AWS_REGION"],
        aws_access_key_id=service_env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=service_env["AWS_SECRET_ACCESS_KEY"],
    )
    logged_client_events: set[tuple[str, int]] = set()
    for page in client.get_paginator("scan").paginate(TableName=TABLE_NAME):
        for item in page["Items"]:
            if item["userId"]["S"] in user_ids and item.get("seq"):
                logged_client_events.add((item["userId"]["S"], int(item["seq"]["N"])))
    return logged_client_events


def get_json(port: int, path: str, token: str) -> dict[str, Any]:
    conn = HTTPConnection("127.0.0.1", port, timeout=15)
    try:
        conn.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        response = conn.getresponse()
        body = response.read()
        if response.status != 200:
            raise RuntimeError(f"GET {path} was answered {response.status}: {body[:200]!r}")
        return dict(json.loads(body))
    finally:
        conn.close()


def _read_api_counts(port: int, fixtures: DrillFixtures) -> dict[str, tuple[int, int]]:
    counts = {}
    for post_id in fixtures.post_ids:
        post = get_json(port, f"/api/posts/{post_id}", fixtures.tokens_by_user_id[fixtures.admin_id])["post"]
        counts[post_id] = (int(post["likesCount"]), int(post["commentsCount"]))
    return counts
