"""What the like is measured against: the same request to small applications, the same gunicorn.

BENCH_APP chooses one (gunicorn starts `bench.baselines:app`):

    bare       answers {} and does nothing
    obvious    what everybody writes first: flask-jwt-extended, a redis-py pool, one Lua call
    insert     a row, a counter and a commit per like; its token costs nothing: only writing counts
    direct     no pipeline: the request emits to the sockets, through Socket.IO's Redis manager
    rooms      bare python-socketio: who connects is in all rooms it should be in, and hears
"""
# ruff: noqa: E402 - the patch comes first

from app.green import patch

patch()

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

from app.domain.routing import shard_of
from app.settings import load
from app.stores.gate import OPEN
from app.stores.memberships import Wish
from app.stores.postgres import driver_url
from app.stores.redis import key, script
from app.stores.subjects import POST
from app.streams.push import SIGNED_IN, Push, room_of
from app.wiring import new_id
from bench.audience import CHANNEL

PATH = "/api/posts/<post_id>/like"
VERBS = ["PUT", "DELETE"]
_ROW = {
    "PUT": text(
        "insert into likes (post_id, user_id) values (:post, :user) on conflict do nothing"
    ),
    "DELETE": text("delete from likes where post_id = :post and user_id = :user"),
}
_COUNT = text("update posts set like_count = like_count + :by where id = :post")


class NoSockets:
    """gunicorn.conf.py closes the sockets at the stop."""

    def stop(self) -> None:
        return None


def bare() -> Flask:
    app = _flask()

    @app.route(PATH, methods=VERBS)
    def like(post_id: str) -> dict[str, Any]:
        return {}

    return app


def obvious() -> Flask:
    app = _flask()
    app.config["JWT_SECRET_KEY"] = load().web.jwt_secret_key
    JWTManager(app)
    connection = redis.Redis.from_url(load().addresses.redis_url, decode_responses=True)
    wish = script(connection, "wish")  # the same work inside Redis

    @app.route(PATH, methods=VERBS)
    @jwt_required()
    def like(post_id: str) -> dict[str, Any]:
        keys = [POST.count_key(post_id), POST.members_key(post_id), key("post", "owner", post_id)]
        wanted = Wish.ON if request.method == "PUT" else Wish.OFF
        person = get_jwt_identity()
        args = [person, wanted.value, 2**52, 10**9, 4, "LIKE", post_id, new_id(), ""]
        shard = key("ingress", shard_of(post_id, 4))
        word, active, count = wish(keys=[*keys, shard, OPEN], args=args)
        return {"success": word == "done", "liked": bool(active), "likesCount": count}

    return app


def insert() -> Flask:
    app = _flask()
    url = driver_url(load().addresses.database_url)
    engine = create_engine(url, pool_size=20, max_overflow=0, pool_timeout=30)
    secret = load().web.jwt_secret_key

    @lru_cache(20_000)
    def person(raw: str) -> str:
        return str(jwt.decode(raw, secret, algorithms=["HS256"])["sub"])

    @app.route(PATH, methods=VERBS)
    def like(post_id: str) -> dict[str, Any]:
        user = person(request.environ["HTTP_AUTHORIZATION"][7:])
        with engine.begin() as sql:
            sql.execute(_ROW[request.method], {"post": post_id, "user": user})
            sql.execute(_COUNT, {"post": post_id, "by": 1 if request.method == "PUT" else -1})
        return {"success": True, "liked": request.method == "PUT"}

    return app


def direct() -> Flask:
    app = _flask()
    url = load().addresses.redis_url
    sockets = SocketIO(app, async_mode="gevent", message_queue=url)
    push = Push(url)  # the server's own manager would take a short cut past Redis

    @sockets.on("connect")
    def connect(auth: Any = None) -> None:
        join_room(f"user:{auth['token']}")

    @app.route(PATH, methods=VERBS)
    def like(post_id: str) -> dict[str, Any]:
        room = f"user:{request.headers['X-Owner']}"
        push.emit("notification", {"targetId": post_id, "message": "liked"}, room)
        return {"success": True}

    return app


def rooms() -> Flask:
    app = _flask()
    manager = socketio.RedisManager(load().addresses.redis_url, channel=CHANNEL)
    server = socketio.Server(async_mode="gevent", client_manager=manager)

    @server.on("connect")
    def connect(sid: str, _environ: Any, auth: Any) -> None:
        server.enter_room(sid, room_of(auth["token"]))
        server.enter_room(sid, SIGNED_IN)

    @server.on("join_room")
    def join(sid: str, _asked: Any) -> None:
        server.emit("joined", {}, to=sid)

    app.wsgi_app = socketio.WSGIApp(server, app.wsgi_app)  # type: ignore[method-assign]
    return app


def _flask() -> Flask:
    app = Flask("bench")
    app.extensions["sockets"] = NoSockets()
    return app


APPS = {"bare": bare, "obvious": obvious, "insert": insert, "direct": direct, "rooms": rooms}
app = APPS[os.environ["BENCH_APP"]]()
