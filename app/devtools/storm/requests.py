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
        post_id, person_id, token = post_ids[post], people_ids[person], tokens[person]
        path = _LIKE_PATHS[way].format(post_id)
        requests.append(PreparedRequest("like", person_id, post_id, "PUT", path, token))
        if options.with_comments and number % LIKES_PER_COMMENT == 0:
            marker = f"storm-comment-{number}"
            body = json.dumps({"postId": post_id, "content": marker})
            # The checker finds the post and the text in the object.
            requests.append(
                PreparedRequest(
                    "comment", person_id, f"{post_id} {marker}", "POST", _COMMENT_PATHS[way], token, body
                )
            )
    return requests


def build_feed_request(person_id: str, jwt_secret: str) -> PreparedRequest:
    token = create_access_token(person_id, jwt_secret)
    return PreparedRequest("read", person_id, "feed", "GET", FEED_PATH, token)
