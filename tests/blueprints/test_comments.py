"""The forest of comments."""

from datetime import UTC, datetime

import orjson
from flask import Flask

from app.stores.comments import Comment
from app.stores.users import Mini
from blueprints.comments import nested

ANN = Mini("a", "ann", "Ann", None)


def comment(number: int, parent: int | None = None) -> Comment:
    moment = datetime.fromtimestamp(number, UTC)
    return Comment(str(number), "p", "a", "hi", None if parent is None else str(parent), moment)


def test_replies_stand_under_what_they_answer(app: Flask) -> None:
    children = {"1": [comment(2, 1), comment(4, 1)], "2": [comment(3, 2)]}
    with app.app_context():
        pieces = nested([comment(5), comment(1)], children, {"a": ANN})
    found = orjson.loads(b"[" + b"".join(pieces) + b"]")
    assert [one["id"] for one in found] == ["5", "1"]
    assert [one["id"] for one in found[1]["replies"]] == ["2", "4"]
    assert found[1]["replies"][0]["replies"][0]["id"] == "3"
    assert found[0]["replies"] == []


def test_a_chain_deeper_than_any_stack(app: Flask) -> None:
    children = {str(n): [comment(n + 1, n)] for n in range(1, 5_000)}
    with app.app_context():
        pieces = nested([comment(1)], children, {"a": ANN})
    assert b"".join(pieces).count(b'"replies":[') == 5_000
