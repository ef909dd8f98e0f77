"""Small applications that the product is compared with, under the same gunicorn configuration.

BENCH_APP selects one (gunicorn starts `bench.baselines:app`):

    noop          responds {}
    conventional  flask-jwt-extended, a redis-py pool and one Lua call per like
    insert        a row, a counter and a commit per like; verified tokens are cached
    direct        the request itself emits to the sockets, through Socket.IO's Redis manager
    socketio      plain python-socketio; a client joins its rooms when it connects
"""
# ruff: noqa: E402 - monkey-patching must precede the other imports

from app.clients.gevent_setup import patch_all

patch_all()

import os
from functools import lru_cache
from typing import Any

import jwt
import redis
import socketio
from flask import Flask, request
from flask_jwt_extended import JWTManager, get_jwt_identity, jwt_required
from flask_socketio import SocketIO, join_room
from sqlalchemy import create_engine, text

from app.bootstrap import new_id
from app.clients.postgres import psycopg2_url
from app.clients.redis import register_script
from app.domain.routing import ingress_shard_of_object
from app.failover.redis_failover import INGRESS_ENABLED_KEY
from app.ingest.block_cache import blocked_set_key
from app.ingest.cache_loader import DEFAULT_MAX_MEMBERS
from app.ingest.ingress import ingress_key
from app.ingest.membership_kinds import POST_LIKES
from app.ingest.memberships import DesiredState
from app.messaging.socket_push import ALL_POSTS_ROOM, user_room
from app.persistence.membership_keys import blocks_idle_set_entry, idle_key, post_owner_key, user_bucket
from app.settings import load_settings
from bench.socket_clients import REDIS_CHANNEL

LIKE_PATH = "/api/posts/<post_id>/like"
LIKE_METHODS = ["PUT", "DELETE"]
_WRITE_LIKE_BY_METHOD = {
    "PUT": text("insert into likes (post_id, user_id) values (:post, :user) on conflict do nothing"),
    "DELETE": text("delete from likes where post_id = :post and user_id = :user"),
}
_UPDATE_LIKE_COUNT = text("update posts set like_count = like_count + :by where id = :post")


class NullSocketServer:
    """Replaces the sockets that gunicorn.conf.py closes when it stops."""

    def stop(self) -> None:
        return None


def build_noop_app() -> Flask:
    app = _create_flask_app()

    @app.route(LIKE_PATH, methods=LIKE_METHODS)
    def like(post_id: str) -> dict[str, Any]:
        return {}

    return app


def build_conventional_app() -> Flask:
    app = _create_flask_app()
    app.config["JWT_SECRET_KEY"] = load_settings().web.jwt_secret_key
    JWTManager(app)
    connection = redis.Redis.from_url(load_settings().service_urls.redis_url, decode_responses=True)
    set_membership = register_script(
        connection, "ingest/set_membership"
    )  # the same work in Redis as for a like of the product
    owner_ids: dict[str, str] = {}

    @app.route(LIKE_PATH, methods=LIKE_METHODS)
    @jwt_required()  # type: ignore[untyped-decorator]
    def like(post_id: str) -> dict[str, Any]:
        desired_state = DesiredState.ON if request.method == "PUT" else DesiredState.OFF
        user_id = get_jwt_identity()
        owner_key = post_owner_key(post_id)
        owner_id = owner_ids.get(post_id) or owner_ids.setdefault(post_id, str(connection.get(owner_key)))
        keys = [
            POST_LIKES.count_key(post_id),
            POST_LIKES.members_key(post_id),
            POST_LIKES.unwritten_key(post_id),
            POST_LIKES.large_key(post_id),
            owner_key,
            blocked_set_key(owner_id, slot_of=post_id),
            ingress_key(ingress_shard_of_object(post_id, 4)),
            INGRESS_ENABLED_KEY,
            idle_key(slot_of=post_id),
        ]
        script_args = [user_id, desired_state.value, 2**52, 10**9, "LIKE", post_id, new_id(), "", owner_id]
        script_args += ["", "", user_bucket(user_id), DEFAULT_MAX_MEMBERS]
        script_args += [POST_LIKES.idle_set_entry(post_id), blocks_idle_set_entry(owner_id)]
        outcome, active, count, _ = set_membership(keys=keys, args=script_args)
        return {"success": outcome == "done", "liked": bool(active), "likesCount": count}

    return app


def build_insert_app() -> Flask:
    app = _create_flask_app()
    url = psycopg2_url(load_settings().service_urls.database_url)
    engine = create_engine(url, pool_size=20, max_overflow=0, pool_timeout=30)
    jwt_secret = load_settings().web.jwt_secret_key

    @lru_cache(20_000)
    def decode_user_id(token: str) -> str:
        return str(jwt.decode(token, jwt_secret, algorithms=["HS256"])["sub"])

    @app.route(LIKE_PATH, methods=LIKE_METHODS)
    def like(post_id: str) -> dict[str, Any]:
        user_id = decode_user_id(request.environ["HTTP_AUTHORIZATION"][7:])
        with engine.begin() as conn:
            conn.execute(_WRITE_LIKE_BY_METHOD[request.method], {"post": post_id, "user": user_id})
            conn.execute(_UPDATE_LIKE_COUNT, {"post": post_id, "by": 1 if request.method == "PUT" else -1})
        return {"success": True, "liked": request.method == "PUT"}

    return app


def build_direct_emit_app() -> Flask:
    app = _create_flask_app()
    url = load_settings().service_urls.redis_url
    sockets = SocketIO(app, async_mode="gevent", message_queue=url)
    manager = socketio.RedisManager(url, "flask-socketio", write_only=True)  # its own would bypass Redis

    @sockets.on("connect")  # type: ignore[untyped-decorator]
    def connect(auth: Any = None) -> None:
        join_room(f"user:{auth['token']}")

    @app.route(LIKE_PATH, methods=LIKE_METHODS)
    def like(post_id: str) -> dict[str, Any]:
        room = f"user:{request.headers['X-Owner']}"
        manager.emit("notification", {"targetId": post_id, "message": "liked"}, room=room)
        return {"success": True}

    return app


def build_bare_socketio_app() -> Flask:
    app = _create_flask_app()
    manager = socketio.RedisManager(load_settings().service_urls.redis_url, channel=REDIS_CHANNEL)
    server = socketio.Server(async_mode="gevent", client_manager=manager)

    @server.on("connect")  # type: ignore[untyped-decorator]
    def connect(sid: str, _environ: Any, auth: Any) -> None:
        server.enter_room(sid, user_room(auth["token"]))
        server.enter_room(sid, ALL_POSTS_ROOM)

    @server.on("join_room")  # type: ignore[untyped-decorator]
    def join(sid: str, _request: Any) -> None:
        server.emit("joined", {}, to=sid)

    app.wsgi_app = socketio.WSGIApp(server, app.wsgi_app)  # type: ignore[method-assign]
    return app


def _create_flask_app() -> Flask:
    app = Flask("bench")
    app.extensions["sockets"] = NullSocketServer()
    return app


APP_FACTORIES = {
    "noop": build_noop_app,
    "conventional": build_conventional_app,
    "insert": build_insert_app,
    "direct": build_direct_emit_app,
    "socketio": build_bare_socketio_app,
}
app = APP_FACTORIES[os.environ["BENCH_APP"]]()
