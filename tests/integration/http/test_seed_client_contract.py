"""What the seed's own client reads is in each response: fields, types, order.

Responses may have more fields; the seed's fields keep the seed's order among themselves.
"""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.bootstrap import SharedServices
from tests.support.api_routes import request_bodies
from tests.support.fixtures import UNKNOWN_ID
from tests.support.real_store_app import RouteTestData, auth_headers
from tests.support.real_store_app import app as app
from tests.support.real_store_app import app_services as app_services
from tests.support.real_store_app import route_data as route_data

pytestmark = pytest.mark.service
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
KINDS: dict[str, Callable[[Any], object]] = {
    "id": lambda value: isinstance(value, str) and _ID.fullmatch(value),
    "time": lambda value: isinstance(value, str) and _TIME.fullmatch(value),
    "text": lambda value: isinstance(value, str),
    "text?": lambda value: value is None or isinstance(value, str),
    "int": lambda value: type(value) is int,
    "bool": lambda value: isinstance(value, bool),
    "yes": lambda value: value is True,
    "null": lambda value: value is None,
    "any": lambda _: True,
    "texts": lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
}


def _shape(fields: str, **more: Any) -> dict[str, Any]:
    """`name:kind` in order; `name` alone stands for `more[name]`."""
    names_and_kinds = (field.partition(":") for field in fields.split())
    return {name: kind or more[name] for name, _, kind in names_and_kinds}


MINI = _shape("id:id username:text name:text? avatarUrl:text?")
POST_ROW = "id:id userId:id caption:text? imageUrl:text? createdAt:time updatedAt:time user _count "
_SUMS = {"user": MINI, "_count": _shape("likes:int comments:int")}
NEW_POST = _shape(POST_ROW + "likesCount:int commentsCount:int", **_SUMS)
POST = NEW_POST | {"isLiked": "bool"}
_COMMENT = "id:id postId:id userId:id content:text gifUrl:null parentId "
_COMMENT += "createdAt:time updatedAt:time user"
COMMENT = _shape(_COMMENT, parentId="null", user=MINI)
REPLY = COMMENT | {"parentId": "id"}
ACCOUNT = _shape("id:id email:text username:text name:text bio:text? avatarUrl:text? createdAt:time")
SIGNED = _shape("success:yes user token:text", user=ACCOUNT)
PROFILE = _shape(
    "id:id username:text name:text bio:text? avatarUrl:text? createdAt:time _count postsCount:int "
    "followersCount:int followingCount:int isFollowing:bool bellEnabled:bool",
    _count=_shape("posts:int followers:int following:int"),
)
PREFERENCES = _shape(
    "id:id userId:id emailEnabled:bool smsEnabled:bool pushEnabled:bool marketing:bool "
    "activity:bool social:bool dndEnabled:bool dndStartTime:text? dndEndTime:text?"
)
ROW = _shape(
    "id:id userId:id type:text priority:text actorId:text? actorName:text? actorAvatar:text? "
    "isAggregated:bool aggregatedCount:int title:text message:text imageUrl:text? "
    "targetType:text? targetId:text? isRead:bool channels:texts metadata:any createdAt:time"
)
WHOLE_ROW = ROW | _shape("readAt:time updatedAt:time aggregatedIds:texts deliveryStatus:text")
HISTORY = _shape(
    "id:id userId:id type:text priority:text actorName:text? isAggregated:bool aggregatedCount:int "
    "title:text message:text isRead:bool deliveryStatus:text createdAt:time"
)
FOUR = _shape("notifications:int likes:int comments:int follows:int")
PAGES = "page:int limit:int total:int totalPages:int"
RESULT = _shape("userId:id username:text success:bool")
MESSAGE = _shape("success:yes message:text")


def _ok(fields: str, **more: Any) -> dict[str, Any]:
    return _shape("success:yes " + fields, **more)


_PREFERENCES = _ok("preferences", preferences=PREFERENCES)
_HEALTH = _shape("status:text service:text timestamp:time database:text connectedUsers:int uptime:any")
ANSWERS: dict[str, dict[str, Any]] = {
    "GET /health": _HEALTH,
    "POST /api/auth/register": SIGNED,
    "POST /api/auth/login": SIGNED,
    "GET /api/users?q=owner": _ok(
        "users", users=[MINI | {"_count": _shape("followers:int"), "followersCount": "int"}]
    ),
    "GET /api/users/{owner}": _ok("user", user=PROFILE),
    "PATCH /api/users/{owner}": _ok(
        "user", user={name: kind for name, kind in ACCOUNT.items() if name != "email"}
    ),
    "POST /api/posts": _ok("post", post=NEW_POST),
    "GET /api/posts": _ok("posts pagination", posts=[POST], pagination=_shape(PAGES)),
    "GET /api/posts/{post}": _ok("post", post=POST),
    "POST /api/posts/{post}/like": _ok("liked:bool likesCount:int"),
    "DELETE /api/posts/{post}": MESSAGE,
    "POST /api/comments": _ok("comment", comment=COMMENT),
    "GET /api/comments?postId={post}": _ok("comments", comments=[COMMENT | {"replies": [REPLY]}]),
    "POST /api/comments/{comment}/reply": _ok("comment", comment=REPLY),
    "DELETE /api/comments/{comment}": MESSAGE,
    "POST /api/follows/{other}": _ok("following:bool"),
    "GET /api/follows/{owner}/followers": _ok("followers:any"),
    "GET /api/follows/{owner}/following": _ok("following:any"),
    "DELETE /api/follows/{other}/bell": _ok("bellEnabled:bool"),
    "GET /api/preferences/{owner}": _PREFERENCES,
    "PATCH /api/preferences/{owner}": _PREFERENCES,
    "POST /api/bookmarks/{post}": _ok("bookmarked:bool"),
    "GET /api/bookmarks/check?postIds={post}": _ok("bookmarkedPostIds:texts"),
    "POST /api/test/simulate-likes": _ok(
        "message:text deliveryType:text results stats",
        results=[RESULT | {"isFollower": "bool"}],
        stats=_shape("total:int followers:int nonFollowers:int"),
    ),
    "POST /api/test/simulate-comments": _ok("message:text results", results=[RESULT]),
    "POST /api/test/simulate-follows": _ok("message:text results", results=[RESULT]),
    "DELETE /api/test/cleanup": MESSAGE,
    "GET /api/notifications/{owner}": _ok(
        "notifications pagination",
        notifications=[ROW],
        pagination=_shape(PAGES + " hasMore:bool"),
    ),
    "GET /api/notifications/{owner}/unread-count": _ok(
        "count:int breakdown", breakdown=_shape("critical:int high:int low:int")
    ),
    "PATCH /api/notifications/{row}/read": _ok("notification", notification=WHOLE_ROW),
    "PATCH /api/notifications/{owner}/read-all": _ok("updatedCount:int"),
    "DELETE /api/notifications/{row}": MESSAGE,
    "GET /api/admin/db/notification-history": _ok("data total:int timestamp:time", data=[HISTORY]),
    "GET /api/admin/db/stats": _ok(
        "data timestamp:time", data=_shape("total recent", total=FOUR, recent=FOUR)
    ),
    "DELETE /api/admin/db/clear": _shape("success:yes message:text timestamp:time"),
}
EXACT = (HISTORY,)


def _find_mismatches(value: Any, shape: Any, where: str = "answer") -> list[str]:
    """How the value differs from the shape; empty if it does not."""
    if isinstance(shape, str):
        return [] if KINDS[shape](value) else [f"{where}: {value!r} is no {shape}"]
    if isinstance(shape, list):
        if not isinstance(value, list) or not value:
            return [f"{where}: {value!r} is no list with something in it"]
        return [mismatch for item in value for mismatch in _find_mismatches(item, shape[0], f"{where}[]")]
    if not isinstance(value, dict):
        return [f"{where}: {value!r} is no object"]
    order = [name for name in value if name in shape or shape in EXACT]
    if order != list(shape):
        return [f"{where}: {order} instead of {list(shape)}"]
    return [
        mismatch
        for name, kind in shape.items()
        for mismatch in _find_mismatches(value[name], kind, f"{where}.{name}")
    ]


@pytest.mark.parametrize("route", ANSWERS)
def test_response_has_the_fields_of_the_seed_client(
    app_services: SharedServices, client: FlaskClient, route_data: RouteTestData, route: str
) -> None:
    method, path = route.split()
    app_services.actions.create_reply(route_data.other, route_data.comment, "So am I")

    response = client.open(
        path.format(**vars(route_data)),
        method=method,
        json=request_bodies(route_data).get(route),
        headers=auth_headers(app_services, route_data, "owner"),
    )

    assert response.status_code < 300, response.get_data(as_text=True)[:300]
    assert _find_mismatches(response.json, ANSWERS[route]) == []


def test_response_for_a_new_post_has_no_is_liked(
    app_services: SharedServices, client: FlaskClient, route_data: RouteTestData
) -> None:
    headers = auth_headers(app_services, route_data, "owner")
    response: Any = client.post("/api/posts", json={"caption": "Hi"}, headers=headers).json

    assert "isLiked" not in response["post"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (f"/api/posts/{UNKNOWN_ID}", "Post not found"),
        (f"/api/users/{UNKNOWN_ID}", "User not found"),
        ("/api/comments", "PostId required"),
        ("/api/users?q=", "Search query required"),
        ("/api/bookmarks", "No token provided"),
        (f"/api/notifications/{UNKNOWN_ID}", "Authorization required. Please provide a valid token."),
    ],
)
def test_error_has_the_message_of_the_seed_client(client: FlaskClient, path: str, message: str) -> None:
    response: Any = client.get(path).json

    assert (response["success"], response["error"]) == (False, message)
