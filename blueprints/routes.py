"""The one table of routes, held against app.url_map by tests/blueprints/test_contract.py.

In    the bodies that validate
Out   blueprints/openapi.py
"""

from blueprints.auth import LogoutBody, RefreshBody
from blueprints.contract import Authority, Route
from blueprints.passwords import ChangeBody, CodeBody, NothingBody, ResetBody, ResetRequestBody
from blueprints.preferences import PreferencesBody
from blueprints.schemas import (
    CommentBody,
    DemoBody,
    EventBody,
    IdsBody,
    LoginBody,
    PostBody,
    ReadAllBody,
    RegisterBody,
    ReplyBody,
    SimulateBody,
    SimulateFollowsBody,
    SwitchBody,
    UnreadAllBody,
)
from blueprints.users import FarewellBody, ProfileBody

OPEN, USER, OWNER, ADMIN, OPERATOR, SERVICE, TESTING = Authority
_LIST = "page limit:100 cursor"
_POSTS = "page limit:50 cursor"
_FILTER = " unreadOnly priority type"
_DB, _ROW, _PAGED = "data timestamp", "notification", "pagination? nextCursor"
_SIGNED, _LIKED = "user token refreshToken", "liked likesCount"
_FOLLOWING = "following followersCount"
_ACCEPTED, _SIM = "status message eventId", "/api/test/simulate-"
_SIMULATED = "message results"
_SIM_LIKES = _SIMULATED + " deliveryType stats"

ROUTES: tuple[Route, ...] = (
    Route("GET", "/health", OPEN, ""),
    Route("GET", "/ready", OPEN, "status dependencies gate", "503"),
    Route("GET", "/metrics", OPEN, "", "404"),
    Route("GET", "/openapi.json", OPEN, ""),
    Route("GET", "/docs", OPEN, ""),
    # Accounts
    Route("POST", "/api/auth/register", OPEN, _SIGNED, "409 429", "", RegisterBody, 201),
    Route("POST", "/api/auth/login", OPEN, _SIGNED, "401 429", "", LoginBody),
    Route("POST", "/api/auth/refresh", OPEN, "token refreshToken", "401", "", RefreshBody),
    Route("POST", "/api/auth/logout", USER, "message", body=LogoutBody, optional=True),
    Route("POST", "/api/auth/logout-all", USER, "message"),
    Route("GET", "/api/auth/me", USER, "user"),
    Route("POST", "/api/auth/password", USER, "message", body=ChangeBody),
    Route(
        "POST", "/api/auth/password/reset-request", OPEN, "message", "429", "",
        ResetRequestBody,
    ),
    Route("POST", "/api/auth/password/reset", OPEN, "message", "", "", ResetBody),
    Route(
        "POST", "/api/auth/otp/request", USER, "message", body=NothingBody, optional=True
    ),
    Route("POST", "/api/auth/otp/verify", USER, "verified", body=CodeBody),
    # People
    Route("GET", "/api/users", OPEN, "users nextCursor", "", "q! " + _LIST),
    Route("GET", "/api/users/search", OPEN, "users nextCursor", "", "q! " + _LIST),
    Route("GET", "/api/users/{id}", OPEN, "user", "404"),
    Route("PATCH", "/api/users/{id}", OWNER, "user", "404", "", ProfileBody),
    Route("DELETE", "/api/users/{id}", OWNER, "message", "404", "", FarewellBody),
    Route("PUT", "/api/follows/{id}", USER, _FOLLOWING, "404"),
    Route("DELETE", "/api/follows/{id}", USER, _FOLLOWING, "404"),
    Route("POST", "/api/follows/{id}", USER, _FOLLOWING, "404"),
    Route("GET", "/api/follows/{id}/followers", OPEN, "followers nextCursor", "404", _LIST),
    Route("GET", "/api/follows/{id}/following", OPEN, "following nextCursor", "404", _LIST),
    Route("PUT", "/api/follows/{id}/bell", USER, "bellEnabled", "404"),
    Route("DELETE", "/api/follows/{id}/bell", USER, "bellEnabled", "404"),
    Route("POST", "/api/follows/{id}/bell", USER, "bellEnabled", "404"),
    # Posts and comments
    Route("GET", "/api/posts", OPEN, "posts " + _PAGED, "", "userId " + _POSTS),
    Route("POST", "/api/posts", USER, "post", "", "", PostBody, 201, once=True),
    Route("GET", "/api/posts/{id}", OPEN, "post", "404"),
    Route("DELETE", "/api/posts/{id}", OWNER, "message", "404"),
    Route("GET", "/api/posts/{id}/likes", OPEN, "users nextCursor", "404", _LIST),
    Route("PUT", "/api/posts/{id}/like", USER, _LIKED, "404"),
    Route("DELETE", "/api/posts/{id}/like", USER, _LIKED, "404"),
    Route("POST", "/api/posts/{id}/like", USER, _LIKED, "404"),
    Route("POST", "/api/posts/{id}/share", USER, "shared", "404"),
    Route("GET", "/api/comments", OPEN, "comments nextCursor", "404", "postId! " + _LIST),
    Route("POST", "/api/comments", USER, "comment", "404", "", CommentBody, 201, once=True),
    Route(
        "POST", "/api/comments/{id}/reply", USER, "comment", "404", "", ReplyBody, 201,
        once=True,
    ),
    Route("DELETE", "/api/comments/{id}", OWNER, "message", "404"),
    Route("PUT", "/api/bookmarks/{id}", USER, "bookmarked", "404"),
    Route("DELETE", "/api/bookmarks/{id}", USER, "bookmarked", "404"),
    Route("POST", "/api/bookmarks/{id}", USER, "bookmarked", "404"),
    Route("GET", "/api/bookmarks", USER, "bookmarks nextCursor", "", _LIST),
    Route("GET", "/api/bookmarks/check", USER, "bookmarkedPostIds", "", "postIds"),
    # Quiet
    Route("PUT", "/api/mutes/users/{id}", USER, "muted", "404"),
    Route("DELETE", "/api/mutes/users/{id}", USER, "muted", "404"),
    Route("PUT", "/api/mutes/posts/{id}", USER, "muted", "404"),
    Route("DELETE", "/api/mutes/posts/{id}", USER, "muted", "404"),
    Route("GET", "/api/mutes", USER, "users posts nextCursor", "", _LIST),
    Route("PUT", "/api/blocks/{id}", USER, "blocked", "404"),
    Route("DELETE", "/api/blocks/{id}", USER, "blocked", "404"),
    Route("GET", "/api/blocks", USER, "users nextCursor", "", _LIST),
    Route("GET", "/api/preferences/{id}", OWNER, "preferences", "404"),
    Route("PUT", "/api/preferences/{id}", OWNER, "preferences", "404", body=PreferencesBody),
    Route("PATCH", "/api/preferences/{id}", OWNER, "preferences", "404", body=PreferencesBody),
    # Notifications
    Route("GET", "/api/notifications/{id}", OWNER, "notifications " + _PAGED, "", _LIST + _FILTER),
    Route("GET", "/api/notifications/{id}/unread-count", OWNER, "count breakdown version"),
    Route("GET", "/api/notifications/{id}/grouped", OWNER, "grouped stats"),
    Route("GET", "/api/notifications/{id}/totals", OWNER, "types version"),
    Route(
        "PATCH", "/api/notifications/{id}/read-all", OWNER, "updatedCount readAt",
        body=ReadAllBody, optional=True,
    ),
    Route(
        "PATCH", "/api/notifications/{id}/unread-all", OWNER, "updatedCount",
        body=UnreadAllBody,
    ),
    Route(
        "PATCH", "/api/notifications/{id}/seen", OWNER, "updatedCount",
        body=ReadAllBody, optional=True,
    ),
    Route("GET", "/api/notifications/{id}/actors", OWNER, "actors nextCursor", "404", _LIST),
    Route("GET", "/api/notifications/{id}/why", OWNER, "steps", "404"),
    Route("PATCH", "/api/notifications/{id}/read", OWNER, _ROW, "404"),
    Route("PATCH", "/api/notifications/{id}/unread", OWNER, _ROW, "404"),
    Route("PATCH", "/api/notifications/{id}/archive", OWNER, _ROW, "404"),
    Route("PATCH", "/api/notifications/{id}/unarchive", OWNER, _ROW, "404"),
    Route("DELETE", "/api/notifications/{id}", OWNER, "message", "404"),
    # Other servers
    Route("POST", "/api/events", SERVICE, _ACCEPTED, "", "", EventBody, 202, True),
    Route("POST", "/api/events/trigger", SERVICE, _ACCEPTED, "", "", EventBody, 202, True),
    # Operations
    Route("GET", "/api/admin/stats", ADMIN, "stats"),
    Route("GET", "/api/admin/pipeline", ADMIN, "stages workers silentLoops unavailable timestamp"),
    Route("GET", "/api/admin/events", ADMIN, "items", "", "limit:50"),
    Route("GET", "/api/admin/trace/{id}", ADMIN, "eventId steps", "404"),
    Route("GET", "/api/admin/windows", ADMIN, "items nextCursor", "", _LIST),
    Route("POST", "/api/admin/windows/flush", ADMIN, "flushed"),
    Route("GET", "/api/admin/delivery-log", ADMIN, "entries nextCursor", "", "userId! " + _LIST),
    Route("GET", "/api/admin/fallback", ADMIN, "items nextCursor", "", _LIST),
    Route("POST", "/api/admin/fallback/replay", ADMIN, "changed", body=IdsBody),
    Route("POST", "/api/admin/fallback/discard", ADMIN, "changed", body=IdsBody),
    Route("GET", "/api/admin/dead-letters", ADMIN, "items nextCursor", "", _LIST),
    Route("POST", "/api/admin/dead-letters/replay", ADMIN, "changed", body=IdsBody),
    Route("POST", "/api/admin/dead-letters/discard", ADMIN, "changed", body=IdsBody),
    Route("GET", "/api/admin/db/{name}", OPERATOR, _DB + " total nextCursor", "404", _LIST),
    Route("GET", "/api/admin/db/stats", OPERATOR, _DB),
    Route("GET", "/api/admin/db/pending", OPERATOR, _DB, "", "table limit:100"),
    Route("DELETE", "/api/admin/db/clear", OPERATOR, "message timestamp"),
    # The simulator
    Route("POST", _SIM + "likes", TESTING, _SIM_LIKES, "404", "", SimulateBody),
    Route("POST", _SIM + "comments", TESTING, _SIMULATED, "404", "", SimulateBody),
    Route("POST", _SIM + "follows", TESTING, _SIMULATED, "404", "", SimulateFollowsBody),
    Route("DELETE", "/api/test/cleanup", TESTING, "message"),
    Route("POST", "/api/test/demo", TESTING, "type eventId", body=DemoBody),
    Route("GET", "/api/test/progress", TESTING, "events", query="events!"),
    Route("GET", "/api/test/services", TESTING, "services"),
    Route(
        "POST", "/api/test/services/{service}", TESTING, "service doing", "404 409",
        body=SwitchBody, status=202,
    ),
)  # fmt: skip
