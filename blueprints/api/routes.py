"""The table of all API routes, from which the OpenAPI document is built (blueprints/api/openapi.py).

tests/unit/http/test_routes.py compares it with app.url_map.
"""

from blueprints.api.auth import LogoutBody, RefreshBody
from blueprints.api.passwords import (
    ChangePasswordBody,
    EmptyBody,
    RequestPasswordResetBody,
    ResetPasswordBody,
    VerifyCodeBody,
)
from blueprints.api.preferences import PreferencesBody
from blueprints.api.users import DeleteAccountBody, ProfileBody
from blueprints.http.route_spec import RequiredAuthority, RouteSpec
from blueprints.http.schemas import (
    CommentBody,
    DemoEventBody,
    EventBody,
    LoginBody,
    PostBody,
    QueueEntryIdsBody,
    ReadAllBody,
    RegisterBody,
    ReplyBody,
    ServiceCommandBody,
    SimulateFollowsBody,
    SimulatePostActivityBody,
    UndoReadAllBody,
)

OPEN, USER, OWNER, ADMIN, OPERATOR, SERVICE, TESTING = RequiredAuthority
_LIST_QUERY = "page limit:100 cursor"
_POSTS_QUERY = "page limit:50 cursor"
_FILTER_QUERY = " unreadOnly priority type"
_DATABASE_KEYS, _NOTIFICATION_KEYS, _PAGE_KEYS = (
    "data timestamp",
    "notification",
    "pagination? nextCursor",
)
_SESSION_KEYS, _LIKE_KEYS = "user token refreshToken", "liked likesCount"
_FOLLOW_KEYS = "following followersCount"
_ACCEPTED_EVENT_KEYS, _SIMULATE_PATH = "status message eventId", "/api/test/simulate-"
_SIMULATION_KEYS = "message results"
_LIKE_SIMULATION_KEYS = _SIMULATION_KEYS + " deliveryType stats"

ROUTES: tuple[RouteSpec, ...] = (
    RouteSpec("GET", "/health", OPEN, ""),
    RouteSpec(
        "GET", "/ready", OPEN,
        "status dependencies redisFailover redisFailoverReason redisDataLoss", "503",
    ),
    RouteSpec("GET", "/metrics", OPEN, "", "404"),
    RouteSpec("GET", "/openapi.json", OPEN, ""),
    RouteSpec("GET", "/docs", OPEN, ""),
    # Accounts
    RouteSpec("POST", "/api/auth/register", OPEN, _SESSION_KEYS, "409 429", "", RegisterBody, 201),
    RouteSpec("POST", "/api/auth/login", OPEN, _SESSION_KEYS, "401 429", "", LoginBody),
    RouteSpec("POST", "/api/auth/refresh", OPEN, "token refreshToken", "401", "", RefreshBody),
    RouteSpec("POST", "/api/auth/logout", USER, "message", body_schema=LogoutBody, body_optional=True),
    RouteSpec("POST", "/api/auth/logout-all", USER, "message"),
    RouteSpec("GET", "/api/auth/me", USER, "user"),
    RouteSpec("POST", "/api/auth/password", USER, "message", body_schema=ChangePasswordBody),
    RouteSpec(
        "POST", "/api/auth/password/reset-request", OPEN, "message", "429", "",
        RequestPasswordResetBody,
    ),
    RouteSpec("POST", "/api/auth/password/reset", OPEN, "message", "", "", ResetPasswordBody),
    RouteSpec(
        "POST", "/api/auth/otp/request", USER, "message", body_schema=EmptyBody, body_optional=True
    ),
    RouteSpec("POST", "/api/auth/otp/verify", USER, "verified", body_schema=VerifyCodeBody),
    # Users
    RouteSpec("GET", "/api/users", OPEN, "users nextCursor", "", "q! " + _LIST_QUERY),
    RouteSpec("GET", "/api/users/search", OPEN, "users nextCursor", "", "q! " + _LIST_QUERY),
    RouteSpec("GET", "/api/users/{id}", OPEN, "user", "404"),
    RouteSpec("PATCH", "/api/users/{id}", OWNER, "user", "404", "", ProfileBody),
    RouteSpec("DELETE", "/api/users/{id}", OWNER, "message", "404", "", DeleteAccountBody),
    RouteSpec("PUT", "/api/follows/{id}", USER, _FOLLOW_KEYS, "404"),
    RouteSpec("DELETE", "/api/follows/{id}", USER, _FOLLOW_KEYS, "404"),
    RouteSpec("POST", "/api/follows/{id}", USER, _FOLLOW_KEYS, "404"),
    RouteSpec("GET", "/api/follows/{id}/followers", OPEN, "followers nextCursor", "404", _LIST_QUERY),
    RouteSpec("GET", "/api/follows/{id}/following", OPEN, "following nextCursor", "404", _LIST_QUERY),
    RouteSpec("PUT", "/api/follows/{id}/bell", USER, "bellEnabled", "404"),
    RouteSpec("DELETE", "/api/follows/{id}/bell", USER, "bellEnabled", "404"),
    RouteSpec("POST", "/api/follows/{id}/bell", USER, "bellEnabled", "404"),
    # Posts and comments
    RouteSpec("GET", "/api/posts", OPEN, "posts " + _PAGE_KEYS, "", "userId " + _POSTS_QUERY),
    RouteSpec("POST", "/api/posts", USER, "post", "", "", PostBody, 201, idempotent=True),
    RouteSpec("GET", "/api/posts/{id}", OPEN, "post", "404"),
    RouteSpec("DELETE", "/api/posts/{id}", OWNER, "message", "404"),
    RouteSpec("GET", "/api/posts/{id}/likes", OPEN, "users nextCursor", "404", _LIST_QUERY),
    RouteSpec("PUT", "/api/posts/{id}/like", USER, _LIKE_KEYS, "404"),
    RouteSpec("DELETE", "/api/posts/{id}/like", USER, _LIKE_KEYS, "404"),
    RouteSpec("POST", "/api/posts/{id}/like", USER, _LIKE_KEYS, "404"),
    RouteSpec("POST", "/api/posts/{id}/share", USER, "shared", "404"),
    RouteSpec("GET", "/api/comments", OPEN, "comments nextCursor", "404", "postId! " + _LIST_QUERY),
    RouteSpec("POST", "/api/comments", USER, "comment", "404", "", CommentBody, 201, idempotent=True),
    RouteSpec(
        "POST", "/api/comments/{id}/reply", USER, "comment", "404", "", ReplyBody, 201,
        idempotent=True,
    ),
    RouteSpec("DELETE", "/api/comments/{id}", OWNER, "message", "404"),
    RouteSpec("PUT", "/api/bookmarks/{id}", USER, "bookmarked", "404"),
    RouteSpec("DELETE", "/api/bookmarks/{id}", USER, "bookmarked", "404"),
    RouteSpec("POST", "/api/bookmarks/{id}", USER, "bookmarked", "404"),
    RouteSpec("GET", "/api/bookmarks", USER, "bookmarks nextCursor", "", _LIST_QUERY),
    RouteSpec("GET", "/api/bookmarks/check", USER, "bookmarkedPostIds", "", "postIds"),
    # Mutes, blocks and preferences
    RouteSpec("PUT", "/api/mutes/users/{id}", USER, "muted", "404"),
    RouteSpec("DELETE", "/api/mutes/users/{id}", USER, "muted", "404"),
    RouteSpec("PUT", "/api/mutes/posts/{id}", USER, "muted", "404"),
    RouteSpec("DELETE", "/api/mutes/posts/{id}", USER, "muted", "404"),
    RouteSpec("GET", "/api/mutes", USER, "users posts nextCursor", "", _LIST_QUERY),
    RouteSpec("PUT", "/api/blocks/{id}", USER, "blocked", "404"),
    RouteSpec("DELETE", "/api/blocks/{id}", USER, "blocked", "404"),
    RouteSpec("GET", "/api/blocks", USER, "users nextCursor", "", _LIST_QUERY),
    RouteSpec("GET", "/api/preferences/{id}", OWNER, "preferences", "404"),
    RouteSpec("PUT", "/api/preferences/{id}", OWNER, "preferences", "404", body_schema=PreferencesBody),
    RouteSpec("PATCH", "/api/preferences/{id}", OWNER, "preferences", "404", body_schema=PreferencesBody),
    # Notifications
    RouteSpec(
        "GET", "/api/notifications/{id}", OWNER, "notifications " + _PAGE_KEYS, "",
        _LIST_QUERY + _FILTER_QUERY,
    ),
    RouteSpec("GET", "/api/notifications/{id}/unread-count", OWNER, "count breakdown version"),
    RouteSpec("GET", "/api/notifications/{id}/grouped", OWNER, "grouped stats"),
    RouteSpec("GET", "/api/notifications/{id}/totals", OWNER, "types version"),
    RouteSpec(
        "PATCH", "/api/notifications/{id}/read-all", OWNER, "updatedCount readAt",
        body_schema=ReadAllBody, body_optional=True,
    ),
    RouteSpec(
        "PATCH", "/api/notifications/{id}/unread-all", OWNER, "updatedCount",
        body_schema=UndoReadAllBody,
    ),
    RouteSpec(
        "PATCH", "/api/notifications/{id}/seen", OWNER, "updatedCount",
        body_schema=ReadAllBody, body_optional=True,
    ),
    RouteSpec("GET", "/api/notifications/{id}/actors", OWNER, "actors nextCursor", "404", _LIST_QUERY),
    RouteSpec("GET", "/api/notifications/{id}/why", OWNER, "steps", "404"),
    RouteSpec("PATCH", "/api/notifications/{id}/read", OWNER, _NOTIFICATION_KEYS, "404"),
    RouteSpec("PATCH", "/api/notifications/{id}/unread", OWNER, _NOTIFICATION_KEYS, "404"),
    RouteSpec("PATCH", "/api/notifications/{id}/archive", OWNER, _NOTIFICATION_KEYS, "404"),
    RouteSpec("PATCH", "/api/notifications/{id}/unarchive", OWNER, _NOTIFICATION_KEYS, "404"),
    RouteSpec("DELETE", "/api/notifications/{id}", OWNER, "message", "404"),
    # Other servers
    RouteSpec("POST", "/api/events", SERVICE, _ACCEPTED_EVENT_KEYS, "", "", EventBody, 202, True),
    RouteSpec("POST", "/api/events/trigger", SERVICE, _ACCEPTED_EVENT_KEYS, "", "", EventBody, 202, True),
    # Operations
    RouteSpec("GET", "/api/admin/stats", ADMIN, "stats"),
    RouteSpec(
        "GET", "/api/admin/pipeline", ADMIN,
        "stages workers missingLoops problems unavailable timestamp",
    ),
    RouteSpec("GET", "/api/admin/events", ADMIN, "items", "", "limit:50"),
    RouteSpec("GET", "/api/admin/trace/{id}", ADMIN, "eventId steps", "404"),
    RouteSpec("GET", "/api/admin/windows", ADMIN, "items nextCursor", "", _LIST_QUERY),
    RouteSpec("POST", "/api/admin/windows/flush", ADMIN, "flushed"),
    RouteSpec("GET", "/api/admin/delivery-log", ADMIN, "entries nextCursor", "", "userId! " + _LIST_QUERY),
    RouteSpec("GET", "/api/admin/fallback", ADMIN, "items nextCursor", "", _LIST_QUERY),
    RouteSpec("POST", "/api/admin/fallback/replay", ADMIN, "changed", body_schema=QueueEntryIdsBody),
    RouteSpec("POST", "/api/admin/fallback/discard", ADMIN, "changed", body_schema=QueueEntryIdsBody),
    RouteSpec("GET", "/api/admin/dead-letters", ADMIN, "items nextCursor", "", _LIST_QUERY),
    RouteSpec("POST", "/api/admin/dead-letters/replay", ADMIN, "changed", body_schema=QueueEntryIdsBody),
    RouteSpec("POST", "/api/admin/dead-letters/discard", ADMIN, "changed", body_schema=QueueEntryIdsBody),
    RouteSpec(
        "GET", "/api/admin/db/{name}", OPERATOR, _DATABASE_KEYS + " total nextCursor", "404", _LIST_QUERY
    ),
    RouteSpec("GET", "/api/admin/db/stats", OPERATOR, _DATABASE_KEYS),
    RouteSpec("GET", "/api/admin/db/pending", OPERATOR, _DATABASE_KEYS, "", "table limit:100"),
    RouteSpec("DELETE", "/api/admin/db/clear", OPERATOR, "message timestamp"),
    # The simulator
    RouteSpec(
        "POST", _SIMULATE_PATH + "likes", TESTING, _LIKE_SIMULATION_KEYS, "404", "", SimulatePostActivityBody
    ),
    RouteSpec(
        "POST", _SIMULATE_PATH + "comments", TESTING, _SIMULATION_KEYS, "404", "", SimulatePostActivityBody
    ),
    RouteSpec("POST", _SIMULATE_PATH + "follows", TESTING, _SIMULATION_KEYS, "404", "", SimulateFollowsBody),
    RouteSpec("DELETE", "/api/test/cleanup", TESTING, "message"),
    RouteSpec("POST", "/api/test/demo", TESTING, "type eventId", body_schema=DemoEventBody),
    RouteSpec("GET", "/api/test/progress", TESTING, "events", query_params="events!"),
    RouteSpec("GET", "/api/test/services", TESTING, "services"),
    RouteSpec(
        "POST", "/api/test/services/{service}", TESTING, "service command", "404 409",
        body_schema=ServiceCommandBody, success_status=202,
    ),
)  # fmt: skip
