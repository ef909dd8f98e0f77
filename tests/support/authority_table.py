"""The expected status of each route for each caller (anonymous, other user, owner, administrator).

Names in braces are fields of RouteTestData (tests/support/real_store_app.py): the owner has the post,
the comment and the notification row; `unknown` is an id of nothing.
"""

from typing import Any

CALLERS = ("anonymous", "other", "owner", "admin")
_STATUS_TABLE = """
GET /health                                         200 200 200 200
GET /ready                                          200 200 200 200
GET /metrics                                        200 200 200 200
GET /openapi.json                                   200 200 200 200
GET /docs                                           200 200 200 200
POST /api/auth/register                             201 201 201 201
POST /api/auth/login                                200 200 200 200
POST /api/auth/refresh                              200 200 200 200
POST /api/auth/logout                               401 200 200 200
POST /api/auth/logout-all                           401 200 200 200
GET /api/auth/me                                    401 200 200 200
POST /api/auth/password                             401 200 200 200
POST /api/auth/password/reset-request               200 200 200 200
POST /api/auth/password/reset                       400 400 400 400
POST /api/auth/otp/request                          401 200 200 200
POST /api/auth/otp/verify                           401 400 400 400
GET /api/users?q=owner                              200 200 200 200
GET /api/users/search?q=owner                       200 200 200 200
GET /api/users/{owner}                              200 200 200 200
PATCH /api/users/{owner}                            401 403 200 403
DELETE /api/users/{owner}                           401 403 200 403
PUT /api/follows/{owner}                            401 200 400 200
DELETE /api/follows/{owner}                         401 200 400 200
POST /api/follows/{owner}                           401 200 400 200
GET /api/follows/{owner}/followers                  200 200 200 200
GET /api/follows/{owner}/following                  200 200 200 200
PUT /api/follows/{owner}/bell                       401 400 400 400
DELETE /api/follows/{owner}/bell                    401 200 200 200
POST /api/follows/{owner}/bell                      401 400 400 400
GET /api/posts                                      200 200 200 200
POST /api/posts                                     401 201 201 201
GET /api/posts/{post}                               200 200 200 200
DELETE /api/posts/{post}                            401 403 200 403
GET /api/posts/{post}/likes                         200 200 200 200
PUT /api/posts/{post}/like                          401 200 200 200
DELETE /api/posts/{post}/like                       401 200 200 200
POST /api/posts/{post}/like                         401 200 200 200
POST /api/posts/{post}/share                        401 200 200 200
GET /api/comments?postId={post}                     200 200 200 200
POST /api/comments                                  401 201 201 201
POST /api/comments/{comment}/reply                  401 201 201 201
DELETE /api/comments/{comment}                      401 403 200 403
PUT /api/bookmarks/{post}                           401 200 200 200
DELETE /api/bookmarks/{post}                        401 200 200 200
POST /api/bookmarks/{post}                          401 200 200 200
GET /api/bookmarks                                  401 200 200 200
GET /api/bookmarks/check?postIds={post}             401 200 200 200
PUT /api/mutes/users/{owner}                        401 200 400 200
DELETE /api/mutes/users/{owner}                     401 200 400 200
PUT /api/mutes/posts/{post}                         401 200 200 200
DELETE /api/mutes/posts/{post}                      401 200 200 200
GET /api/mutes                                      401 200 200 200
PUT /api/blocks/{owner}                             401 200 400 200
DELETE /api/blocks/{owner}                          401 200 200 200
GET /api/blocks                                     401 200 200 200
GET /api/preferences/{owner}                        401 403 200 403
PUT /api/preferences/{owner}                        401 403 200 403
PATCH /api/preferences/{owner}                      401 403 200 403
GET /api/notifications/{owner}                      401 403 200 403
GET /api/notifications/{owner}/unread-count         401 403 200 403
GET /api/notifications/{owner}/grouped              401 403 200 403
GET /api/notifications/{owner}/totals               401 403 200 403
PATCH /api/notifications/{owner}/read-all           401 403 200 403
PATCH /api/notifications/{owner}/unread-all         401 403 200 403
PATCH /api/notifications/{owner}/seen               401 403 200 403
GET /api/notifications/{row}/actors                 401 403 200 403
GET /api/notifications/{row}/why                    401 403 200 403
PATCH /api/notifications/{row}/read                 401 403 200 403
PATCH /api/notifications/{row}/unread               401 403 200 403
PATCH /api/notifications/{row}/archive              401 403 200 403
PATCH /api/notifications/{row}/unarchive            401 403 200 403
DELETE /api/notifications/{row}                     401 403 200 403
POST /api/events                                    401 401 401 401
POST /api/events/trigger                            401 401 401 401
GET /api/admin/stats                                401 403 403 200
GET /api/admin/pipeline                             401 403 403 200
GET /api/admin/events                               401 403 403 200
GET /api/admin/trace/{unknown}                      401 403 403 404
GET /api/admin/windows                              401 403 403 200
POST /api/admin/windows/flush                       401 403 403 200
GET /api/admin/delivery-log?userId={owner}          401 403 403 200
GET /api/admin/fallback                             401 403 403 200
POST /api/admin/fallback/replay                     401 403 403 200
POST /api/admin/fallback/discard                    401 403 403 200
GET /api/admin/dead-letters                         401 403 403 200
POST /api/admin/dead-letters/replay                 401 403 403 200
POST /api/admin/dead-letters/discard                401 403 403 200
GET /api/admin/db/{view}                            401 200 200 200
GET /api/admin/db/stats                             401 200 200 200
GET /api/admin/db/pending                           401 200 200 200
DELETE /api/admin/db/clear                          401 200 200 200
POST /api/test/simulate-likes                       401 200 200 200
POST /api/test/simulate-comments                    401 200 200 200
POST /api/test/simulate-follows                     401 200 200 200
DELETE /api/test/cleanup                            401 200 200 200
POST /api/test/demo                                 401 200 200 200
GET /api/test/progress?events={unknown}             401 200 200 200
GET /api/test/services                              401 200 200 200
POST /api/test/services/{service}                   401 202 202 202
"""


def _parse_line(line: str) -> tuple[str, tuple[int, ...]]:
    method, path, *statuses = line.split()
    return f"{method} {path}", tuple(map(int, statuses))


EXPECTED_STATUSES = dict(_parse_line(line) for line in _STATUS_TABLE.strip().splitlines())


def request_bodies(route_data: Any) -> dict[str, Any]:
    """Valid request bodies of the routes that need one."""
    password = "Passw0rd"
    new_username = f"new_{route_data.unknown[-12:]}"
    simulation_body = {"postId": route_data.post, "targetUserId": route_data.owner, "count": 1}
    ids = {"ids": [route_data.unknown]}
    bodies = {
        "POST /api/auth/register": {
            "email": f"{new_username}@example.org",
            "username": new_username,
            "password": password,
        },
        "POST /api/auth/login": {"email": route_data.email, "password": password},
        "POST /api/auth/password": {"currentPassword": password, "newPassword": "An0ther-one"},
        "POST /api/auth/password/reset-request": {"email": route_data.email},
        "POST /api/auth/password/reset": {"token": "unknown", "newPassword": "An0ther-one"},
        "POST /api/auth/otp/verify": {"code": "000000"},
        "PATCH /api/users/{owner}": {"bio": "Hello"},
        "DELETE /api/users/{owner}": {"password": password},
        "PATCH /api/notifications/{owner}/unread-all": {"readAt": "2026-01-01T00:00:00.000Z"},
        "POST /api/posts": {"caption": "Hello"},
        "POST /api/comments": {"postId": route_data.post, "content": "Hi"},
        "POST /api/comments/{comment}/reply": {"content": "Hi"},
        "PUT /api/preferences/{owner}": {"social": False},
        "PATCH /api/preferences/{owner}": {"social": False},
        "POST /api/test/simulate-follows": {"targetUserId": route_data.owner, "count": 1},
    }
    bodies |= {
        "POST /api/test/demo": {"type": "otp"},
        "POST /api/test/services/{service}": {"verb": "resume"},  # the service runs, so nothing changes
    }
    event = {"type": "OTP", "targetId": route_data.owner}
    bodies |= dict.fromkeys(("POST /api/events", "POST /api/events/trigger"), event)
    bodies |= {f"POST /api/test/simulate-{kind}": simulation_body for kind in ("likes", "comments")}
    queue_actions = [
        (queue, action) for queue in ("fallback", "dead-letters") for action in ("replay", "discard")
    ]
    return bodies | {f"POST /api/admin/{queue}/{action}": ids for queue, action in queue_actions}
