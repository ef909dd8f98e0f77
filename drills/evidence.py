"""Evidence: what is there in the end, read from tables, log and API, as plain values.

In    PostgreSQL, DynamoDB, the web processes; drills/books.py for what tables must say together
Out   drills/checker.py
"""

import json
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any
from uuid import UUID

import boto3

from app.stores.delivery_log import TABLE
from drills.books import Books
from drills.cast import Cast
from drills.rig import Rig

Pairs = dict[tuple[str, str], bool]


@dataclass
class Evidence:
    wishes: dict[str, Pairs] = field(default_factory=dict)
    """Table -> (what, who) -> stands."""
    comments: list[str] = field(default_factory=list)
    """Their texts, which are marks."""
    critical: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """Person -> (row, event) of each code."""
    frame_seq: dict[str, int] = field(default_factory=dict)
    """Listener -> number of the last frame."""
    frames: set[tuple[str, int]] = field(default_factory=set)
    logged: set[tuple[str, int]] = field(default_factory=set)
    counts: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Post -> rows of likes and comments."""
    shown: list[dict[str, tuple[int, int]]] = field(default_factory=list)
    """Per web process: post -> likes and comments as the API says."""
    books: list[str] = field(default_factory=list)
    dead_letters: set[tuple[str, str]] = field(default_factory=set)
    stages: list[dict[str, Any]] = field(default_factory=list)
    memory: dict[str, list[float]] = field(default_factory=dict)


def born_ms(uuid7: str) -> int:
    """When a UUIDv7 was made."""
    return UUID(uuid7).int >> 80


def gather(rig: Rig, cast: Cast, memory: dict[str, list[float]]) -> Evidence:
    found = Evidence(memory=memory)
    found.wishes = stored_wishes(rig, cast)
    found.comments = stored_comments(rig, cast)
    found.critical = stored_codes(rig, cast)
    found.frame_seq = frame_numbers(rig, cast.listeners)
    found.frames = {
        (str(who), int(str(seq)))
        for who, seq in rig.rows(
            "select user_id::text, seq from outbox where seq is not null "
            "and user_id = any(cast(:people as uuid[]))",
            people=cast.everybody,
        )
    }
    found.logged = logged(rig, set(cast.everybody))
    found.counts = {
        str(post): (int(str(likes)), int(str(comments)))
        for post, likes, comments in rig.rows(_COUNTS, posts=cast.posts)
    }
    found.shown = [_shown(port, cast) for port in rig.ports]
    found.books = Books(rig.engine, rig.redis).faults()
    found.dead_letters = dead_letters(rig)
    found.stages = ask(rig.ports[0], "/api/admin/pipeline", cast.tokens[cast.admin])["stages"]
    return found


_COUNTS = (
    "select p.id::text, (select count(*) from active_likes l where l.post_id = p.id), "
    "(select count(*) from comments c where c.post_id = p.id and c.active) "
    "from posts p where p.id = any(cast(:posts as uuid[]))"
)


def stored_wishes(rig: Rig, cast: Cast) -> dict[str, Pairs]:
    books = Books(rig.engine, rig.redis)
    posts, people = set(cast.posts), set(cast.everybody)
    likes = {pair: on for pair, on in books.wishes("likes").items() if pair[0] in posts}
    follows = {pair: on for pair, on in books.wishes("follows").items() if pair[0] in people}
    return {"likes": likes, "follows": follows}


def stored_comments(rig: Rig, cast: Cast) -> list[str]:
    rows = rig.rows(
        "select content from comments where active and post_id = any(cast(:posts as uuid[]))",
        posts=cast.posts,
    )
    return [str(row[0]) for row in rows]


def stored_codes(rig: Rig, cast: Cast) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for who, row, event in rig.rows(
        "select user_id::text, id::text, object_id::text from notifications "
        "where type = 'OTP' and user_id = any(cast(:people as uuid[]))",
        people=cast.everybody,
    ):
        found.setdefault(str(who), []).append((str(row), str(event)))
    return found


def frame_numbers(rig: Rig, people: list[str]) -> dict[str, int]:
    rows = rig.rows(
        "select id::text, frame_seq from users where id = any(cast(:people as uuid[]))",
        people=people,
    )
    return {str(who): int(str(seq)) for who, seq in rows}


def dead_letters(rig: Rig) -> set[tuple[str, str]]:
    rows = rig.rows("select origin, position from dead_letters")
    return {(str(origin), str(position)) for origin, position in rows}


def logged(rig: Rig, people: set[str]) -> set[tuple[str, int]]:
    """What the delivery log has of them, straight from DynamoDB, past any proxy."""
    direct = rig.services.env("dynamodb")
    client = boto3.client(
        "dynamodb",
        endpoint_url=direct["DYNAMODB_ENDPOINT_URL"],
        region_name=direct["AWS_REGION"],
        aws_access_key_id=direct["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=direct["AWS_SECRET_ACCESS_KEY"],
    )
    found: set[tuple[str, int]] = set()
    for page in client.get_paginator("scan").paginate(TableName=TABLE):
        for item in page["Items"]:
            if item["userId"]["S"] in people and item.get("seq"):
                found.add((item["userId"]["S"], int(item["seq"]["N"])))
    return found


def ask(port: int, path: str, token: str) -> dict[str, Any]:
    link = HTTPConnection("127.0.0.1", port, timeout=15)
    try:
        link.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        answer = link.getresponse()
        raw = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"GET {path} was answered {answer.status}: {raw[:200]!r}")
        return dict(json.loads(raw))
    finally:
        link.close()


def _shown(port: int, cast: Cast) -> dict[str, tuple[int, int]]:
    found = {}
    for post in cast.posts:
        one = ask(port, f"/api/posts/{post}", cast.tokens[cast.admin])["post"]
        found[post] = (int(one["likesCount"]), int(one["commentsCount"]))
    return found
