"""The requests of both ways: the same people, posts and texts in the same order, at different addresses."""

import json
from collections.abc import Sequence

from app.devtools.direct_access import create_access_token
from app.devtools.storm.comparison import PIPELINE, ROW_PER_LIKE
from app.devtools.storm.load_connection import PreparedRequest
from app.devtools.storm.options import LIKES_PER_COMMENT, StormOptions

_LIKE_PATHS = {PIPELINE: "/api/posts/{}/like", ROW_PER_LIKE: "/api/test/row-per-like/posts/{}/like"}
_COMMENT_PATHS = {PIPELINE: "/api/comments", ROW_PER_LIKE: "/api/test/row-per-like/comments"}
FEED_PATH = "/api/posts?limit=20"


def build_requests(
    way: str, options: StormOptions, people_ids: Sequence[str], post_ids: Sequence[str], jwt_secret: str
) -> list[PreparedRequest]:
    """Each way has tokens of its own: the server verifies a token that it has seen before faster."""
    tokens = [create_access_token(person_id, jwt_secret) for person_id in people_ids]
    requests = []
    for number, (person, post) in enumerate(options.iter_likes(), 1):
        post_id = post_ids[post]
        requests.append(_like_request(way, people_ids[person], tokens[person], post_id))
        if options.with_comments and number % LIKES_PER_COMMENT == 0:
            # People take turns to comment too: those of every twentieth like may always be the same.
            commenter = (number // LIKES_PER_COMMENT - 1) % options.people
            marker = f"storm-comment-{number}"
            body = json.dumps({"postId": post_id, "content": marker})
            # The checker finds the post and the text in the object.
            requests.append(
                PreparedRequest(
                    "comment",
                    people_ids[commenter],
                    f"{post_id} {marker}",
                    "POST",
                    _COMMENT_PATHS[way],
                    tokens[commenter],
                    body,
                )
            )
    return requests


def build_warm_up_requests(
    people_ids: Sequence[str], post_id: str, jwt_secret: str
) -> dict[str, list[PreparedRequest]]:
    """Way -> a like of each person."""
    tokens = [create_access_token(person_id, jwt_secret) for person_id in people_ids]
    return {
        way: [
            _like_request(way, person_id, token, post_id)
            for person_id, token in zip(people_ids, tokens, strict=True)
        ]
        for way in _LIKE_PATHS
    }


def build_feed_request(person_id: str, jwt_secret: str) -> PreparedRequest:
    token = create_access_token(person_id, jwt_secret)
    return PreparedRequest("read", person_id, "feed", "GET", FEED_PATH, token)


def _like_request(way: str, person_id: str, token: str, post_id: str) -> PreparedRequest:
    return PreparedRequest("like", person_id, post_id, "PUT", _LIKE_PATHS[way].format(post_id), token)
