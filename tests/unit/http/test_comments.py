"""Encoding of comment trees."""

from datetime import UTC, datetime

import orjson
from flask import Flask

from app.ingest.comments import Comment
from app.social.users import UserSummary
from blueprints.api.comments import encode_comment_tree

AUTHOR = UserSummary("a", "ann", "Ann", None)


def _comment(number: int, parent: int | None = None) -> Comment:
    created_at = datetime.fromtimestamp(number, UTC)
    return Comment(str(number), "p", "a", "hi", None if parent is None else str(parent), created_at)


def test_replies_are_nested_under_their_parent(app: Flask) -> None:
    replies_by_parent = {"1": [_comment(2, 1), _comment(4, 1)], "2": [_comment(3, 2)]}
    with app.app_context():
        chunks = encode_comment_tree([_comment(5), _comment(1)], replies_by_parent, {"a": AUTHOR})
    comments = orjson.loads(b"[" + b"".join(chunks) + b"]")
    assert [comment["id"] for comment in comments] == ["5", "1"]
    assert [comment["id"] for comment in comments[1]["replies"]] == ["2", "4"]
    assert comments[1]["replies"][0]["replies"][0]["id"] == "3"
    assert comments[0]["replies"] == []


def test_reply_chain_deeper_than_the_stack_is_encoded(app: Flask) -> None:
    replies_by_parent = {str(n): [_comment(n + 1, n)] for n in range(1, 5_000)}
    with app.app_context():
        chunks = encode_comment_tree([_comment(1)], replies_by_parent, {"a": AUTHOR})
    assert b"".join(chunks).count(b'"replies":[') == 5_000
